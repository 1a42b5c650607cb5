#!/usr/bin/env python3
"""Type at an interactive bash, let it complete, and hold what it offers against what the command takes.

Usage: completion.py RECVSHIM COMPLETION
"""
import os
import pty
import re
import select
import subprocess
import sys
import tempfile
import time

from asked import Command

SETUP = """
source /usr/share/bash-completion/bash_completion
source {completion}
set -o emacs
bind 'set enable-bracketed-paste off'
bind '"\\C-t": insert-completions'
answer() {{ printf '\n<<%s>>\n' "$READLINE_LINE"; }}
bind -x '"\C-g": answer'
PS1= PS2=
cd {directory}
echo "<<"ready">>"
"""
PATIENCE = 120
problems = []


class Bash:
    """An interactive bash in a pseudo-terminal, wide enough for any line."""

    def __init__(self, directory, path, completion):
        environment = {"PATH": path + ":/usr/bin:/bin", "HOME": directory, "TERM": "dumb", "LC_ALL": "C.UTF-8", "COLUMNS": "9999"}
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.execve("/bin/bash", ["bash", "--norc", "--noprofile", "-i"], environment)
        setup = os.path.join(directory, "setup")
        with open(setup, "w", encoding="utf-8") as file:
            file.write(SETUP.format(completion=completion, directory=directory))
        self.type(f"source {setup}\n")
        self.answer()

    def type(self, text):
        os.write(self.terminal, text.encode())

    def answer(self):
        said, end = b"", time.monotonic() + PATIENCE
        while not (match := re.search(rb"<<(.*)>>\r?\n", said)):
            if not select.select([self.terminal], [], [], max(0, end - time.monotonic()))[0]:
                sys.exit(f"bash has not answered for {PATIENCE} s; it said:\n{said.decode()}")
            said += os.read(self.terminal, 65536)
        return match[1].decode()

    def complete(self, line):
        """The line once all that bash offers has been inserted."""
        self.type("\x15" + line + "\x14\x07") # clear; complete; print
        return self.answer()

    def offers(self, line):
        """What stands in the place of the word that was typed last."""
        completed = self.complete(line)
        start = re.search(r"[^\s=:'\"]*$", line).start()
        quote = re.search(r"['\"]\S*$", line) # it goes, and bash then replaces all behind it
        start = quote.start() if quote else start
        return completed[start:].split() if completed != line else []

    def end(self):
        self.type("\x15exit\n")
        os.waitpid(self.pid, 0)
        os.close(self.terminal)


def expect(bash, line, expected):
    offered = bash.offers(line)
    if sorted(offered) != sorted(expected):
        problems.append(f"{line}\n    offers {sorted(offered)}\n    not    {sorted(expected)}")


def check_options(bash, command):
    subcommands = command.subcommands()
    expect(bash, "recvshim ", subcommands + ["help", "--help", "--version"])
    expect(bash, "recvshim help ", subcommands)
    for subcommand in subcommands:
        options = command.options(subcommand)
        expect(bash, f"recvshim {subcommand} --", [long + ("=" if value else "") for _, long, value in options])
        for short, long, value in options:
            values = command.values(subcommand, long, value) if value else []
            if not values:
                continue
            expect(bash, f"recvshim {subcommand} {long}=", values)
            expect(bash, f"recvshim {subcommand} {long} ", values)
            expect(bash, f"recvshim {subcommand} {long}={values[-1][:2]}", [v for v in values if v.startswith(values[-1][:2])])
            if value == "LIST":
                rest = [values[1] + "," + v for v in values if v not in ("all", values[1])]
                expect(bash, f"recvshim {subcommand} {long}={values[1]},", rest)
            if short:
                expect(bash, f"recvshim {subcommand} {short} ", values)


def check_accepted(bash, command, line, option, before=""):
    """Whether all that is offered, and something is, is accepted."""
    offered = bash.offers(line)
    for word in offered:
        said = command.say("run", f"{option}{before}{word}")
        if "give a COMMAND" not in said:
            problems.append(f"{line} offers {word}, and that is refused: {said}")
    if len(offered) < 10:
        problems.append(f"{line} offers little: {offered}")


def check_rules(bash, command):
    calls = [name for name in command.words("run", "--calls=?") if name != "all"]
    actions = [name + ("" if name in ("eof", "drop") else "=") for name in command.actions()]
    options = [name + "=" for name in command.rule_options()]
    expect(bash, "recvshim run --fault=", ["*"] + calls)
    expect(bash, "recvshim run --fault '", ["*"] + calls)
    expect(bash, "recvshim run --fault recv,", ["recv," + name for name in calls if name != "recv"])
    expect(bash, "recvshim control trace --fault recv:", actions)
    # Within quotes bash replaces the whole word.
    expect(bash, "recvshim run --fault 'recv:e", ["recv:eof", "recv:error="])
    expect(bash, "recvshim run --fault='*:s", ["*:scope=", "*:short="])
    expect(bash, 'recvshim run --fault "recv:eof:', ["recv:eof:" + option for option in options])
    expect(bash, "recvshim run --fault recv:eof:", options)
    expect(bash, "recvshim run --fault recv:eof:when=3:per=", ["process", "connection", "trace"])
    expect(bash, "recvshim run --fault recv:eof:when=3:type=s", ["stream"])
    check_accepted(bash, command, "recvshim run --fault recv:error=", "--fault=", "recv:error=")
    check_accepted(bash, command, "recvshim run --eintr-pass=", "--eintr-pass=")
    check_accepted(bash, command, "recvshim run --eintr-pass=TERM,", "--eintr-pass=")


def check_traces(bash, command, directory):
    trace = os.path.join(directory, "trace.of-it")
    with open(os.path.join(directory, "trace.log"), "w", encoding="utf-8") as file:
        file.write("no trace\n")
    os.mkdir(os.path.join(directory, "trace.directory"))
    with subprocess.Popen([command.path, "run", "-q", "--trace", trace, "--", "sh", "-c", "echo $$; read end"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as runner:
        traced = runner.stdout.readline().strip()
        for line in "recvshim show -p ", "recvshim show --process=", "recvshim stats --pid=", "recvshim control --process ":
            offered = bash.offers(line)
            if traced not in offered or str(os.getpid()) in offered:
                problems.append(f"{line} offers {offered}, where {traced} is traced and {os.getpid()} is not")
        runner.stdin.close()
    expect(bash, "recvshim show trace.", ["trace.of-it", "trace.directory"])
    expect(bash, "recvshim stats --event=close trace.o", ["trace.of-it"])
    expect(bash, "recvshim show --output=trace.", ["trace.of-it", "trace.log", "trace.directory"])
    expect(bash, "recvshim show -o trace.l", ["trace.log"])


def check_commands(bash):
    for before in "", "-q --events=receive,close ", "--trace trace.log ", "--fault 'recv:eof:p=0.5' -- ", "-- ":
        expect(bash, f"recvshim run {before}pr-only-h", ["pr-only-here"])
        expect(bash, f"recvshim run {before}cat trace.l", ["trace.log"])
        expect(bash, f"recvshim run {before}pr-only-here --", [])
    expect(bash, "recvshim check pr-only-h", ["pr-only-here"])
    expect(bash, "recvshim check --format=json ./trace.l", ["./trace.log"])


def check_with_remarks(directory, programs, command, completion):
    """Whatever else is said on stderr, as by the loader of what it cannot preload."""
    remarking = os.path.join(directory, "remarking")
    os.mkdir(remarking)
    with open(os.path.join(remarking, "recvshim"), "w", encoding="utf-8") as file:
        file.write(f"#!/bin/sh\necho a remark >&2\nexec {command.path} \"$@\"\n")
    os.chmod(file.name, 0o755)
    bash = Bash(directory, f"{remarking}:{programs}", completion)
    expect(bash, "recvshim ", command.subcommands() + ["help", "--help", "--version"])
    expect(bash, "recvshim run --full=", command.words("run", "--full=?"))
    expect(bash, "recvshim show trace.", ["trace.of-it", "trace.directory"])
    check_commands(bash)
    bash.end()


def main():
    command, completion = Command(os.path.abspath(sys.argv[1])), os.path.abspath(sys.argv[2])
    with tempfile.TemporaryDirectory() as directory:
        programs = os.path.join(directory, "programs")
        os.mkdir(programs)
        os.symlink(command.path, os.path.join(programs, "recvshim"))
        os.symlink("/bin/true", os.path.join(programs, "pr-only-here"))
        bash = Bash(directory, programs, completion)
        check_options(bash, command)
        check_rules(bash, command)
        check_traces(bash, command, directory)
        check_commands(bash)
        bash.end()
        check_with_remarks(directory, programs, command, completion)
    if problems:
        sys.exit("\n".join(problems))


if __name__ == "__main__":
    main()
