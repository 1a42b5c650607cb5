#!/usr/bin/env python3
"""Hold the manual pages against the command: its options, what they accept, and what it prints.

Usage: manuals.py RECVSHIM SHIM-DIRECTORY
"""
import json
import os
import re
import subprocess
import sys
import tempfile

from asked import Command

problems = []


def expect(true, problem):
    if not true:
        problems.append(problem)


def same(what, manual, command):
    for missing in sorted(set(command) - set(manual)):
        problems.append(f"{what}: the manual lacks {missing}")
    for wrong in sorted(set(manual) - set(command)):
        problems.append(f"{what}: the manual has {wrong}, the command does not")


def parts(source):
    """The text of each section (.Sh) and subsection (.Ss), by its title."""
    pieces = re.split(r"^\.S[hs] (.*)\n", source, flags=re.MULTILINE)
    return dict(zip(pieces[1::2], pieces[2::2]))


def items(text, macro):
    """The names given by a macro on the lines that begin an item."""
    return [name for line in re.findall(r"^\.It .*", text, re.MULTILINE)
            for name in re.findall(rf"{macro} (\S+(?: , (?!Cm)\w+)*)", line)]


def options(text):
    """Each option that an item explains, with the item's own text."""
    found = {}
    for head, body in re.findall(r"^\.It (Fl .*)\n((?:(?!^\.It Fl ).*\n?)*)", text, re.MULTILINE):
        forms = [form.replace("\\&", "") for form in head.split(" , ")]
        long = re.fullmatch(r"Fl (-\S+)(?: Ns = Ns Ar (\S+))?", forms[-1])
        short = re.fullmatch(r"Fl (\S)", forms[0]) if len(forms) == 2 else None
        if not long:
            raise SystemExit(f"what is this option? .It {head}")
        found["-" + short[1] if short else "", "-" + long[1], long[2] or ""] = body
    return found


def check_lint(pages):
    said = subprocess.run(["mandoc", "-T", "lint", "-W", "all", *pages], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          check=False).stdout.splitlines()
    # Whether the pages that are referred to are installed here says nothing of these.
    problems.extend(line for line in said if "referenced manual not found" not in line)


def check_options(command, sections):
    same("subcommands", [title.split()[1] for title in sections if title.startswith("recvshim ")], command.subcommands())
    for name in command.subcommands():
        own = sections.get(f"recvshim {name}")
        if own is None:
            continue
        known = {**options(sections["Options of every command"]), **options(own)}
        for shared in re.findall(r"^\.Sx (\S+)", own, re.MULTILINE):
            known.update(options(sections[shared]))
        same(f"recvshim {name}", known, command.options(name))
        for (short, long, value), text in known.items():
            if (short, long, value) not in command.options(name):
                continue
            words = command.values(name, long, value) if value else []
            # What depends on the subcommand is said there; filters refer to the options of run.
            where = text + own + options(sections["recvshim run"]).get(("", long + "s", value), "")
            said = set(re.findall(r"[\w-]+", where))
            same(f"recvshim {name} {long}, values", set(words) & said, words)


def check_rules(command, sections):
    rules = sections["FAULT RULES"]
    actions, rest = rules.split("and the options", 1)
    same("actions", items(actions, "It Cm"), command.actions())
    options_known = [name for line in re.findall(r"^\.It (.*)", rest, re.MULTILINE)
                     for name in re.findall(r"Cm (\w+) Ns =", line)]
    same("options of rules", options_known, command.rule_options())


VICTIM = """
import socket
listener = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(listener.getsockname())
server, _ = listener.accept()
server.sendall(b"some bytes")
server.close()
while client.recv(4): pass
"""


def keys_of(objects):
    found = {}
    for event in objects:
        for key, value in event.items():
            found.setdefault(key, set()).update(value if isinstance(value, dict) else ())
    return [key for key in found] + [f"{key}.{inner}" for key, inners in found.items() for inner in inners]


def check_formats(command, sections):
    with tempfile.TemporaryDirectory() as directory:
        events = os.path.join(directory, "events")
        for form in "json", "csv":
            subprocess.run([command.path, "run", "--format", form, "-o", events, "--fault", "*:short=1:times=1", "--",
                            "/usr/bin/python3", "-c", VICTIM], timeout=240, check=True)
            with open(events, encoding="utf-8") as file:
                lines = file.read().splitlines()
            if form == "csv":
                known = re.findall(r"\w+", re.sub(r"^\.(Va|Bd.*|Ed)", "", sections["CSV"].split("for the dot:")[1],
                                                  flags=re.MULTILINE))
                expect(known == lines[0].split(","), f"CSV: the manual has {known},\nthe command prints {lines[0]}")
                continue
            known = [key for line in re.findall(r"^\.It Va (.*)", sections["JSON"], re.MULTILINE) for key in line.split(" , ")]
            same("JSON", known, keys_of(map(json.loads, lines)))


def check_names(command, sections, shim):
    same("events", items(sections["EVENTS"], "It Cm"), set(command.words("show", "--event=?")) - {"all"})
    with open(os.path.join(shim, "trace/cause.h"), encoding="utf-8") as file:
        same("causes", items(sections["CAUSES"], "It Cm"), re.findall(r'X\([A-Z_]+, "([\w-]+)"', file.read()))


def main():
    command, shim = Command(sys.argv[1]), sys.argv[2]
    pages = [os.path.join(shim, "cli/recvshim.1"), os.path.join(shim, "trace/recvshim-trace.5")]
    sections = []
    for page in pages:
        with open(page, encoding="utf-8") as file:
            sections.append(parts(file.read()))
    check_lint(pages)
    check_options(command, sections[0])
    check_rules(command, sections[0])
    check_names(command, sections[1], shim)
    check_formats(command, sections[1])
    if problems:
        sys.exit("\n".join(problems))
    print(f"{sum(len(command.options(name)) for name in command.subcommands())} options, as the manual has them")


if __name__ == "__main__":
    main()
