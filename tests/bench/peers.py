"""What others take for the same work: scripts/bench --peers.

A peer is a way to run a program so that its receives are recorded (or could be made to fail). Each is started several
times for each workload, in a place of its own, and once it has ended its record is read: what it has not, it must have
said that it lost."""
import collections
import contextlib
import functools
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "real"))
import rounds  # pylint: disable=wrong-import-position
import services  # pylint: disable=wrong-import-position
import throughput  # pylint: disable=wrong-import-position

LIMIT = 240  # seconds for what a peer takes to be read: only what hangs comes near
RING = 16 << 20  # bytes: the default size of a trace
RECORD = 128
EVENT = 52  # bytes that an event of LTTng takes
FEW = 1000  # receives before the first turn, where nothing has to be gone round once
CPUS = os.cpu_count()


# ---- the workloads ----


Answer = collections.namedtuple("Answer", "operations ns cpu_ns made")


class Loop:
    """receive_bench: nothing but receives of one byte."""

    name = "loop"
    functions, system_calls, ours = ["recv"], ["recvfrom"], "recv,recvfrom"
    most, trial, seconds = 4096, 64, 0.02  # receives of a turn, those of the first one of a peer, and its length

    def __init__(self, programs, scale):
        self.program, self.seconds = programs / "receive_bench", self.seconds * scale

    def start(self, place, tracer, environment, warmup, operations):
        with open(place / "log", "wb") as log:
            process = rounds.Process([*tracer, self.program, "tcp", 1, warmup, operations], environment, log)
        return Receiving(process, operations)


class Receiving:
    def __init__(self, process, operations):
        self.process, self.operations, self.pid = process, operations, process.pid

    def turn(self):
        ns, cpu_ns, made = self.process.turn()
        return Answer(self.operations, ns, cpu_ns, int(made))

    def end(self):
        self.process.end()


class Redis:
    """redis-server, which reads a request at a time from sixteen clients."""

    name = "redis"
    functions, system_calls, ours = ["read"], ["read", "readv", "recvfrom", "recvmsg"], "all"
    most, trial, seconds = throughput.REDIS_REQUESTS, 200, 0.3
    warmup_most = RING // RECORD // 2

    def __init__(self, _programs, scale):
        self.seconds *= scale

    def start(self, place, tracer, environment, warmup, operations):
        warmup = min(warmup, self.warmup_most, operations * 4)
        return Serving(throughput.Server("redis", str(place / "server"), environment, warmup, tracer,
                                         str(place / "log"), requests=operations), operations)


class Serving:
    """Costs are the time for each request."""

    def __init__(self, server, operations):
        self.server, self.operations, self.pid = server, operations, server.process.pid

    def turn(self):
        rate, cpu_rate = self.server.turn()
        return Answer(self.operations, 1e9 / rate, 1e9 / cpu_rate, self.server.answered)

    def end(self):
        self.server.end()


WORKLOADS = [Loop, Redis]


# ---- the peers ----

# How a program is run, with which variables; what must be mapped in it then; a function that says of so many receives
# how many are in the record, and how many the peer says that it lost; and where it says what is wrong, if not on stderr.
Tracer = collections.namedtuple("Tracer", "command environment mapped events complaints",
                                defaults=([], {}, None, None, None))
Peer = collections.namedtuple("Peer", "name tools warmup running")


def said_by(command, **options):
    done = subprocess.run(list(map(str, command)), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          errors="replace", timeout=LIMIT, check=False, **options)
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} ended with status {done.returncode}: {on_a_line(done.stderr)}")
    return done.stdout


def on_a_line(text):
    """What a tool said."""
    return " ".join(text.split()) or "it said nothing"


BEGUN, DONE = r"(?!\))", r".*\) += "  # behind a call's parenthesis: where it was written in two, one of each


def calls_in(path, names, part=BEGUN):
    """How many calls of these names a file has that has one on a line."""
    call = re.compile(rf"\b(?:{'|'.join(names)})\({part}")
    with open(path, encoding="utf-8", errors="replace") as lines:
        return sum(call.search(line) is not None for line in lines)


@contextlib.contextmanager
def native(_place, _workload):
    yield Tracer()


@contextlib.contextmanager
def libfiu(place, _workload):
    yield Tracer(["fiu-run", "-x", "-f", place / "fiu"], mapped="fiu_posix_preload.so")


class Recvshim:
    def __init__(self, library, command, **settings):
        self.library, self.command, self.settings = library, command, settings

    @contextlib.contextmanager
    def __call__(self, place, workload):
        environment = {"LD_PRELOAD": str(self.library), "RECVSHIM_CALLS": workload.ours}
        trace = place / "trace"
        if self.settings:
            environment |= {"RECVSHIM_TRACE": str(trace), **self.settings}
        yield Tracer(environment=environment, mapped=self.library.name,
                     events=functools.partial(self.events, trace) if self.settings else None)

    def events(self, trace, _made):
        stats = json.loads(said_by([self.command, "stats", "--format", "json", trace]))
        return stats["totals"]["receives"], sum(stats["losses"][kind] for kind in ("overwritten", "dropped", "died"))


class RecvshimRun:
    """The command, which prints every event while the program runs, as strace does."""

    def __init__(self, library, command):
        self.library, self.command = library, command

    @contextlib.contextmanager
    def __call__(self, place, workload):
        out = place / "events"

        def events(_made):
            said = (place / "log").read_text(encoding="utf-8", errors="replace")
            return calls_in(out, workload.functions), sum(map(int, re.findall(r"(\d+) of \d+ events lost", said)))

        yield Tracer([self.command, "run", "--calls", workload.ours, "-o", out, "--"],
                     {"RECVSHIM_LIBRARY": str(self.library)}, self.library.name, events)


class Lttng:
    """A session of a session daemon of its own, which streams to files: LTTng's way, where an event for which there is
    no room is discarded. Buffers are for each user and CPU."""

    def __init__(self, library, *buffers):
        self.library, self.buffers = library, buffers

    @contextlib.contextmanager
    def __call__(self, place, _workload):
        if not self.library.exists():
            raise RuntimeError("the event was not built: liblttng-ust-dev is needed")
        home = place / "lttng"
        (home / ".lttng").mkdir(parents=True)
        # A program that is busy for long as it starts would else go on without its session.
        environment = {"LTTNG_HOME": str(home), "LTTNG_UST_REGISTER_TIMEOUT": "-1"}
        command = ["lttng-sessiond", "--no-kernel", f"--apps-sock={home}/.lttng/lttng-ust-sock-8"]
        inside = []
        if os.geteuid() == 0:
            # Root's has its other sockets in /run, whatever LTTNG_HOME is: it gets one of its own.
            command = ["unshare", "--mount", "--propagation", "private", "sh", "-c",
                       'mount -t tmpfs none /run && exec "$@"', "sh", *command]
        log = place / "sessiond"
        variables = rounds.plain_environment() | environment
        with services.started(log, command, env=variables) as daemon:
            if os.geteuid() == 0:
                inside = ["nsenter", "--mount", f"--target={daemon.pid}"]

            def lttng(*words):
                return said_by([*inside, "lttng", "--no-sessiond", *words], env=variables)

            def listens():
                with contextlib.suppress(RuntimeError):
                    return lttng("list") is not None
                return False

            services.await_answer(daemon, log, listens)
            lttng("create", "receives", f"--output={home}/trace")
            lttng("enable-channel", "--userspace", *self.buffers, "receives")
            lttng("enable-event", "--userspace", "--channel=receives", "recvshim_bench:*")
            lttng("start")
            yield Tracer(environment=environment | {"LD_PRELOAD": str(self.library)}, mapped=self.library.name,
                         events=functools.partial(self.events, lttng, home / "trace"))
            lttng("destroy", "receives")

    def events(self, lttng, trace, _made):
        lttng("stop")
        lost = sum(map(int, re.findall(r"Discarded events: +(\d+)", lttng("list", "receives"))))
        counted = re.findall(r"(\d+) Event messages?$", said_by(["babeltrace2", trace, "-c", "sink.utils.counter"]),
                             re.MULTILINE)
        return int(counted[-1]) if counted else 0, lost


@contextlib.contextmanager
def uftrace(place, workload):
    """With the arguments and the results that the others have."""
    data, log = place / "uftrace", place / "uftrace-log"
    name = workload.functions[0]
    command = ["uftrace", "record", "--no-pager", "--force", f"--logfile={log}", f"--data={data}", f"--filter={name}",
               f"--argument={name}@arg1,arg3,arg4", f"--retval={name}@retval"]

    def events(_made):
        report = said_by(["uftrace", "report", "--no-pager", f"--data={data}", f"--filter={name}"])
        row = re.search(rf"(\d+)  {name}$", report, re.MULTILINE)
        lost = sum(map(int, re.findall(r"LOST (\d+)", log.read_text() if log.exists() else "")))
        return int(row[1]) if row else 0, lost

    yield Tracer(command, events=events)


@contextlib.contextmanager
def perf(place, workload):
    """It says what it lost in halves of calls, and not of all of them: here it is what is not there."""
    out = place / "perf"

    def events(made):
        recorded = calls_in(out, workload.system_calls, DONE)
        if recorded == 0:
            raise RuntimeError(f"of {made} receives it recorded none: {on_a_line(out.read_text(errors='replace'))}")
        return recorded, max(0, made - recorded)

    yield Tracer(["perf", "trace", "-e", ",".join(workload.system_calls), "-o", out, "--"], events=events,
                 complaints=out)


@contextlib.contextmanager
def strace(place, workload, options=()):
    out = place / "strace"
    command = ["strace", "-f", *options, "-e", "trace=" + ",".join(workload.system_calls), "-e", "signal=none", "-qq"]
    yield Tracer([*command, "-o", out], events=lambda _made: (calls_in(out, workload.system_calls), 0))


@contextlib.contextmanager
def ltrace(place, workload):
    out = place / "ltrace"
    yield Tracer(["ltrace", "-f", "-e", "+".join(workload.functions), "-o", out],
                 events=lambda _made: (calls_in(out, workload.functions), 0))


@contextlib.contextmanager
def leaving_nothing():
    """LTTng has files in shared memory, at which programs without a session daemon wait, and does not remove them."""
    def files():
        return set(Path("/dev/shm").glob("lttng-ust-wait-*"))

    before = files()
    try:
        yield
    finally:
        for file in files() - before:
            file.unlink(missing_ok=True)


NATIVE = "native"
OURS, THEIRS = "recvshim, traced", "LTTng-UST"


def table(programs, library, command):
    """All of them. `library` and `command` are ours."""
    ours = functools.partial(Recvshim, library, command)
    theirs = functools.partial(Lttng, programs / "liblttng_receive.so")
    lttng = ["lttng", "lttng-sessiond", "babeltrace2"]
    return [
        Peer(NATIVE, [], FEW, native),
        Peer("libfiu, nothing armed", ["fiu-run"], FEW, libfiu),
        Peer("recvshim, idle", [], FEW, ours()),
        Peer(OURS, [], RING // RECORD // CPUS, ours(RECVSHIM_SIZE=str(RING))),
        Peer("recvshim, traced, nothing overwritten", [], 0, ours(RECVSHIM_SIZE=str((4 * RING) * CPUS))),
        Peer("recvshim run -o FILE", [], RING // RECORD // CPUS, RecvshimRun(library, command)),
        Peer(THEIRS, lttng, (2 << 20) // EVENT, theirs()),
        Peer("LTTng-UST, large buffers", lttng, (16 << 20) // EVENT, theirs("--subbuf-size=4M", "--num-subbuf=4")),
        Peer("uftrace", ["uftrace"], FEW, uftrace),
        Peer("perf trace", ["perf"], FEW, perf),
        Peer("strace --seccomp-bpf", ["strace"], FEW, functools.partial(strace, options=["--seccomp-bpf"])),
        Peer("strace", ["strace"], FEW, strace),
        Peer("ltrace", ["ltrace"], FEW, ltrace),
    ]


# ---- one that runs ----


def maps_of(pid):
    return "".join(Path(f"/proc/{each}/maps").read_text(encoding="utf-8") for each in throughput.family(pid))


class Run:
    """A program under a peer, from its start to its end; then it has `events`: made, recorded, lost."""

    def __init__(self, peer, workload, place, operations):
        self.place, self.made, self.events = place, 0, None
        place.mkdir()
        with contextlib.ExitStack() as stack:
            stack.callback(shutil.rmtree, place, ignore_errors=True)
            self.tracer = stack.enter_context(peer.running(place, workload))
            environment = rounds.plain_environment() | self.tracer.environment
            with self.explained():
                self.process = workload.start(place, self.tracer.command, environment, peer.warmup, operations)
            self.stack = stack.pop_all()

    @contextlib.contextmanager
    def explained(self):
        """What goes wrong meanwhile is told with what the peer said."""
        try:
            yield
        except FAILURES as failure:
            files = [file for file in (self.place / "log", self.tracer.complaints) if file is not None and file.exists()]
            said = " ".join(file.read_text(errors="replace") for file in files)
            told = on_a_line(str(failure)).strip(": ")
            more = on_a_line(said)
            raise RuntimeError(f"{told}: {more}" if said and more not in told else told) from failure

    def turn(self):
        with self.explained():
            answer = self.process.turn()
        self.made = answer.made
        return answer

    def end(self):
        with self.stack:
            if self.tracer.mapped is not None and self.tracer.mapped not in maps_of(self.process.pid):
                self.process.end()
                raise RuntimeError(f"{self.tracer.mapped} is not in the program")
            self.process.end()
            if self.tracer.events is None:
                return
            recorded, lost = self.tracer.events(self.made)
            if recorded + lost < self.made:
                raise RuntimeError(f"of {self.made} receives it recorded {recorded}, and says that it lost {lost}")
            self.events = self.made, recorded, lost

    def abandon(self):
        """Where something has gone wrong."""
        with self.stack, contextlib.suppress(*FAILURES):
            self.process.end()


FAILURES = RuntimeError, OSError, subprocess.SubprocessError


class Contender:
    """A peer under a workload. What fails is told, and does without the rest of its turns: `missing` says why."""

    def __init__(self, peer, workload, place):
        self.peer, self.workload, self.place = peer, workload, place
        self.run, self.missing = None, None
        tools = [tool for tool in peer.tools if shutil.which(tool) is None]
        if tools:
            self.missing = f"{tools[0]} is not installed"
        self.operations = workload.trial
        try:
            self.start()
            self.turn()  # the first is slower
            answer = self.turn()
        finally:
            self.end()
        if answer is not None:
            wanted = int(workload.seconds * 1e9 / answer.ns)
            self.operations = max(workload.trial, min(workload.most, wanted))

    def attempt(self, action):
        if self.missing is not None:
            return None
        try:
            return action()
        except FAILURES as failure:
            self.missing = on_a_line(str(failure).replace(str(self.place), "..."))[:200]
            if self.run is not None:
                self.run.abandon()
        return None

    def start(self):
        self.run = self.attempt(lambda: Run(self.peer, self.workload, self.place, self.operations))

    def turn(self):
        return self.attempt(lambda: self.run.turn())

    def end(self):
        """Returns what it made, recorded and lost."""
        if self.run is None:
            return None
        self.attempt(self.run.end)
        run, self.run = self.run, None
        return run.events if self.missing is None else None


def await_quiet():
    """Until nothing else runs, so that what one leaves to be done is not done in the next one's time; for 50 ms at
    most, since there may be others on the machine."""
    deadline = time.monotonic() + 0.05
    while time.monotonic() < deadline:
        if Path("/proc/loadavg").read_text(encoding="ascii").split()[3].startswith("1/"):
            return
        time.sleep(0.0005)
