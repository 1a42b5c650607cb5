#!/usr/bin/env python3
"""The protocols of the ring and of the control page, searched by spin in every interleaving, on memory as C11 promises it.

The order of each atomic access is taken from the C code; a function that makes other accesses than its model is an
error. The models must hold as the code is. With any of its orders weakened, or without something else that the protocol
rests on, a model must fail: a model that misses it is worth nothing, and an order that nothing needs can go.
"""
import argparse
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import typing

HERE = pathlib.Path(__file__).resolve().parent


class Limits(typing.NamedTuple):
    """Of one search. Two run at once where there are two CPUs."""
    seconds: int
    mebibytes: int
    table: int  # the exponent of the hash table's size: about as many entries as there are states, 8 bytes each


ORDINARY = Limits(seconds=240, mebibytes=900, table=23)  # as ctest can afford them
AT_LENGTH = Limits(seconds=1200, mebibytes=2048, table=25)  # the largest has 13.6 million states, and takes a minute

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
    ("shim/preload/recorder.c", "say_hello"): [
        ("fetch_add", "&trace.counters->processes", "HELLO_CLAIM"),
        ("store", "&entry->pid", "HELLO_PID"),
        ("fence", "", "HELLO_FENCE"),
    ],
    ("shim/trace/read.c", "read_cursor"): [
        ("load", "&reader->trace->cursors[number].cursor", "MARK"),
    ],
    ("shim/trace/lookup.c", "process_list_update"): [
        ("load", "&trace->counters->processes", "LIST_CLAIMED"),
        ("load", "&entry->pid", "LIST_PID"),
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

# Each must hold.
RING = {"SCANS": 1, "DEATHS": 1}
MODELS = {
    "ring, read in one pass": ("ring", RING),
    "ring, noted and fetched": ("ring", {**RING, "DEATHS": 0, "NOTED": 1}),
    "ring, copied front to back by cp": ("ring", {**RING, "CP": "ACQUIRE"}),
    "ring that stops when full": ("ring", {**RING, "STOP": 1}),
    "ring, sequentially consistent": ("ring", {**RING, "SC": 1}),
    "page of rules, read by a receive": ("control", {}),
    "page of rules, read by the command": ("control", {"PAGE": 1}),
    "page of rules, sequentially consistent": ("control", {"SC": 1}),
    "table of processes": ("hello", {}),
}
THOROUGH = {
    "ring, two die": ("ring", {**RING, "DEATHS": 2}),
    "ring, noted and fetched, one dies": ("ring", {**RING, "NOTED": 1}),
    "ring, two scans": ("ring", {**RING, "SCANS": 2}),
}
# Each must fail. An order weakened is looked for in the model that has it, by the beginning of its name.
WEAKENED = {
    "STORE": "ring, read in one pass",
    "COPY": "ring, read in one pass",
    "REPAIR": "ring, read in one pass",
    "NOTE": "ring, noted and fetched",
    "SET": "page of rules, read by a receive",
    "FIND": "page of rules, read by a receive",
    "TAKE": "page of rules, read by a receive",
    "PAGE": "page of rules, read by the command",
    "HELLO": "table of processes",
    "MARK": "table of processes",
    "LIST": "table of processes",
}
WITHOUT = {
    "a busy slot claimed": ("ring", {**RING, "STEAL": 1}),
    "a death that orders nothing": ("ring", {**RING, "NO_DEATH_ORDER": 1}),
    "neither tail nor state looked at after the copy": ("ring", {**RING, "NO_LOOK_AGAIN": 1, "NO_TAIL": 1}),
    "no tail for cp": ("ring", {**RING, "CP": "ACQUIRE", "NO_TAIL": 1}),
    "no order of claim and payload for cp": ("ring", {**RING, "CP": "ACQUIRE", "STORE_FENCE": "RELAXED"}),
    "a cp whose loads overtake each other": ("ring", {**RING, "CP": "RELAXED"}),
    "a generation looked at once": ("control", {"NO_LOOK_AGAIN": 1}),
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


def run(command, directory, seconds=None):
    try:
        return subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        return fail(f"{' '.join(command)}: takes longer than {seconds} s")
    except FileNotFoundError:
        return fail(f"there is no {command[0]}: scripts/build --for test installs it")


def build(model, definitions, directory, limits):
    for name in ("memory", model):
        (directory / f"{name}.pml").write_bytes((HERE / f"{name}.pml").read_bytes())
    # Not by options of spin, which has no room for that many.
    defined = "".join(f"#define {name} {value}\n" for name, value in definitions.items())
    (directory / "definitions.pml").write_text(defined)
    for command in (["spin", "-a", f"{model}.pml"],
                    ["gcc", "-w", "-DSAFETY", "-DNOCLAIM", "-DCOLLAPSE", "-DVECTORSZ=512",
                     f"-DMEMLIM={limits.mebibytes}", "-o", "pan", "pan.c"]):
        ran = run(command, directory)
        if ran.returncode != 0 or "Error" in ran.stdout:
            fail(f"{' '.join(command)}:\n{ran.stdout}{ran.stderr}")


# How a model fails, by a word of the assertion.
FAILURES = {"payload_0": "torn", "written": "mixed", "skipped": "lost", "closed": "waits", "read": "waits",
            "entry": "torn", "cursor": "missed"}


def search(model, definitions, limits):
    """Returns ("holds", or how it fails; how many states, seconds)."""
    with tempfile.TemporaryDirectory(prefix="recvshim-model.") as name:
        directory = pathlib.Path(name)
        build(model, definitions, directory, limits)
        start = time.monotonic()
        # -E: the dead stay where they are; that the others do not is asserted by the models.
        ran = run(["./pan", "-E", "-m10000", f"-w{limits.table}"], directory, limits.seconds)
        took = time.monotonic() - start
    states = re.search(r"(\d+) states, stored", ran.stdout)
    errors = re.search(r"errors: (\d+)", ran.stdout)
    cut = re.search(r"max search depth too small|out of memory|memory limit|not completed", ran.stdout + ran.stderr)
    if not states or not errors or (cut and errors[1] == "0"):
        fail(f"{model} {definitions}: the search did not come to its end:\n{ran.stdout}{ran.stderr}")
    if errors[1] == "0":
        return "holds", int(states[1]), took
    words = re.findall(r"\w+", re.search(r"assertion violated (.*)", ran.stdout)[1])
    return next((FAILURES[word] for word in words if word in FAILURES), " ".join(words)), int(states[1]), took


def trail(model, definitions):
    """Print what leads to the first failure."""
    with tempfile.TemporaryDirectory(prefix="recvshim-model.") as name:
        directory = pathlib.Path(name)
        build(model, definitions, directory, ORDINARY)
        run(["./pan", "-E", "-m10000", f"-w{ORDINARY.table}"], directory, ORDINARY.seconds)
        for line in run(["spin", "-p", "-t", f"{model}.pml"], directory).stdout.splitlines():
            if "memory.pml" not in line:
                print(line)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=pathlib.Path, help="the project's directory")
    parser.add_argument("--thorough", action="store_true", help="search larger models, too: minutes, and 2 GiB each")
    parser.add_argument("--trail", metavar="MODEL", help="print how it fails with --define: ring, control or hello")
    parser.add_argument("--define", metavar="N=V", action="append", default=[], help="as COPY_FENCE=RELAXED, CP=ACQUIRE")
    given = parser.parse_args()
    orders = orders_of(given.source)
    if given.trail:
        trail(given.trail, {**orders, **RING, **dict(definition.split("=") for definition in given.define)})
        return 0

    # What, by which model, with which definitions, whether it must hold, within which limits.
    jobs = [(name, *MODELS[name], True, ORDINARY) for name in MODELS]
    if given.thorough:
        jobs += [(name, *THOROUGH[name], True, AT_LENGTH) for name in THOROUGH]
    jobs += [(name, *WITHOUT[name], False, ORDINARY) for name in WITHOUT]
    for name, order in orders.items():
        if name not in NOT_MODELLED:
            model, definitions = MODELS[WEAKENED[name.split("_")[0]]]
            jobs += [(f"{name} {less}, not {order}", model, {**definitions, name: less}, False, ORDINARY)
                     for less in weaker(order)]

    start, sum_of_states, wrong = time.monotonic(), 0, 0
    with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        searches = [pool.submit(search, model, {**orders, **definitions}, limits)
                    for _, model, definitions, _, limits in jobs]
        for (name, _, _, must_hold, _), found in zip(jobs, searches, strict=True):
            said, states, took = found.result()
            right = said == "holds" if must_hold else said in FAILURES.values()
            print(f"{name:<50} {said if right else said + ': WRONG':<12} {states:>9} states {took:5.1f} s", flush=True)
            sum_of_states += states
            wrong += not right
    print(f"{len(jobs)} searches, {sum_of_states} states, {time.monotonic() - start:.1f} s; {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
