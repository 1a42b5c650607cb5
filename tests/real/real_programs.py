#!/usr/bin/env python3
"""Unmodified programs from Debian under recvshim: the trace against what the kernel returned (as strace saw it in the
same run) and against what the program itself got.

Usage: real_programs.py RECVSHIM [unittest arguments]
"""
import collections
import functools
import http.server
import ipaddress
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import unittest

import strace

RECVSHIM = None
STRACE_LINE = re.compile(r"^(\d+) +recvfrom\((\d+), .* = (-?\d+)(?: ([A-Z]+))?")
LIMIT = 240  # seconds: nothing here takes one; reached only by what hangs


def show(trace, *options):
    """The events of a trace, as the command prints them."""
    out = subprocess.run([RECVSHIM, "show", "--format", "json", *options, trace], check=True, capture_output=True,
                         text=True, timeout=LIMIT)
    return [json.loads(line) for line in out.stdout.splitlines()]


def by_descriptor(events):
    """Each descriptor's results in order: (pid, fd) -> [result or errno's name]."""
    sequences = collections.defaultdict(list)
    for event in events:
        sequences[event["pid"], event["fd"]].append(event["error"] or event["result"])
    return dict(sequences)


def from_strace(path, pids):
    """The same from strace's file."""
    sequences = collections.defaultdict(list)
    for line in strace.whole_lines(path):
        found = STRACE_LINE.match(line)
        if found and int(found[1]) in pids:
            sequences[int(found[1]), int(found[2])].append(found[4] or int(found[3]))
    return dict(sequences)


def without_repeated_ends(sequence):
    """A connection's end is recorded once; programs may read it again."""
    kept, ended = [], False
    for result in sequence:
        if result == 0 and ended:
            continue
        ended = ended or result in (0, "ECONNRESET")
        kept.append(result)
    return kept


class Traced(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.directory)
        self.trace = self.path("trace")

    def path(self, name):
        return os.path.join(self.directory, name)

    def run_traced(self, *command, prefix=(), **options):
        """Run a command under recvshim under strace; returns what it printed and its receives."""
        ran = subprocess.run([*prefix, "strace", "-f", "-qq", "-o", self.path("strace"), "-e", "trace=recvfrom",
                              "-e", "signal=none", RECVSHIM, "run", "--trace", self.trace, "--events", "all",
                              "-o", self.path("events"), "--", *command],
                             capture_output=True, timeout=LIMIT, check=False, **options)
        self.assertEqual(ran.returncode, 0, ran.stderr)
        events = [event for event in show(self.trace) if event["call"]]  # the receives
        kernel = from_strace(self.path("strace"), {event["pid"] for event in events})
        self.assertEqual({key: without_repeated_ends(value) for key, value in kernel.items()}, by_descriptor(events))
        return ran.stdout, events

    def total(self, events, fd):
        return sum(event["size"] for event in events if event["fd"] == fd and "MSG_PEEK" not in event["flags"])

    def serve(self, handler):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return server.server_port


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


class Curl(Traced):
    def test_a_page(self):
        body = os.urandom(3_141_592)
        with open(self.path("page"), "wb") as page:
            page.write(body)
        port = self.serve(functools.partial(Quiet, directory=self.directory))
        out, events = self.run_traced("curl", "-s", "-o", self.path("copy"), "-w", "%{size_header} %{size_download}",
                                      f"http://127.0.0.1:{port}/page")
        header, download = map(int, out.split())
        self.assertEqual(download, len(body))
        with open(self.path("copy"), "rb") as copy:
            self.assertEqual(copy.read(), body)
        received = {event["fd"] for event in events if event["event"] == "receive"}
        self.assertEqual(len(received), 1)
        self.assertEqual(self.total(events, received.pop()), header + download)

    def test_an_answer_without_length_ends_with_the_connection(self):
        class Bare(Quiet):
            def do_GET(self):
                self.wfile.write(b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * 100_000)

        out, events = self.run_traced("curl", "-s", "-o", self.path("copy"), "-w", "%{size_header} %{size_download}",
                                      f"http://127.0.0.1:{self.serve(Bare)}/")
        self.assertEqual(sum(map(int, out.split())), sum(event["size"] for event in events))
        ends = [event for event in events if event["event"] == "disconnect"]
        self.assertEqual([(end["cause"], end["result"]) for end in ends], [("eof", 0)])


class Python(Traced):
    def test_sockets_of_every_kind(self):
        out, events = self.run_traced("/usr/bin/python3", "-c", PYTHON_SOCKETS)
        got = json.loads(out)
        for name, (fd, size) in got["totals"].items():
            self.assertEqual(self.total(events, fd), size, name)
        datagrams = [event for event in events if event["peer"] and event["peer"]["family"] == "inet6"]
        self.assertEqual([(event["peer"]["address"], event["peer"]["port"], event["peer"]["scope_id"], event["size"])
                          for event in datagrams], [tuple(row) for row in got["datagrams"]])
        self.assertEqual(sorted((event["fd"], event["cause"]) for event in events if event["event"] == "disconnect"),
                         sorted((fd, cause) for fd, cause in got["ends"]))
        self.assertEqual([event["fd"] for event in events if event["event"] == "empty"], got["empty"])

    def interrupt(self, *options):
        """Run a program that blocks in recv and gets SIGINT there."""
        return subprocess.Popen([RECVSHIM, "run", "-o", self.path("events"), *options, "--", "/usr/bin/python3", "-c",
                                 PYTHON_INTERRUPTED], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def test_an_interrupt_that_python_waits_for_in_vain(self):
        """Python runs the handler of a signal once recv has returned, which under `always` it does not."""
        with self.interrupt() as run:
            pid = int(run.stdout.readline())
            self.assertRegex(run.stderr.readline(), "retried, perhaps after SIGINT, and has not returned.*--eintr intent")
            os.kill(pid, signal.SIGKILL)
            out, err = run.communicate(timeout=LIMIT)
        self.assertEqual(out, "")
        self.assertRegex(err, "^recvshim: .*: 1 receive was retried, perhaps after SIGINT, .*--eintr intent\n$")
        self.assertEqual(run.returncode, 128 + signal.SIGKILL)

    def test_an_interrupt_that_reaches_python(self):
        for options in (["--eintr", "intent"], ["--eintr", "restart"], ["--eintr-pass", "INT"], ["--eintr", "never"]):
            with self.interrupt(*options) as run:
                out, err = run.communicate(timeout=LIMIT)
            self.assertEqual((out.splitlines()[1:], err), (["KeyboardInterrupt"], ""), options)
            self.assertEqual(run.returncode, 0, options)


PYTHON_INTERRUPTED = r"""
import os, platform, signal, socket, threading
recvfrom = {"x86_64": "45 ", "aarch64": "207 "}[platform.machine()]
here, there = socket.socketpair()
me = threading.get_native_id()
def interrupt():
    while not open(f"/proc/self/task/{me}/syscall").read().startswith(recvfrom):
        pass
    os.kill(os.getpid(), signal.SIGINT)
print(os.getpid(), flush=True)
threading.Thread(target=interrupt, daemon=True).start()
try:
    here.recv(1)
except KeyboardInterrupt:
    print("KeyboardInterrupt")
"""


PYTHON_SOCKETS = r"""
import json, socket, struct
totals, datagrams, ends, empty = {}, [], [], []

listener = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(listener.getsockname())
peer, _ = listener.accept()
peer.sendall(b"x" * 1000); peer.shutdown(socket.SHUT_WR)
size = 0
while data := client.recv(77):
    size += len(data)
assert client.recv(77) == b""
totals["tcp"] = client.fileno(), size
ends.append((client.fileno(), "eof"))

client2 = socket.create_connection(listener.getsockname())
peer2, _ = listener.accept()
peer2.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
peer2.close()
try:
    client2.recv(1)
    raise SystemExit("no reset")
except ConnectionResetError:
    ends.append((client2.fileno(), "reset"))

here = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); here.bind(("::1", 0))
there = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); there.bind(("::1", 0))
size = 0
for length in (1, 0, 1200, 60000):
    there.sendto(b"d" * length, here.getsockname())
    data, sender = here.recvfrom(65536)
    size += len(data)
    datagrams.append((sender[0], sender[1], sender[3], len(data)))
    if not data:
        empty.append(here.fileno())
totals["udp6"] = here.fileno(), size

left, right = socket.socketpair()
left.sendall(b"unix"); left.close()
totals["unix"] = right.fileno(), len(right.recv(10))
assert right.recv(10) == b""
ends.append((right.fileno(), "eof"))
print(json.dumps({"totals": totals, "datagrams": datagrams, "ends": ends, "empty": empty}))
"""


@unittest.skipUnless(shutil.which("redis-server"), "redis-server is not installed")
class Redis(Traced):
    def test_a_large_value(self):
        path = self.path("redis.sock")
        server = subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", path, "--save", ""],
                                  stdout=subprocess.PIPE, text=True)
        self.addCleanup(server.stdout.close)
        self.addCleanup(server.wait)
        self.addCleanup(server.terminate)
        for line in server.stdout:
            if "ready to accept connections" in line or "accept connections at" in line:
                break
        value = "v" * 1_000_000
        subprocess.run(["redis-cli", "-s", path, "-x", "set", "key"], input=value, text=True, check=True,
                       capture_output=True, timeout=LIMIT)
        out, events = self.run_traced("redis-cli", "-s", path, "--raw", "get", "key")
        self.assertEqual(out.decode().rstrip("\n"), value)
        fds = {event["fd"] for event in events if event["event"] == "receive"}
        self.assertEqual(len(fds), 1)
        self.assertEqual(self.total(events, fds.pop()), len(f"${len(value)}\r\n{value}\r\n"))


def namespaces_permitted():
    return subprocess.run(["unshare", "--net", "--mount", "true"], capture_output=True, check=False).returncode == 0


@unittest.skipUnless(namespaces_permitted(), "no network and mount namespace may be made here")
class Socat(Traced):
    """fe80:: addresses of a veth pair, in a namespace that ends with the test."""

    SCRIPT = r"""
        set -e
        mount -t sysfs none /sys
        ip link set lo up
        ip link add left type veth peer name right
        for link in left right; do
            echo 0 >/proc/sys/net/ipv6/conf/$link/accept_dad
            ip link set $link up
        done
        address() { ip -6 -o address show dev $1 scope link | sed -n 's/.*inet6 \([^/]*\).*/\1/p'; }
        until [ -n "$(address left)" ] && [ -n "$(address right)" ]; do sleep 0.01; done
        echo "$(address left) $(cat /sys/class/net/right/ifindex)" >facts
        "$0" run --trace trace --events all -o events -- socat -u UDP6-RECV:7777 CREATE:got,unlink-close=0 &
        receiver=$!
        # Sent again until they have arrived: the first may go out before socat listens, or before the link is ready.
        for size in 5 700; do
            until [ "$(stat -c %s got 2>/dev/null || echo 0)" -ge $size ]; do
                head -c $size /dev/zero | socat -u - "UDP6-SENDTO:[$(address right)%left]:7777,sourceport=5555" || true
                sleep 0.02
            done
        done
        kill -TERM $receiver
        wait $receiver || [ $? = 143 ]
    """

    def test_datagrams_between_link_local_addresses(self):
        ran = subprocess.run(["unshare", "--net", "--mount", "sh", "-c", self.SCRIPT, RECVSHIM], cwd=self.directory,
                             capture_output=True, text=True, timeout=LIMIT, check=False)
        self.assertEqual(ran.returncode, 0, ran.stderr)
        with open(self.path("facts"), encoding="ascii") as facts:
            sender, index = facts.read().split()
        # Not the socket pair on which socat tells itself of signals.
        arrived = [event for event in show(self.trace) if event["event"] == "receive" and event["requested"] > 1000]
        self.assertLessEqual({5, 700}, {event["size"] for event in arrived})
        for event in arrived:
            self.assertEqual(event["peer"], {"family": "inet6", "address": str(ipaddress.ip_address(sender)),
                                             "port": 5555, "scope_id": int(index)})
        # The last may have been sent once more, and received when socat was told to end, before it wrote it.
        sizes = [event["size"] for event in arrived]
        self.assertIn(os.path.getsize(self.path("got")), (sum(sizes), sum(sizes[:-1])))


if __name__ == "__main__":
    RECVSHIM = os.path.abspath(sys.argv.pop(1))
    unittest.main()
