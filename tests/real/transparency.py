#!/usr/bin/env python3
"""The system calls of a program, from the end of the library's constructor on, are those that it makes without the
library. Each victim of tests/programs, and some programs of Debian, run under strace natively and in each way to use
the library, and thread by thread the calls are compared: their names, arguments and results. Then each runs under a
filter of seccomp that kills it for any call that it did not make natively.

Usage: transparency.py LIBRARY VICTIMS [unittest arguments]
"""
import collections
import difflib
import functools
import http.server
import itertools
import os
import re
import signal
import shutil
import sys
import tempfile
import threading
import unittest

import finished
import services
import strace

LIBRARY = VICTIMS = None
PORT = r"(?:3[2-9]|4\d|5\d|60)\d\d\d\b"  # of the kernel's choice
BEGIN = 'write(-1, "main", 4)'  # victim library confined.so makes it as a program begins
# Heaps of threads are put in order by calls that depend on where the kernel has put them.
STEADY = {"GLIBC_TUNABLES": "glibc.malloc.arena_max=1", "PYTHONHASHSEED": "0", "LC_ALL": "C"}
STRACE = ["strace", "-f", "-qq", "-s", "32", "-e", "signal=none"]

MAKES_CHILD = re.compile(r"(?:clone3?|v?fork)\(.* = (\d+)$")
OF_IDS = re.compile(r"(?:clone3?|v?fork|wait\w+|get\w*[pgst]id|set\w*id|\w*kill|rt_\w*sigqueueinfo|"
                    r"set_tid_address|exit|"
                    r"sched_\w+|prlimit64|futex|pidfd_open|openat|open|readlink|recvmsg|sendmsg|getsockopt|unshare)\(")
# What differs between two native runs.
VARIES = [(re.compile(pattern), by) for pattern, by in (
    (r'"(?:[^"\\]|\\.)*"\.\.\.', "TEXT"),
    (r'^((?:recv|send|read|write|p(?:read|write)|getrandom)\w*\(.*?)"(?:[^"\\]|\\.)*"', r"\1TEXT"),
    (r'\b(iov_base|sa_data)="(?:[^"\\]|\\.)*"', r"\1=TEXT"),
    (r"/tmp/(\w+)\.\w{6}", r"/tmp/\1.XXXXXX"),
    (r"\bstack_size=\w+", "stack_size=SIZE"),  # with room for all thread-local storage
    (r"^rt_sigreturn\(.*", "rt_sigreturn()"),
    (r'^(execve\("[^"]*"), .*\)', r"\1)"),
    (r"\bmsg_flags=\w+", "msg_flags=..."),
    (r" +/\* \d+ vars \*/", ""),
    (r"\b0x[0-9a-f]{5,}\b", "ADDRESS"),
    (r"\[/\* \d+ .*?\*/\]", "[...]"),
    (r"htons\([1-9]\d*\)", "htons(PORT)"),
    (r"\btv_(sec|nsec|usec)=\d+", r"tv_\1=TIME"),
    (r"\bsocket:\[\d+\]", "socket:[INODE]"),
    (r"\bst_\w+=[^,}]*", "..."),
    (r" \([A-Z][^()]*\)$", ""),  # what an errno means
    (r"^(exit(?:_group)?\(.*\)) += \?$", r"\1"),
    (r"^write\(([12]), TEXT, \d+\) += \d+", r"write(\1, TEXT)"),  # what it says of ports and ids
    # What the kernel refuses to look at is not the same twice.
    (r"^(readv\(\d+, )\[.*\](, \d+\) += -1 EINVAL)", r"\1...\2"),
    (r"^rt_sigaction\(SIGBUS, .*", "rt_sigaction(SIGBUS, ...)"),  # guard.c has a handler for it
    (r"^(getdents64\(\d+, .*\) += )[1-9]\d*$", r"\1..."),  # ids have more digits, or fewer
    # An address that the program did not ask for is received with the same system call.
    (r"^(accept4?\(\d+), (?:NULL|\{.*?\}|ADDRESS), (?:NULL|\[.*?\]|ADDRESS)", r"\1"),
    (r"^(recvfrom\(\d+, .*, \d+, [A-Z_0|]+), (?:NULL|\{.*?\}|ADDRESS), (?:NULL|\[.*?\]|ADDRESS)", r"\1"),
    (r"(?<=msg_)name=(?:NULL|\{.*?\}|ADDRESS), msg_namelen=[^,]*", "name=..."),
    (r"^(recvfrom\(.*), \d{0,2}?" + PORT + ", ", r"\1, TAG, "),  # tagged.h
)]
# Waiting, as often as it takes: for a thread, which may be over already; for others to go on.
WAITS = re.compile(r"^(?:futex\(ADDRESS, FUTEX_WAIT_BITSET\|FUTEX_CLOCK_REALTIME, <|sched_yield\()")
WAITS_AND_LOOKS = re.compile(r"^openat\(AT_FDCWD, \"/proc/[^\"]*/(?:syscall|wchan|stat|status)\"")


def tell_apart(lines):
    """thread -> its label: "0" is the first, "0.1" the second that that one made."""
    labels, made, seen = {}, collections.Counter(), []
    for line in lines:
        thread, call = line.split(" ", 1)
        if thread not in seen:
            seen.append(thread)
        child = MAKES_CHILD.match(call.lstrip())
        if child:
            labels[child[1]] = thread, made[thread]
            made[thread] += 1

    def label(thread):
        if thread not in labels:
            return "0" if thread == seen[0] else f"?{seen.index(thread)}"
        return f"{label(labels[thread][0])}.{labels[thread][1]}"
    return {thread: label(thread) for thread in dict.fromkeys([*seen, *labels])}


def settle(call, labels, directory):
    """The same text for a call that is the same."""
    call = call.replace(directory, "DIRECTORY")
    if OF_IDS.match(call):
        call = re.sub(r"\b\d+\b", lambda number: f"<{labels[number[0]]}>" if number[0] in labels else number[0], call)
    for pattern, by in VARIES:
        call = pattern.sub(by, call)
    return re.sub(r"\) += ", ") = ", call)


def without_waits(calls):
    """Without what a victim looks at again and again until another sleeps."""
    kept, looking = [], False
    for call in calls:
        looking = looking or WAITS_AND_LOOKS.match(call)
        if not looking and not WAITS.match(call):
            kept.append(call)
        looking = looking and not call.startswith("close(")
    return kept


def name_of(call):
    return call.split("(", 1)[0]


def own_calls(path, directory):
    """thread -> its calls from the beginning of the program on, and of each program that it becomes by exec; and the
    names of the calls by which a program starts."""
    lines = [line for line in strace.whole_lines(path) if not re.match(r"\d+ +[+-]{3}", line)]
    labels, threads = tell_apart(lines), collections.defaultdict(list)
    starting = {}  # the calls of a program's loader, which are dropped once it turns out that it begins
    names = set()
    for line in lines:
        thread, call = line.split(" ", 1)
        call = call.lstrip()
        label = labels[thread]
        if call.startswith(BEGIN):
            names.update(map(name_of, threads[label][starting[label]:]))
            del threads[label][starting[label]:]
            continue
        threads[label].append(settle(call, labels, directory))
        if call.startswith("execve(") and call.endswith(" = 0"):
            starting[label] = len(threads[label])
    for label, calls in threads.items():
        threads[label] = without_waits(calls)
    threads["0"] = threads["0"][1:]  # its own execve
    return dict(threads), names


# What a traced program may be asked besides: README.md, "Connections". And a child of fork, who it is.
LOOK_UPS = re.compile(r"getppid\(|getsockname\(|getpeername\(|getsockopt\(\d+, SOL_SOCKET, SO_(?:TYPE|DOMAIN), |"
                      r"getsockopt\(\d+, SOL_TCP, TCP_INFO, |"
                      r"ppoll\(\[\{fd=\d+, events=POLLRDHUP\}\], 1, \{tv_sec=TIME, tv_nsec=TIME\}, NULL, 0\)")


# The source of a datagram is looked up by another call, which the kernel takes a read of a socket for anyway.
OF_DATAGRAMS = [(re.compile(pattern), by) for pattern, by in (
    (r"^read(\(\d+, TEXT, \d+)\)", r"recvfrom\1, 0)"),
    (r"^readv\((\d+), (.*), (\d+)\)",
     r"recvmsg(\1, {msg_name=..., msg_iov=\2, msg_iovlen=\3, msg_controllen=0, msg_flags=...}, 0)"),
)]


def with_sources(calls):
    for pattern, by in OF_DATAGRAMS:
        calls = [pattern.sub(by, call) for call in calls]
    return calls


def differences(native, calls, extra, left_out):
    """What is missing of the native calls, and what is there besides and not among `extra`, as lines of a diff."""
    if extra:
        native, calls = with_sources(native), with_sources(calls)
    if left_out:
        native, calls = ([call for call in each if not left_out.match(call)] for each in (native, calls))
    rest, besides = collections.deque(native), collections.Counter(calls)
    besides.subtract(native)
    for call in calls:
        if rest and rest[0] == call:
            rest.popleft()
    if not rest and all(extra and extra.match(call) for call, count in besides.items() if count):
        return []
    lines = difflib.unified_diff(native, calls, lineterm="", n=0)
    return [line for line in itertools.islice(lines, 2, None) if not line.startswith("@@")]


# Which victims may make which other calls where they are traced, and why; with look-ups, or without them, too.
IDENTITY = r"get(?:p|pp|t)id\("
OWN_WITH_LOOK_UPS = {
    # A child of vfork shares its parent's memory: it is asked who it is before each receive.
    "vfork|spawner": r"getpid\(",
    # libc does not know of a child of a raw clone.
    "children clone|edges cloned": IDENTITY,
    # libc itself has put a file in the place of a socket: it is read, and asked about, as one. README.md, "What it
    # cannot see".
    "no_socket replaced": r"recvfrom\(\d+, ADDRESS, .* = -1 ENOTSOCK|rt_sig(?:action|procmask)\(\w+, NULL, |"
                          r"rt_sigaction\(SIGBUS, ",
}
OWN_OF_A_TRACE = {
    # The library's handler puts the default one in its place and lets the fault, or the signal, happen again.
    "own_sigbus kind=(?:default|sent)": r"rt_sigaction\(SIGBUS|rt_sigreturn\(|tgkill\(|" + IDENTITY,
    # Before an interrupted read is retried: is it a socket's?
    "no_socket replaced": r"getsockopt\(\d+, SOL_SOCKET, SO_TYPE, ADDRESS, \[4\]\) = -1 ENOTSOCK",
}
# What retrying takes: README.md, "Connections". And where it is asked, which signals may have interrupted.
RETRIES = re.compile(r"ppoll\(|getsockopt\(\d+, SOL_SOCKET, SO_(?:RCVTIMEO\w*|RCVLOWAT|TYPE|DOMAIN), |"
                     r"fcntl\(\d+, F_GETFL\)|ioctl\(\d+, SIOCATMARK, |rt_sigprocmask\(SIG_(?:BLOCK|SETMASK), |"
                     r"recv(?:from|msg)\(|rt_sigreturn\(")
SUSPECTS = r"rt_sig(?:action|procmask)\(\w+, NULL, |rt_sigaction\(SIGBUS, |rt_sigpending\("

# What differs between two native runs: which thread is first, whether something is tried again (mkstemp throws what it
# drew away now and then).
RACES = {
    "cancel ": r"futex\(",
    "linklocal": r"bind\(.* = -1 EADDRNOTAVAIL|clock_nanosleep\(",
    "locks": r"getrandom\(",
    "messages batch": r"getsockopt\(\d+, SOL_SOCKET, SO_MEMINFO, ",
}
# Not run under a filter.
NOT_CONFINED = {
    "own_sigbus kind=default": "dies either way",
    "own_sigbus kind=sent": "dies either way",
    "no_socket replaced": "nothing may ask whether it still is a socket, and its interrupted read is retried",
}


def allowed(victim, way):
    """A regular expression for what it may do besides; None for nothing."""
    own = [pattern for table, holds in ((OWN_WITH_LOOK_UPS, way.extra), (OWN_OF_A_TRACE, way.trace)) if holds
           for which, pattern in table.items() if re.search(which, victim)]
    if way.extra:
        own.append(way.extra.pattern)
    return re.compile("|".join(own)) if own else None


# Victims that receive while signals come, or threads and processes race: which calls they make, but not how often,
# is the same each time.
RESTLESS_ROWS = """
alarm_timeout
term_flag
unseen
stopped timeout=500
interrupted tick=10 restart=1 timeout=300
interrupted tick=10 send-at=5
interrupted tick=10 timeout=200
interrupted tick=50 waitall=1 length=10 ready=4
interrupted tick=50 timeout=200 socket=accepted
interrupted tick=50 timeout=200 socket=dup
interrupted tick=50 timeout=200 socket=inherited
first6
passed
poll_error
jump times=50
in_handler handled=200
locked_in timeout=0 send-at=3
storm megabytes=1
scattered
churn connections=40
prefork each connections=5
prefork workers connections=5
deadlines way=taken timeout=500 tick=20000
deadlines way=expiry timeout=5 times=5 tick=1000
deadlines way=urgent timeout=1000
cells socket=tcp cells=15r-k,10-tc
handler_races
family received
brief way=fork processes=3 at_once=1
by_call interrupted call=recv
by_call interrupted call=read
by_call interrupted call=recvmsg
by_call timeout call=recv
by_call timeout call=readv
edges vfork-in-handler
edges vfork-jumped-out-of
""".split("\n")[1:-1]
# Programs that are not run here.
NOT_RUN = {
    "contended delayed faulted": "are about faults that the library injects",
    "bus counted lockstep meddle mixed switched_on": "are driven by their test, through files or the trace",
    "cancel_late jump_gathered sentinel": "need another preload, or retries, for what they are about",
    "old_kernel old_start defects": "run others, or are built by their tests",
    "timeouts signal_storm": "take long",
}


class Way:
    """One way to run a program."""

    def __init__(self, library=True, trace=True, extra=None, **environment):
        self.library, self.trace, self.extra, self.environment = library, trace, extra, environment


NATIVE = Way(library=False, trace=False)
WAYS = {
    "idle": Way(trace=False, RECVSHIM_CALLS="recv,recvfrom"),
    "idle, all calls": Way(trace=False, extra=LOOK_UPS),
    "traced without look-ups": Way(RECVSHIM_LOOKUP="off"),
    "traced": Way(extra=LOOK_UPS),
}

VICTIM_ROWS = """
addrlen
edges read-only-frame
edges six-arguments
edges vfork-filter
edges vfork-receives
edges vfork-forks
edges cloned
edges lengths
edges refused-then-listening
calls
calls_fortified
calls_lazy
calls_no_plt
by_call stream call=recv
by_call stream call=recvfrom
by_call stream call=recvmsg
by_call stream call=recvmmsg
by_call stream call=read
by_call stream call=readv
by_call datagrams call=recv
by_call datagrams call=recvfrom
by_call datagrams call=recvmsg
by_call datagrams call=recvmmsg
by_call datagrams call=read
by_call datagrams call=readv
by_call reset call=recv
by_call reset call=recvfrom
by_call reset call=recvmsg
by_call reset call=recvmmsg
by_call reset call=read
by_call reset call=readv
by_call refused call=recv
by_call refused call=recvfrom
by_call refused call=recvmsg
by_call refused call=recvmmsg
by_call refused call=read
by_call refused call=readv
by_call filtered call=recv
by_call filtered call=recvfrom
by_call filtered call=recvmsg
by_call filtered call=recvmmsg
by_call filtered call=read
by_call filtered call=readv
no_socket files
no_socket reused
no_socket passed
no_socket long
no_socket replaced
no_socket closed
no_socket copies
no_socket memory
cancel times=20
children
children fork
children clone
children vfork
children spawn
children exec
children fork-vfork
children namespace
cleared closefrom
cleared close_range
cleared close_ranges
cleared close
cleared dup2
cleared mark
cleared unseen
copies
ends fin
ends fin-by-shutdown
ends reset-after-data
ends reset-unread
ends reset-unread-after-data
ends reset-after-fin
ends unix-close
ends unix-unread
ends unix-shutdown
ends seqpacket-unread
ends seqpacket-empty
ends fin-unread
ends reset-unseen
ends program
ends program-unix
ends program-without-data
family fork
family exec
family vfork
family spawn
family born
fastopen
filtered
filtered fork=1
footprint
gaps local module={victims}/module.so
gaps deep module={victims}/module.so
gaps namespace module={victims}/module.so
gaps raw module={victims}/module.so
gaps stdio module={victims}/module.so
handed
handlers running
handlers reset
handlers nesting
handlers errno
handlers replacing
handlers context
hangup eof
hangup peeked
hangup reset
hangup empty-datagram
hangup zero-request
hangup seqpacket
hangup unix-stream
hangup reused
hangup refused
hangup misused
hangup would-block
hangup truncated
inherited
late
leaves closefrom
leaves close
leaves dup2
leaves chroot
leaves setuid
leaves daemon
life accepted
life accepted-without-address
life refused
life under-way
life asked-again
life dissolved
life datagrams
life invalid
life exit
life underscore
life children
life signal
linklocal
locks
many_handlers
messages ancillary
messages rights
messages batch
messages packets
messages end
overlaid
own_sigbus kind=handled
own_sigbus kind=default
own_sigbus kind=sent
overflow_fortified recv
queues out-of-band
queues error-queue
queues empty-error-queue
queues error-told
queues error-queue-of-a-stream
queues nothing-asked-for
queues peeked
queues empty-datagrams
readback
scope_seen
shut reading
shut both
shut writing
shut writing-then-reset
shut writing-after-the-end
shut writing-then-close
shut unix-reading
shut unix-both
shut unix-writing
shut copy-reading
shut replaced
small_stack
spawner
spawner fork=1
threads threads=2 each=20
""".split("\n")[1:-1]


# Under a filter: one that the library sees being installed, and one that it knows nothing of.
CONFINED_WAYS = {
    "idle": Way(trace=False),
    "traced": Way(),
    "traced without look-ups, unknown filter": Way(RECVSHIM_LOOKUP="off", CONFINED_SILENTLY="1"),
}


def system_call_numbers():
    with open(f"/usr/include/{os.uname().machine}-linux-gnu/asm/unistd_64.h", encoding="ascii") as header:
        return {name: int(number) for name, number in re.findall(r"#define __NR_(\w+) (\d+)", header.read())}


NUMBERS = system_call_numbers()
# Made or not, as threads, signals and the kernel's timers have it.
UP_TO_CHANCE = {"clock_nanosleep", "futex", "getrandom", "restart_syscall", "rt_sigreturn", "sched_yield"}


def same_output(native, again, out):
    """Whether the output is the native one but for what differs from run to run."""
    words = [re.sub(r"\b\d{0,2}?" + PORT, "PORT", text).split() for text in (native, again, out)]
    return len(set(map(len, words))) == 1 and all(a != b or a == c for a, b, c in zip(*words))


RESTLESS_WAYS = {
    "nothing is retried": Way(RECVSHIM_EINTR="never", RECVSHIM_LOOKUP="off"),
    "idle": Way(trace=False, extra=re.compile(f"{RETRIES.pattern}|{LOOK_UPS.pattern}")),
    "without look-ups": Way(RECVSHIM_LOOKUP="off", extra=RETRIES),
    "traced": Way(extra=re.compile(f"{RETRIES.pattern}|{SUSPECTS}|{LOOK_UPS.pattern}|{IDENTITY}")),
}
FATAL = {signal.SIGSYS, signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS}


def kind_of(call):
    """A call, with what it is told to do where it does many things."""
    found = re.match(r"(?:[gs]etsockopt\(\d+, \w+, \w+|(?:fcntl|ioctl)\(\d+, \w+|rt_sigaction\(\w+, NULL|\w+)", call)
    return re.sub(r"\(\d+, ", "(", found[0])


def command_of(victim):
    name, *arguments = victim.format(victims=VICTIMS).split()
    return [f"{VICTIMS}/{name}", *arguments]


class Transparency(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(dir="/dev/shm")
        self.addCleanup(shutil.rmtree, self.directory)

    def strace(self, way, command):
        """Returns each thread's calls, the names of those by which a program starts, and how it ended."""
        directory = tempfile.mkdtemp(dir=self.directory)
        path = os.path.join(directory, "strace")
        settings = [f"--env={name}={value}" for name, value in self.environment(way, directory).items()]
        done = finished.run([*STRACE, "-o", path, *settings, *command])
        return *own_calls(path, directory), done

    def confine(self, way, command, names):
        """Run it under a filter that kills for any other call. Returns how it ended."""
        numbers = ",".join(str(NUMBERS[name]) for name in sorted(names))
        environment = self.environment(way, tempfile.mkdtemp(dir=self.directory))
        return finished.run(["env", *(f"{name}={value}" for name, value in environment.items()),
                             f"CONFINED_TO={numbers}", *command])

    def survive(self, command, names, ended):
        """A filter that allows just these calls."""
        again = self.confine(NATIVE, command, names)
        self.assertEqual(again.returncode, ended.returncode, "the filter is too strict")
        for label, way in CONFINED_WAYS.items():
            with self.subTest(filter=label):
                done = self.confine(way, command, names)
                self.assertEqual(done.returncode, ended.returncode, done)
                self.assertTrue(same_output(ended.stdout, again.stdout, done.stdout),
                                f"{done.stdout!r} instead of {again.stdout!r}")

    def kinds(self, way, command):
        """What is asked for by the calls -> an example of each."""
        calls, _, done = self.strace(way, command)
        self.assertNotIn(-done.returncode, FATAL)
        return {kind_of(call): call for thread in calls.values() for call in thread}, done

    @staticmethod
    def environment(way, directory):
        trace = {"RECVSHIM_TRACE": os.path.join(directory, "trace.%p")} if way.trace else {}
        libraries = [LIBRARY] * way.library + [f"{VICTIMS}/confined.so"]
        return {**STEADY, "RECVSHIM_CALLS": "all", **trace, **way.environment, "LD_PRELOAD": " ".join(libraries)}


class Victims(Transparency):
    """Each in a test of its own."""

    def compare(self, victim, way, native, calls):
        self.assertEqual(calls.keys(), native.keys(), "processes and threads")
        races = next((re.compile(pattern) for which, pattern in RACES.items() if victim.startswith(which)), None)
        differ = {thread: differences(native[thread], calls[thread], allowed(victim, way), races) for thread in native}
        self.assertFalse(any(differ.values()), "\n".join(["calls differ:", *(
            f"  thread {thread}: {line}" for thread, lines in differ.items() for line in lines)]))

    def check(self, victim):
        command = command_of(victim)
        native, _, ended = self.strace(NATIVE, command)
        starting = set()
        for label, way in WAYS.items():
            with self.subTest(way=label):
                calls, starting, done = self.strace(way, command)
                self.assertEqual(done.returncode, ended.returncode)
                self.compare(victim, way, native, calls)
        names = UP_TO_CHANCE.union(*(map(name_of, calls) for calls in native.values()))
        if "execve" in names:
            names |= starting
        if victim not in NOT_CONFINED:
            self.survive(command, names, ended)

    def check_restless(self, victim):
        """Each call is one that was made natively, or one of a retry; where nothing is retried, just of the first."""
        command = command_of(victim)
        native, _ = self.kinds(NATIVE, command)
        for label, way in RESTLESS_WAYS.items():
            with self.subTest(way=label):
                calls, _ = self.kinds(way, command)
                self.assertFalse({call: example for call, example in calls.items() if call not in native
                                  and not (way.extra and way.extra.match(example))})


for row in VICTIM_ROWS:
    setattr(Victims, "test_" + re.sub(r" module=.*|\W+$", "", row).replace(" ", "_").replace("-", "_"),
            functools.partialmethod(Victims.check, row))
for row in RESTLESS_ROWS:
    setattr(Victims, "test_restless_" + re.sub(r"\W", "_", row), functools.partialmethod(Victims.check_restless, row))


class Coverage(unittest.TestCase):
    def test_no_victim_is_forgotten(self):
        run = {row.split()[0] for row in VICTIM_ROWS + RESTLESS_ROWS}
        left_out = set(" ".join(NOT_RUN).split())
        victims = {name for name in os.listdir(VICTIMS) if os.access(f"{VICTIMS}/{name}", os.X_OK)
                   and os.path.isfile(f"{VICTIMS}/{name}") and not name.endswith(".so")}
        self.assertEqual(victims - run - left_out - OTHERWISE_BUILT, set())


# Of victims that are run, built or linked otherwise.
OTHERWISE_BUILT = {"old_locks", "calls_old", "calls_static_pie", "linked"}


class Programs(Transparency):
    """Of Debian. What comes in one piece and what in two is up to chance: calls are compared as those of victims that
    receive while signals come, and nothing is retried."""

    def compare_kinds(self, command, expected):
        native, ended = self.kinds(NATIVE, command)
        for label, way in WAYS.items():
            with self.subTest(way=label):
                calls, done = self.kinds(way, command)
                self.assertEqual(done.stdout, expected)
                extra = {call: example for call, example in calls.items() if call not in native
                         and not (way.extra and way.extra.match(example))}
                self.assertFalse(extra)
        names = UP_TO_CHANCE | {kind.split("(")[0] for kind in native}
        self.survive(command, names, ended)

    def serve(self):
        class Page(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Length", str(len(PAGE)))
                self.end_headers()
                self.wfile.write(PAGE.encode())

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return server.server_port

    def test_curl(self):
        self.compare_kinds(["curl", "-s", f"http://127.0.0.1:{self.serve()}/"], PAGE)

    def test_python(self):
        self.compare_kinds(["/usr/bin/python3", "-c", PYTHON_READS, str(self.serve())], PAGE)

    def test_socat(self):
        """One process that reads a page and writes it to a file."""
        request, page = (os.path.join(self.directory, name) for name in ("request", "page"))
        with open(request, "w", encoding="ascii") as file:
            file.write("GET / HTTP/1.0\r\n\r\n")
        self.compare_kinds(["socat", "-t", "9", f"OPEN:{request},rdonly!!CREATE:{page}",
                            f"TCP:127.0.0.1:{self.serve()}"], "")
        with open(page, encoding="ascii", newline="") as file:
            self.assertEqual(file.read().split("\r\n\r\n")[1], PAGE)

    def test_redis_cli(self):
        with services.redis_server(self.directory) as port:
            self.compare_kinds(["redis-cli", "-p", str(port), "echo", "hello"], "hello\n")


PAGE = "".join(f"{i}\n" for i in range(3000))
PYTHON_READS = """
import sys, urllib.request
sys.stdout.write(urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[1]}/").read().decode())
"""


if __name__ == "__main__":
    LIBRARY, VICTIMS = map(os.path.abspath, sys.argv[1:3])
    unittest.main(argv=sys.argv[:1] + sys.argv[3:])
