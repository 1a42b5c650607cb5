#!/usr/bin/env python3
"""The protocols of the ring and of the control page, searched by spin in every interleaving, on memory as C11 promises it.

Usage: model.py SOURCE [--thorough] [--trail MODEL [-DNAME=VALUE]...]

SOURCE is the project's directory: the order of each atomic access is taken from the C code there, and a function that
makes other accesses than its model is an error. Each model must hold as the code is; and with any of these orders
weakened, or what stands below it without, one of them must not: an order that can go is an error, too.

--thorough searches larger ones: minutes, and gigabytes. --trail prints how a model fails, with definitions of its own.
"""
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
LIMIT = 240  # seconds, of one search
MEBIBYTES = 900

# The accesses of each function in the order of its text: what is done, to what, and the model's name of each order.
CODE = {
    ("shim/preload/recorder.c", "recorder_store"): [
        ("fetch_add", "&cursor->cursor", "STORE_POSITION"),
        ("load", "&slot->state", "STORE_LOOK"),
        ("compare_exchange_strong", "&slot->state", "STORE_CLAIM", "STORE_CLAIM_FAILED"),
        ("store", "&slot->tail", "STORE_TAIL"),
        ("fence", "", "STORE_FENCE"),
        ("store", "&slot->payload[i]", "STORE_PAYLOAD"),
        ("store", "&slot->state", "STORE_DONE"),
    ],
    ("shim/trace/read.c", "look"): [
        ("load", "&slot->state", "NOTE_LOOK"),
        ("load", "&slot->payload[offsetof(struct recvshim_record, time) / sizeof(uint64_t)]", "NOTE_TIME"),
        ("fence", "", "NOTE_FENCE"),
        ("load", "&slot->state", "NOTE_LOOK_AGAIN"),
    ],
    ("shim/trace/read.c", "copy_whole"): [
        ("load", "&slot->state", "COPY_LOOK"),
        ("load", "&slot->payload[i]", "COPY_PAYLOAD"),
        ("load", "&slot->tail", "COPY_TAIL"),
        ("fence", "", "COPY_FENCE"),
        ("load", "&slot->state", "COPY_LOOK_AGAIN"),
    ],
    ("shim/trace/repair.c", "repair_slot"): [
        ("load", "&slot->state", "REPAIR_LOOK"),
        ("compare_exchange_strong", "&slot->state", "REPAIR_CLAIM", "REPAIR_CLAIM_FAILED"),
    ],
    ("shim/trace/control_page.c", "control_page_set_rules"): [
        ("load", "&control->generation", "SET_LOOK"),
        ("store", "&control->generation", "SET_ODD"),
        ("fence", "", "SET_FENCE"),
        ("store", "&control->rule_words[i][j]", "SET_WORD"),
        ("store", "&control->rules", "SET_RULES"),
        ("store", "&control->generation", "SET_EVEN"),
    ],
    ("shim/trace/control_page.c", "copy"): [
        ("load", "&control->generation", "PAGE_LOOK"),
        ("load", "&control->tracing", "PAGE_TRACING"),
        ("load", "&control->events", "PAGE_EVENTS"),
        ("load", "&control->rules", "PAGE_RULES"),
        ("load", "&control->rule_words[i][j]", "PAGE_WORD"),
        ("load", "&trace->rules[i].injected", "PAGE_INJECTED"),
        ("fence", "", "PAGE_FENCE"),
        ("load", "&control->generation", "PAGE_LOOK_AGAIN"),
    ],
    ("shim/preload/fault.c", "find_rules"): [
        ("load", "&recorder_control", "FIND_PAGE"),
        ("load", "&control->generation", "FIND_LOOK"),
        ("load", "&control->rules", "FIND_RULES"),
    ],
    ("shim/preload/fault.c", "take_rule"): [
        ("load", "&plan->control->rule_words[index][i]", "TAKE_WORD"),
        ("fence", "", "TAKE_FENCE"),
        ("load", "&plan->control->generation", "TAKE_LOOK_AGAIN"),
    ],
}
# Another matter: the pointer to the page, which is set before there is a second thread.
NOT_MODELLED = {"FIND_PAGE"}

RING = {"SCANS": 1, "DEATHS": 2}
# Each must hold. Where a weaker order must show, they are searched in this order, the smallest first.
MODELS = {
    "control page, by a receive": ("control", {}),
    "control page, by the command": ("control", {"PAGE": 1}),
    "ring, copied by cp in order": ("ring", {**RING, "CP": "ACQUIRE"}),
    "ring, read in one pass": ("ring", RING),
    "ring, noted and fetched": ("ring", {**RING, "DEATHS": 1, "NOTED": 1}),
    "ring that stops when full": ("ring", {**RING, "STOP": 1}),
    "ring, sequentially consistent": ("ring", {**RING, "SC": 1}),
    "control page, sequentially consistent": ("control", {"SC": 1}),
}
THOROUGH = {
    "ring, two scans": ("ring", {"SCANS": 2, "DEATHS": 2}),
    "ring, two scans with notes": ("ring", {"SCANS": 2, "DEATHS": 1, "NOTED": 1}),
}
# What the protocols rest on beside the orders: each must be seen to fail without.
WITHOUT = {
    "no tail, copied by cp": ("ring", {**RING, "CP": "ACQUIRE", "NO_TAIL": 1}),
    "copied by cp whose loads overtake each other": ("ring", {**RING, "CP": "RELAXED"}),
    "a death that orders nothing": ("ring", {**RING, "NO_DEATH_ORDER": 1}),
    "no generation looked at again": ("control", {"NO_LOOK_AGAIN": 1}),
    "a claim of a busy slot": ("ring", {**RING, "STEAL": 1}),
    "no state looked at again": ("ring", {**RING, "NO_LOOK_AGAIN": 1, "NO_TAIL": 1}),
}


def fail(message):
    sys.exit(f"model: {message}")


def arguments(text):
    """Those of the call whose parenthesis was just opened."""
    depth, start, found = 0, 0, []
    for at, character in enumerate(text):
        if character in "([":
            depth += 1
        elif character in ")]":
            depth -= 1
        if depth < 0 or (depth == 0 and character == ","):
            found.append(" ".join(text[start:at].split()))
            start = at + 1
        if depth < 0:
            return found
    return fail("a call that does not end")


def accesses(source, path, function):
    """Of a function in that file, in the order of its text: (what, to what, order...)."""
    text = (source / path).read_text()
    body = re.search(rf"^[a-z][^;\n]*\b{function}\([^;{{]*\)\n\{{\n(.*?)^\}}$", text, re.MULTILINE | re.DOTALL)
    if not body:
        fail(f"{path} has no function {function}")
    body = re.sub(r"/\*.*?\*/", "", body[1], flags=re.DOTALL)
    found = []
    for call in re.finditer(r"\batomic_(\w+)\(", body):
        given = arguments(body[call.end():])
        orders = [order.removeprefix("memory_order_").upper() for order in given if order.startswith("memory_order_")]
        what = call[1].removesuffix("_explicit").replace("thread_fence", "fence")
        found.append((what, "" if what == "fence" else given[0], *(orders or ["SEQ_CST"])))
    return found


def orders_of(source):
    """The order of each access, by the model's names."""
    orders = {}
    for (path, function), expected in CODE.items():
        found = accesses(source, path, function)
        if [access[:2] for access in found] != [access[:2] for access in expected]:
            fail(f"{function} in {path} is not what was modelled, change the model first. It has\n  " +
                 "\n  ".join(" ".join(access) for access in found))
        for access, names in zip(found, expected):
            for order, name in zip(access[2:], names[2:], strict=True):
                if order not in ("RELAXED", "ACQUIRE", "RELEASE", "ACQ_REL"):
                    fail(f"{function} in {path}: {name} is {order}, which is not modelled")
                orders[name] = order
    return orders


def weaker(order):
    return {"RELAXED": [], "ACQUIRE": ["RELAXED"], "RELEASE": ["RELAXED"], "ACQ_REL": ["ACQUIRE", "RELEASE"]}[order]


def run(command, directory, limit=LIMIT):
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=limit, check=False)


def build(model, definitions, directory, optimise):
    for name in ("memory", model):
        (directory / f"{name}.pml").write_bytes((HERE / f"{name}.pml").read_bytes())
    defined = [f"-D{name}={value}" for name, value in definitions.items()]
    for command in (["spin", *defined, "-a", f"{model}.pml"],
                    ["gcc", optimise, "-w", "-DSAFETY", "-DNOCLAIM", "-DCOLLAPSE", "-DVECTORSZ=512",
                     f"-DMEMLIM={MEBIBYTES}", "-o", "pan", "pan.c"]):
        ran = run(command, directory)
        if ran.returncode != 0 or "Error" in ran.stdout:
            fail(f"{' '.join(command)}:\n{ran.stdout}{ran.stderr}")
    return defined


def search(model, definitions, broken):
    """Returns (whether it holds, how many states, seconds)."""
    with tempfile.TemporaryDirectory(prefix="recvshim-model.") as name:
        directory = pathlib.Path(name)
        build(model, definitions, directory, "-O0" if broken else "-O1")
        start = time.monotonic()
        # -E: the dead stay where they are; that the others do not is asserted by the models.
        ran = run(["./pan", "-E", "-m10000", "-w23"], directory)
        took = time.monotonic() - start
    states = re.search(r"(\d+) states, stored", ran.stdout)
    errors = re.search(r"errors: (\d+)", ran.stdout)
    truncated = re.search(r"max search depth too small|out of memory|memory limit|not completed", ran.stdout + ran.stderr)
    if not states or not errors or (truncated and errors[1] == "0"):
        fail(f"{model} {definitions}: the search did not come to its end:\n{ran.stdout}{ran.stderr}")
    return errors[1] == "0", int(states[1]), took


def trail(source, model, definitions):
    with tempfile.TemporaryDirectory(prefix="recvshim-model.") as name:
        directory = pathlib.Path(name)
        defined = build(model, {**orders_of(source), **definitions}, directory, "-O0")
        print(run(["./pan", "-E", "-m10000", "-w23", "-i"], directory).stdout.split("\n\n")[0])
        print(run(["spin", *defined, "-p", "-t", f"{model}.pml"], directory).stdout)


class Report:
    def __init__(self):
        self.states, self.wrong = 0, []

    def line(self, what, holds, states, took, due):
        self.states += states
        verdict = "holds" if holds else "fails"
        print(f"{what:<52} {verdict} as it must" if holds == due else f"{what:<52} {verdict}: WRONG",
              f"{states:>10} states {took:6.1f} s", flush=True)
        if holds != due:
            self.wrong.append(what)


def main():
    source = pathlib.Path(sys.argv[1])
    if "--trail" in sys.argv:
        given = sys.argv[sys.argv.index("--trail") + 1:]
        return trail(source, given[0], {**RING, **dict((d[2:] + "=1").split("=")[:2] for d in given[1:])})
    orders = orders_of(source)
    models = {**MODELS, **(THOROUGH if "--thorough" in sys.argv else {})}
    mutants = [(name, order) for name in orders if name not in NOT_MODELLED for order in weaker(orders[name])]

    def hold(name):
        model, definitions = models[name]
        return name, *search(model, {**orders, **definitions}, False), True

    def lack(name):
        model, definitions = WITHOUT[name]
        return name, *search(model, {**orders, **definitions}, True), False

    def weaken(mutant):
        name, order = mutant
        states = took = 0
        for model, definitions in MODELS.values():
            if name not in (HERE / f"{model}.pml").read_text() or "SC" in definitions or "STOP" in definitions:
                continue
            holds, more, seconds = search(model, {**orders, **definitions, name: order}, True)
            states, took = states + more, took + seconds
            if not holds:
                break
        return f"{name}: {order}, not {orders[name]}", holds, states, took, False

    report, start = Report(), time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        jobs = [pool.submit(hold, name) for name in models]
        jobs += [pool.submit(lack, name) for name in WITHOUT]
        jobs += [pool.submit(weaken, mutant) for mutant in mutants]
        for job in jobs:
            report.line(*job.result())
    print(f"{report.states} states in {time.monotonic() - start:.1f} s")
    return 1 if report.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
