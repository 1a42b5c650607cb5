#!/usr/bin/env python3
"""Run the sessions of README.md as written, and hold their output against what it shows.

Usage: readme.py README RECVSHIM

A session is a block of ```console. A line that begins with `$ ` is typed; what follows `$ cat >FILE` goes into the file;
all else is output, in which every number stands for any number, a round-trip time at the end of a line for any, and what
TCP has to say besides, a line `...` for any lines, and a `...` at the end of a line for the rest of it. It runs in a
network namespace of its own, so that its ports are free.
"""
import os
import re
import subprocess
import sys
import tempfile

MARK = "== end of command"
STATUS_SKIPPED = 77


def sessions(text):
    return re.findall(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def steps(session):
    """Each command with the lines shown below it."""
    found = []
    for line in session.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        else:
            found[-1][1].append(line)
    return found


def script(commands):
    lines = ["set -e", "ip link set lo up", "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT"]
    for command, shown in commands:
        if command.startswith("cat >"):
            lines += [f"{command} <<'END'", *shown, "END"]
        else:
            lines += [command]
        lines += [f"echo '{MARK}'"]
    return "\n".join(lines)


def pattern(shown):
    parts = []
    for line in shown:
        if line == "...":
            parts.append(r"(?:.*\n)*?")
        else:
            rest = line.endswith("...")
            escaped = re.sub(r"\d+", r"\\d+", re.escape(line[:-3] if rest else line))
            escaped = re.sub(r"(,\\ rtt\\ )\\d\+\\ us$", r"\1[\\d.]+ [mu]?s(?:, .*)?", escaped)
            parts.append(escaped + (".*" if rest else "") + "\n")
    return "".join(parts)


def check(session, environment):
    commands = steps(session)
    with tempfile.TemporaryDirectory() as directory:
        ran = subprocess.run(["unshare", "--net", "bash", "-c", script(commands)], cwd=directory, env=environment,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=240, check=False)
    outputs = ran.stdout.split(MARK + "\n")
    if ran.returncode != 0 or len(outputs) != len(commands) + 1:
        sys.exit(f"a session ended with {ran.returncode} after {len(outputs) - 1} of {len(commands)} commands:\n{ran.stdout}")
    for (command, shown), output in zip(commands, outputs):
        if not command.startswith("cat >") and not re.fullmatch(pattern(shown), output):
            sys.exit(f"$ {command}\nREADME.md shows:\n" + "\n".join(shown) + f"\nbut it printed:\n{output}")
    return len(commands)


def main():
    readme, recvshim = sys.argv[1:]
    if subprocess.run(["unshare", "--net", "true"], stderr=subprocess.DEVNULL, check=False).returncode != 0:
        print("no network namespace may be made here")
        sys.exit(STATUS_SKIPPED)
    environment = dict(os.environ, PATH=os.path.dirname(os.path.abspath(recvshim)) + ":/usr/sbin:/usr/bin:/sbin:/bin")
    with open(readme, encoding="utf-8") as file:
        count = sum(check(session, environment) for session in sessions(file.read()))
    if count == 0:
        sys.exit("README.md shows no session")
    print(f"{count} commands printed what README.md shows")


if __name__ == "__main__":
    main()
