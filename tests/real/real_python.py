#!/usr/bin/env python3
"""CPython's own tests of interruptions, signals and sockets, from Debian's libpython3.11-testsuite: every test must end
under recvshim as it does without, whatever the policy. scripts/peers runs more of them, and other projects' tests.

Usage: real_python.py RECVSHIM

The tests wait more than they compute, so that many run side by side; one that ends otherwise than the native run is run
again, alone, and counts as different only if it differs each time, and the native one never fails so.
"""
import collections
import concurrent.futures
import os
import subprocess
import sys
import tempfile

import peers

SKIPPED = 77
LIMIT = 600  # seconds for a part, which takes half a minute: only what hangs comes near
AT_ONCE = 10

# The longest first.
PARTS = [
    peers.Unittest("siginterrupt", ["test.test_signal.SiginterruptTest"], limit=LIMIT),
    # On a virtual machine with a VSOCK device whose host does not answer these wait for it for ever, natively too.
    peers.Unittest("socket", ["test.test_socket"], ["VSOCK"], limit=LIMIT),
    peers.Unittest("signal", ["test.test_signal"], ["SiginterruptTest"], limit=LIMIT),
    peers.Unittest("eintr", ["test._test_eintr"], limit=LIMIT),
]
POLICIES = {
    "always": [],
    "always, TERM and ALRM pass": ["--eintr-pass=TERM,ALRM"],
    "intent": ["--eintr=intent"],
    "restart": ["--eintr=restart"],
    "never": ["--eintr=never"],
}


def is_as_meant(part, policy, run):
    """Python ticks with SIGALRM, without SA_RESTART: whether the trace shows that EINTR reached it where it must."""
    return part.name != "eintr" or (run.events["interrupted"] == 0) == (policy == "always")


def wrong(part, policy, native, run, again):
    """Says how the run compares with the native one; returns whether it must not be so."""
    unlike = peers.different(native, run)
    verdicts = peers.verdicts(part, run, unlike, again)
    certain = {test: verdict for test, verdict in verdicts.items() if verdict.word == peers.DIFFERS}
    print(f"{part.name}, {policy}: {len(run.outcomes)} tests, {len(certain)} differ ({len(unlike)} in the first run);"
          f" trace: { {event: number for event, number in run.events.items() if number} }, {run.lost} lost")
    for test, verdict in certain.items():
        print(f"  {test}: native {verdict.pair[0]}, here {verdict.pair[1]}\n{verdict.said}")
    meant = is_as_meant(part, policy, run)
    if not meant:
        print(f"{part.name}, {policy}: EINTR reached the program {run.events['interrupted']} times")
    return bool(certain) or not meant or run.lost > 0 or run.events["start"] == 0


def main(recvshim):
    network = peers.network_alone()
    status = 0
    with tempfile.TemporaryDirectory() as directory:
        def natively(part):
            return peers.Run(part, directory, network=network)

        def under(policy, part):
            return peers.Run(part, directory, recvshim, POLICIES[policy], network)

        def pair(policy):
            return lambda part: (natively(part), under(policy, part))

        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            runs = {(part.name, policy): pool.submit(under, policy, part) if policy else pool.submit(natively, part)
                    for part in PARTS for policy in (peers.NATIVE, *POLICIES)}
        for part in PARTS:
            native = runs[part.name, peers.NATIVE].result()
            print(f"{part.name}, native: {len(native.outcomes)} tests, {native.ended}:",
                  dict(collections.Counter(outcome.split(":")[0] for outcome in native.outcomes.values())))
            if "ok" not in native.outcomes.values() or native.ended != "exit status 0":
                print(native.output[-3000:])
                return 1
            for policy in POLICIES:
                run = runs[part.name, policy].result()
                if wrong(part, policy, native, run, pair(policy)):
                    status = 1
    return status


if __name__ == "__main__":
    if subprocess.run([peers.PYTHON, "-c", "import test._test_eintr"], check=False).returncode:
        print("python3.11 or libpython3.11-testsuite is not installed")
        sys.exit(SKIPPED)
    sys.exit(main(os.path.abspath(sys.argv[1])))
