"""The comparison of scripts/bench --peers: how it is measured, the file that holds it, and the table and the picture
that are made of that file.

The file has a line for each turn of each peer, tab-separated, and behind these what each start recorded and lost:

    # KEY       VALUE                                                     of the machine and of the run
    turn        WORKLOAD  PEER  START  ROUND     OPERATIONS  NS  CPU_NS    for each operation
    events      WORKLOAD  PEER  START  MADE      RECORDED    LOST
    missing     WORKLOAD  PEER  REASON
"""
import collections
import datetime
import re
import shutil
import subprocess

import peers
import rounds

ROUNDS_OF = {"loop": 1, "redis": 4}  # a round of this one for so many


# ---- measuring ----

VERSIONS = {"strace": "-V", "ltrace": "-V", "perf": "--version", "uftrace": "--version", "lttng": "--version",
            "redis-server": "--version"}


def facts(host, restarts, count):
    """With what, where and when: keys and values."""
    found = {"machine": f"{host['cpu']}, {host['cpus']} CPUs, Linux {host['kernel'].split('-')[0]}, {host['libc']}",
             "load": f"load {host['load']:.2f} at the start",
             "rounds": f"{restarts} start{'s'[:restarts - 1]} of {count} rounds"}
    for tool, option in VERSIONS.items():
        if shutil.which(tool):
            said = subprocess.run([tool, option], capture_output=True, text=True, check=False).stdout
            version = re.search(r"[0-9]+[.][0-9.]*[0-9]", said)
            found[tool] = f"{tool} {version[0] if version else 'of unknown version'}"
    return found | {"date": datetime.date.today().isoformat()}


def wanted(table, words):
    """Those whose names have one of the words in them, and native; without words all."""
    for word in words:
        if not any(word in peer.name for peer in table):
            raise RuntimeError(f"--peers {word}: that is in no peer's name; there are " +
                               "; ".join(peer.name for peer in table))
    return [peer for peer in table
            if peer.name == peers.NATIVE or not words or any(word in peer.name for word in words)]


def turns_of(contenders, start, count, progress):
    """The lines of one start of all of a workload."""
    try:
        for contender in contenders.values():
            contender.start()
        turn = 0
        for name, answer in rounds.take_turns(contenders, count, peers.await_quiet):
            if turn % len(contenders) == 0:
                progress.step(f"{contenders[name].workload.name}, start {start + 1}, round {turn // len(contenders) + 1}")
            if answer is not None:
                yield ["turn", contenders[name].workload.name, name, start, turn // len(contenders), answer.operations,
                       f"{answer.ns:.1f}", f"{answer.cpu_ns:.1f}"]
            turn += 1
    finally:
        events = {name: contender.end() for name, contender in contenders.items()}
    for name, counted in events.items():
        if counted is not None:
            yield ["events", contenders[name].workload.name, name, start, *counted]


def rounds_of(workload, count):
    return max(2, count // ROUNDS_OF[workload.name])


def steps(table, workloads, restarts, count):
    """For the progress."""
    return sum(len(table) + restarts * rounds_of(workload, count) for workload in workloads)


def measure(table, workloads, directory, restarts, count, progress):
    """The lines of the file."""
    for workload in workloads:
        contenders = {}
        for number, peer in enumerate(table):
            progress.step(f"{workload.name}, {peer.name}")
            contenders[peer.name] = peers.Contender(peer, workload, directory / f"{workload.name}-{number}")
        lines = []
        for start in range(restarts):
            lines += turns_of(contenders, start, rounds_of(workload, count), progress)
        missing = {name: contender.missing for name, contender in contenders.items() if contender.missing is not None}
        if peers.NATIVE in missing:
            raise RuntimeError(f"natively, too, it failed: {missing[peers.NATIVE]}")
        yield from (line for line in lines if line[2] not in missing)
        yield from (["missing", workload.name, name, reason] for name, reason in missing.items())


def write(path, facts, lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        for key, value in facts.items():
            file.write(f"# {key}\t{value}\n")
        for line in lines:
            file.write("\t".join(map(str, line)) + "\n")


# ---- reading ----


class Comparison:
    """What a file says. Figures are summaries of the time for an operation, by the clock."""

    def __init__(self, path):
        self.facts, self.missing, self.events = {}, {}, collections.defaultdict(collections.Counter)
        self.names, turns = [], collections.defaultdict(dict)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            try:
                self.take(line.split("\t"), turns)
            except (ValueError, IndexError) as wrong:
                raise RuntimeError(f"{path}, line {number}: {wrong}; scripts/bench --peers makes a new file") from wrong
        if not any(name == peers.NATIVE for _, name in turns):
            raise RuntimeError(f"{path} has no native turn; scripts/bench --peers makes such files")
        self.figures = {}
        for (workload, name), values in turns.items():
            base = turns[workload, peers.NATIVE]
            self.figures[workload, name] = rounds.summary([values[turn] for turn in sorted(values)],
                                                          [base[turn] for turn in sorted(values)])

    def take(self, words, turns):
        if words[0].startswith("# "):
            self.facts[words[0][2:]] = words[1]
            return
        kind, workload, name, *rest = words
        if name not in self.names:
            self.names.append(name)
        if kind == "turn":
            start, number, _, wall, _ = rest
            turns[workload, name][int(start), int(number)] = float(wall)
        elif kind == "events":
            self.events[workload, name].update(dict(zip(("made", "recorded", "lost"), map(int, rest[1:]))))
        elif kind == "missing":
            self.missing[workload, name] = rest[0]
        else:
            raise ValueError(f"no line begins with {kind}")

    def ordered(self):
        """The names, cheapest first, native at the top; what could not be measured comes last."""
        def cost(name):
            figure = self.figures.get(("loop", name))
            return (name != peers.NATIVE, figure["share"] if figure else float("inf"))
        return sorted(self.names, key=cost)


# ---- the table ----


def digits(value):
    """Behind the point, so that there are three in all."""
    return 2 if value < 10 else 1 if value < 100 else 0


def with_error(value, error):
    """An error that is less than what is shown is not shown as none."""
    behind = digits(value)
    return f"{value:.{behind}f} ± {max(error, 10 ** -behind):.{behind}f}"


def time_of(ns, error=None):
    if ns < 9999.5:
        return f"{ns:.0f} ns" if error is None else f"{ns:.0f} ± {error:.0f} ns"
    return f"{ns / 1000:.{digits(ns / 1000)}f} µs" if error is None else f"{with_error(ns / 1000, error / 1000)} µs"


def row(comparison, name):
    loop, redis = (comparison.figures.get((workload, name)) for workload in ("loop", "redis"))
    cells = [name]
    if loop is None:
        cells += [f"not available: {comparison.missing['loop', name]}", "", "", "", ""]
    else:
        events = comparison.events.get(("loop", name))
        native = name == peers.NATIVE
        cells += [time_of(loop["median"]), "" if native else with_error(loop["share"], loop["share_error"]),
                  "" if native else time_of(loop["added"], loop["added_error"]),
                  f"{events['recorded']:,}" if events else "", f"{events['lost']:,}" if events else ""]
    if redis is None:
        cells += ["not available" + (f": {comparison.missing['redis', name]}" if loop is not None else "")]
    elif name == peers.NATIVE:
        cells += [f"{1e9 / redis['median']:,.0f} a second"]
    else:
        rate, error = 1 / redis["share"], redis["share_error"] / redis["share"] ** 2
        cells += [f"{rate:.1%} ± {error:.1%}"]
    return "| " + " | ".join(cells) + " |"


def verdicts(comparison):
    """What it comes to, in a sentence for each."""
    def of(name):
        return comparison.figures.get(("loop", name))

    ours = of(peers.OURS)
    if ours is None:
        return
    yield f"Traced by recvshim, a receive takes {with_error(ours['share'], ours['share_error'])} of its native time."
    for name in comparison.ordered():
        theirs = of(name)
        if name.startswith(peers.THEIRS) and theirs and theirs["added"] > theirs["added_error"]:
            yield (f"The record costs {ours['added'] / theirs['added']:.2f} of the event of {name} "
                   f"({ours['added']:.0f} of {theirs['added']:.0f} ns).")
    for name in comparison.ordered():
        if name.startswith("strace") and of(name):
            yield f"Under {name} it takes {of(name)['share']:.0f} times its native time."


HEADING = "| | a receive | of native | adds | recorded | lost | requests to redis-server |"


def table_lines(comparison):
    """In Markdown."""
    yield HEADING
    yield "|---|" + "---|" * (HEADING.count("|") - 2)
    for name in comparison.ordered():
        yield row(comparison, name)
    yield ""
    if said := " ".join(verdicts(comparison)):
        yield said
        yield ""
    yield "; ".join(comparison.facts.values()) + "."


# ---- the picture ----

GNUPLOT = """
set terminal svg size 820,{height} font "sans-serif,13" background rgb "white"
set output "{output}"
set title "Time for one operation, as a multiple of the native time"
set logscale x
set xrange [0.8:{most}]
set yrange [{last}:-0.6]
set format x "%g"
set grid xtics ytics linecolor rgb "#dddddd" linetype 1
set border 1
set xtics nomirror
set ytics ({names}) nomirror scale 0
set key outside top center horizontal reverse Left samplen 1 width 2
set arrow from 1,graph 0 to 1,graph 1 nohead linecolor rgb "#888888"
$loop << END
{loop}
END
$redis << END
{redis}
END
plot $loop using 2:($1-0.16) with points pointtype 7 pointsize 0.9 linecolor rgb "#1f5fbf" title "receive of 1 byte, TCP", \\
     $loop using 2:($1-0.16):3 with labels left offset 0.8,0 textcolor rgb "#1f5fbf" notitle, \\
     $redis using 2:($1+0.2) with points pointtype 6 pointsize 0.9 linecolor rgb "#c04f15" title "request to redis-server", \\
     $redis using 2:($1+0.2):3 with labels left offset 0.8,0 textcolor rgb "#c04f15" notitle
"""


def label(share):
    return f"{share:.{digits(share)}f}"


def points(comparison, workload, names):
    for number, name in enumerate(names):
        figure = comparison.figures.get((workload, name))
        if figure:
            yield number, figure["share"], label(figure["share"])


def draw(comparison, output):
    names = [name for name in comparison.ordered() if name != peers.NATIVE]
    data = {workload: list(points(comparison, workload, names)) for workload in ("loop", "redis")}
    most = max(share for found in data.values() for _, share, _ in found)
    script = GNUPLOT.format(
        height=110 + 44 * len(names), output=output, most=4 * most, last=len(names) - 0.4,
        names=", ".join(f'"{name}" {number}' for number, name in enumerate(names)),
        **{workload: "\n".join(f'{number} {share:.4f} "{text}"' for number, share, text in found)
           for workload, found in data.items()})
    drawn = subprocess.run(["gnuplot"], input=script, capture_output=True, text=True, check=False)
    if drawn.returncode != 0:
        raise RuntimeError(f"gnuplot: {drawn.stderr.strip()}")


# ---- README ----

BEGIN, END = "<!-- printed by scripts/bench --peers -->\n", "<!-- as far as here -->\n"


def parts_of(path):
    """What stands before, between and after the marks."""
    text = path.read_text(encoding="utf-8")
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise RuntimeError(f"{path.name} is to have one line each of {BEGIN.strip()} and {END.strip()}")
    before, rest = text.split(BEGIN)
    shown, after = rest.split(END)
    return before, shown, after


def put_into(path, lines):
    before, _, after = parts_of(path)
    path.write_text(before + BEGIN + "\n".join(lines) + "\n" + END + after, encoding="utf-8")


def check(path, comparison, picture):
    """That a document and a picture say what the file says."""
    shown, lines = parts_of(path)[1].splitlines(), list(table_lines(comparison))
    if shown != lines:
        unlike = next((pair for pair in zip(shown, lines) if pair[0] != pair[1]), (shown[-1:], lines[-1:]))
        raise RuntimeError(f"{path.name} has\n{unlike[0]}\nand the file of measurements\n{unlike[1]}")
    drawn = picture.read_text(encoding="utf-8")
    for workload in ("loop", "redis"):
        for _, _, text in points(comparison, workload, comparison.ordered()[1:]):
            if f">{text}<" not in drawn:
                raise RuntimeError(f"{picture.name} does not have the {text} of the file of measurements")
