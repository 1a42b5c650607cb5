#!/usr/bin/env python3
"""The system calls of a program, from the end of the library's constructor on, are those that it makes without the
library. Each victim of tests/programs runs under strace natively and in each way to use the library, and thread by
thread the calls are compared: their names, arguments and results. Then each runs under a filter of seccomp that kills
it for any call that it did not make natively.

Usage: transparency.py LIBRARY VICTIMS [unittest arguments]
"""
import functools
import os
import re
import unittest

import transparent
from system_calls import differences
from transparent import LOOK_UPS, NATIVE, WAYS, Way

# Which victims may make which other calls where they are traced, and why; with look-ups, or without them, too.
IDENTITY = r"get(?:p|pp|t)id\("
OWN_WITH_LOOK_UPS = {
    # A child of vfork shares its parent's memory: it is asked who it is before each receive.
    "vfork|spawner": r"getpid\(",
    # libc does not know of a child of a raw clone, and calls no handlers for one of _Fork.
    "children clone|children _Fork|edges cloned": IDENTITY,
    # A file that was put in the place of a socket unseen: it is read, and asked about, as one. README.md, "What it
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
                     r"fcntl(?:64)?\(\d+, F_GETFL\)|ioctl\(\d+, SIOCATMARK, |rt_sigprocmask\(SIG_(?:BLOCK|SETMASK), |"
                     r"recv(?:from|msg)?\(|rt_sigreturn\(")
SUSPECTS = r"rt_sig(?:action|procmask)\(\w+, NULL, |rt_sigaction\(SIGBUS, |rt_sigpending\("

# What differs between two native runs: which thread is first, how many ticks there are, whether something is tried again
# (mkstemp throws what it drew away now and then).
RACES = {
    "no_socket files": r"rt_sigreturn\(",
    "no_socket replaced": r"rt_sigreturn\(",
    "unnoted": r"rt_sigreturn\(",
    "small_stack": r"rt_sigreturn\(",
    "cancel ": r"futex\(",
    "linklocal": r"bind\(.* = -1 EADDRNOTAVAIL|clock_nanosleep\(",
    "locks": r"getrandom\(",
    "no_socket files": r"rt_sigreturn\(",  # a timer that goes on
    "no_socket replaced": r"rt_sigreturn\(",
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
stopped timeout=240000 send=1
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
handler_races rounds=500
family received
environment way=cleared
environment way=overwritten
environment way=rewritten
environment way=null
brief way=fork processes=3 at_once=1
by_call interrupted call=recv
by_call interrupted call=read
by_call interrupted call=recvmsg
by_call timeout call=recv
by_call timeout call=readv
edges vfork-in-handler
edges vfork-jumped-out-of
own_threads started=c11
own_threads started=posix
repieced call=readv
repieced call=recvmsg
""".split("\n")[1:-1]
# Programs that are not run here.
NOT_RUN = {
    "contended delayed faulted": "are about faults that the library injects",
    "bus counted lockstep meddle mixed switched_on": "are driven by their test, through files or the trace",
    "cancel_late jump_gathered sentinel": "need another preload, or retries, for what they are about",
    "old_kernel old_start defects": "run others, or are built by their tests",
    "timeouts signal_storm": "take long",
    "wild": "crashes, where the kernel would refuse: README.md, \"What it cannot see\"",
}


VICTIM_ROWS = """
addrlen
addrlen call=recvmsg
addrlen call=recvmmsg
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
no_socket tried
cancel times=20
children
children fork
children clone
children clone-memory
children vfork
children spawn
children exec
children fork-vfork
children _Fork
children _Fork-vfork
children clone-vfork
children namespace
cleared closefrom
cleared close_range
cleared close_ranges
cleared close
cleared dup2
cleared mark
cleared unseen
copies
drops way=privileges
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
filtered tried=1
footprint
gaps local module={victims}/module.so
gaps deep module={victims}/module.so
gaps namespace module={victims}/module.so
gaps raw module={victims}/module.so
gaps stdio module={victims}/module.so
gaps splice
gaps preadv2
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
high
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
life reconnected
life invalid
life exit
life underscore
life children
life signal
linklocal
locks
many_handlers handlers=200
messages ancillary
messages rights
messages batch
messages packets
messages together
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
rare names
rare exit
rare dissolve
rare thread
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
unnoted by=file
unnoted by=freopen
unnoted by=kernel
unnoted by=socketpair
unnoted by=thread
""".split("\n")[1:-1]


RESTLESS_WAYS = {
    "nothing is retried": Way(RECVSHIM_EINTR="never", RECVSHIM_LOOKUP="off"),
    "idle": Way(trace=False, extra=re.compile(f"{RETRIES.pattern}|{LOOK_UPS.pattern}")),
    "without look-ups": Way(RECVSHIM_LOOKUP="off", extra=RETRIES),
    "traced": Way(extra=re.compile(f"{RETRIES.pattern}|{SUSPECTS}|{LOOK_UPS.pattern}|{IDENTITY}")),
}


def command_of(victim):
    name, *arguments = victim.format(victims=transparent.VICTIMS).split()
    return [f"{transparent.VICTIMS}/{name}", *arguments]


class Victims(transparent.Transparency):
    """Each in a test of its own."""

    def compare(self, victim, way, native, calls):
        self.assertEqual(calls.keys(), native.keys(), "processes and threads")
        races = next((re.compile(pattern) for which, pattern in RACES.items() if victim.startswith(which)), None)
        differ = {thread: differences(native[thread], calls[thread], allowed(victim, way), races) for thread in native}
        self.assertFalse(any(differ.values()), "\n".join(["calls differ:", *(
            f"  thread {thread}: {line}" for thread, lines in differ.items() for line in lines)]))

    def check(self, victim):
        if transparent.bits() == 32 and victim.split()[0] in " ".join(OF_64_BITS).split():
            self.skipTest("runs as a program of 64 bits only")
        command = command_of(victim)
        native, ended = self.strace(NATIVE, command)
        starting = set()
        for label, way in WAYS.items():
            with self.subTest(way=label):
                asked, done = self.strace(way, command)
                starting = asked.starting
                self.assertEqual(done.returncode, ended.returncode)
                self.compare(victim, way, native.threads, asked.threads)
        becomes = any(call.startswith("execve(") for calls in native.threads.values() for call in calls)
        if victim not in NOT_CONFINED:
            self.survive(command, native.numbers | (starting if becomes else set()), ended)

    def check_restless(self, victim):
        """Each call is one that was made natively, or one of a retry; where nothing is retried, just of the first."""
        command = command_of(victim)
        native, _, _ = self.kinds(NATIVE, command)
        for label, way in RESTLESS_WAYS.items():
            with self.subTest(way=label):
                calls, _, _ = self.kinds(way, command)
                self.assertFalse({call: example for call, example in calls.items() if call not in native
                                  and not (way.extra and way.extra.match(example))})


for row in VICTIM_ROWS:
    setattr(Victims, "test_" + re.sub(r" module=.*|\W+$", "", row).replace(" ", "_").replace("-", "_"),
            functools.partialmethod(Victims.check, row))
for row in RESTLESS_ROWS:
    setattr(Victims, "test_restless_" + re.sub(r"\W", "_", row), functools.partialmethod(Victims.check_restless, row))


# Those that run as programs of 64 bits only.
OF_64_BITS = {
    "calls_lazy calls_no_plt": "are not built as others",
    "spawner": "starts Debian's programs, which are of 64 bits",
}
# Of victims that are run, built or linked otherwise.
OTHERWISE_BUILT = {"old_locks", "calls_old", "calls_static_pie", "linked"}


class Coverage(unittest.TestCase):
    def test_no_victim_is_forgotten(self):
        directory = transparent.VICTIMS
        victims = {name for name in os.listdir(directory) if os.access(f"{directory}/{name}", os.X_OK)
                   and os.path.isfile(f"{directory}/{name}") and not name.endswith(".so")}
        known = {row.split()[0] for row in VICTIM_ROWS + RESTLESS_ROWS}.union(" ".join(NOT_RUN).split())
        forgotten = sorted(victims - known - OTHERWISE_BUILT)
        self.assertFalse(forgotten, "are victims that transparency.py does not name: write a row of VICTIM_ROWS for "
                         "each thing that one does, or of RESTLESS_ROWS where signals or races make the number of its "
                         "calls vary; or into NOT_RUN why it is not run")


if __name__ == "__main__":
    transparent.main()
