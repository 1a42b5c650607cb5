"""What a program asks of the kernel, as strace tells it, in a form in which two runs can be compared."""
import collections
import difflib
import itertools
import re

import strace

PORT = r"\b\d{0,2}?(?:3[2-9]|4\d|5\d|60)\d\d\d\b"  # of the kernel's choice, or a tag that ends in it (tagged.h)
BEGIN = 'write(-1, "main", 4)'  # victim library confined.so makes it as a program begins

LINE = re.compile(r"(\d+) +\[ *(\d+)\] (\w+\(.*)")  # a thread, the number of a call, and the call
MAKES_CHILD = re.compile(r"(?:clone3?|v?fork)\(.* = (\d+)$")
# What an id of a process or thread stands behind: other numbers may be the same.
BEFORE_IDS = [re.compile(rf"({before})(\d+)\b") for before in (
    r"^(?:wait(?:4|pid)|get(?:pg|s)id|setpgid|\w*kill|rt_\w*sigqueueinfo|pidfd_open|sched_\w+|prlimit64)\(-?",
    r"^(?:tgkill|rt_tgsigqueueinfo|setpgid|waitid)\([^,]+, -?",
    r"^futex(?:_time64)?\([^,]+, [^,]+, ",
    r"^(?:clone3?|v?fork|wait(?:4|pid)|get(?:p|pp|pg|s|t)id|setsid|set_tid_address)\(.*\) += ",
    r"\b\w*[pt]id=\[?",
    r"\"/proc/", r"/task/",
)]
# What differs between two native runs.
VARIES = [(re.compile(pattern), by) for pattern, by in (
    (r"^(\w+)_time64\(", r"\1("),  # of i386
    (r"^sigreturn\(", "rt_sigreturn("),
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
    (r"\bnlmsg_seq=\d+", "nlmsg_seq=TIME"),
    (r"\biov_base=\[+\{nlmsg_len=.*\](?=, iov_len=)", "iov_base=..."),  # how long an address is valid still
    (r"\bst_\w+=[^,}]*", "..."),
    (r" \([A-Z][^()]*\)$", ""),  # what an errno means
    (r"^(exit(?:_group)?\(.*\)) += \?$", r"\1"),
    (r"^write\(([12]), TEXT, \d+\) += \d+", r"write(\1, TEXT)"),  # what it says of ports and ids
    # What the kernel refuses to look at is not the same twice.
    (r"^(readv\(\d+, )\[.*\](, \d+\) += -1 EINVAL)", r"\1...\2"),
    (r"^rt_sigaction\(SIGBUS, .*", "rt_sigaction(SIGBUS, ...)"),  # guard.c has a handler for it
    (r"^(getdents64\(\d+, .*\) += )[1-9]\d*$", r"\1..."),  # ids have more digits, or fewer
    (r"^(getcpu\(|sched_setaffinity\(.*, )\[\d+\]", r"\1[CPU]"),  # to stay where it is
    # An address that the program did not ask for is received with the same system call.
    (r"^(accept4?\(\d+), (?:NULL|\{.*?\}|ADDRESS), (?:NULL|\[.*?\]|ADDRESS)", r"\1"),
    (r"^(recvfrom\(\d+, .*, \d+, [A-Z_0|]+), (?:NULL|\{.*?\}|ADDRESS), (?:NULL|\[.*?\]|ADDRESS)", r"\1"),
    (r"(?<=msg_)name=(?:NULL|\{.*?\}|ADDRESS), msg_namelen=[^,]*", "name=..."),
    (r"^(recvmsg\(\d+, \{msg_)namelen=\d+\}", r"\1name=...}"),  # one that failed
    (r"^(recv(?:from)?\(.*), " + PORT + ", ", r"\1, PORT, "),  # tagged.h
)]
# Waiting, as often as it takes: for a thread, which may be over already; for others to go on; for what was sent.
WAITS = re.compile(r"^(?:futex\(ADDRESS, FUTEX_WAIT_BITSET\|FUTEX_CLOCK_REALTIME, <|sched_yield\(|ioctl\(\d+, FIONREAD, )")
WAITS_AND_LOOKS = re.compile(r"^openat\(AT_FDCWD, \"/proc/[^\"]*/(?:syscall|wchan|stat|status)\"")


def tell_apart(lines):
    """thread -> its label: "0" is the first, "0.1" the second that that one made."""
    labels, made, seen = {}, collections.Counter(), []
    for thread, _, call in lines:
        if thread not in seen:
            seen.append(thread)
        child = MAKES_CHILD.match(call)
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
    for before in BEFORE_IDS:
        call = before.sub(lambda found: f"{found[1]}<{labels[found[2]]}>" if found[2] in labels else found[0], call)
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


# Of the calls that programs of i386 make by way of one, the numbers that tell them apart; whatever the machine.
with open("/usr/include/linux/net.h", encoding="ascii") as header:
    BY_SOCKETCALL = {name.lower(): number for name, number in re.findall(r"#define SYS_(\w+)\s+(\d+)", header.read())}
SOCKETCALL = "102"


def number_of(number, call):
    """What the kernel tells a call by: as CONFINED_TO of confined.so has it."""
    name = call.split("(", 1)[0]
    return f"{number}:{BY_SOCKETCALL[name]}" if number == SOCKETCALL and name in BY_SOCKETCALL else number


# `threads`: thread -> its calls from the beginning of the program on, and of each program that it becomes by exec;
# `numbers`: of these calls; `starting`: of those by which a program starts; `order`: all of them, each with its
# thread, as they returned.
Asked = collections.namedtuple("Asked", "threads numbers starting order")


def own_calls(path, directory):
    """Of a run under strace with -f and -n. Texts that name the directory do so by a word for it."""
    lines = [match.groups() for match in map(LINE.match, strace.whole_lines(path)) if match]
    labels, threads = tell_apart(lines), collections.defaultdict(list)
    begun = {}  # where the calls of a program's loader are, which are dropped once it turns out that it begins
    numbers, starting, order = collections.defaultdict(list), set(), []
    for thread, number, call in lines:
        label = labels[thread]
        if call.startswith(BEGIN):
            first, place = begun[label]
            starting.update(numbers[label][first:])
            del threads[label][first:], numbers[label][first:]
            order[place:] = [one for one in order[place:] if one[0] != label]
            continue
        threads[label].append(settle(call, labels, directory))
        order.append((label, threads[label][-1]))
        numbers[label].append(number_of(number, call))
        if call.startswith("execve(") and call.endswith(" = 0"):
            begun[label] = len(threads[label]), len(order)
    threads["0"], numbers["0"] = threads["0"][1:], numbers["0"][1:]  # its own execve
    return Asked({label: without_waits(calls) for label, calls in threads.items()},
                 set(itertools.chain.from_iterable(numbers.values())), starting, order)


MAKES_THREAD = re.compile(r"clone3?\(.*\bCLONE_THREAD\b.* = <(.*)>$")
ACCEPTS = re.compile(r"accept4?\(.* = (\d+)$")
OF_DESCRIPTOR = re.compile(r"(?:epoll_ctl\(EPOLL, \w+, |\w+\()(\d+)\b")
OF_EPOLL = [(re.compile(pattern), by) for pattern, by in (
    (r"^epoll_ctl\(\d+", "epoll_ctl(EPOLL"),  # each thread has one
    (r"\bdata=\{[^}]*\}", "data=..."),  # an address
)]


def by_connection(order):
    """The calls about each accepted connection, in their order; and the others. Left out is what finds nothing: whether
    data is there already is up to chance."""
    process_of = {}
    for label, call in order:
        made = MAKES_THREAD.match(call)
        if made:
            process_of[made[1]] = process_of.get(label, label)
    connections, others = [], []
    open_ones = collections.defaultdict(list)  # two, where strace tells of a close after the number was used again
    for label, call in order:
        for pattern, by in OF_EPOLL:
            call = pattern.sub(by, call)
        process = process_of.get(label, label)
        about = OF_DESCRIPTOR.match(call)
        mine = open_ones[process, about[1]] if about else None
        if call.endswith(" = -1 EAGAIN"):
            continue
        accepted = ACCEPTS.match(call)
        if accepted:
            connections.append([re.sub(r"\d+$", "FD", re.sub(r"\(\d+", "(LISTENER", call))])
            open_ones[process, accepted[1]].append(connections[-1])
        elif mine:
            closes = call.startswith("close(")
            start, end = about.span(1)
            mine[0 if closes else -1].append(call[:start] + "FD" + call[end:])
            if closes:
                mine.pop(0)
        else:
            others.append(call)
    return [tuple(calls) for calls in connections], others


TRANSFER = re.compile(r"(read|write)\((\d+), .* = (\d+)$")


def by_process(order, up_to_chance):
    """The calls of each process but the first, beginning with its label, in their order; and the others, those of the
    first. Left out is what finds nothing, and calls of the names that are up to chance. Of what is read and written it is
    told how much that is by each descriptor: the number of pieces is up to chance. A process that has children learns of
    their ends, and of the ends of its pipes to them, in any order: its calls are put into one."""
    processes, transferred = collections.defaultdict(list), collections.defaultdict(collections.Counter)
    others = []
    for label, call in order:
        if label == "0":
            others.append(call)
        elif call.endswith(" = -1 EAGAIN") or call.split("(", 1)[0] in up_to_chance:
            continue
        elif transfer := TRANSFER.match(call):
            transferred[label][f"{transfer[1]}({transfer[2]})"] += int(transfer[3])
        else:
            processes[label].append(call)
    parents = {label.rpartition(".")[0] for label in processes}
    found = []
    for label, calls in processes.items():
        child = re.match(r"0\.\d+", label)[0]  # of the first
        calls = [call.replace(f"<{child}", "<0.N") for call in calls]
        sums = [f"{what} = {size} in all" for what, size in sorted(transferred[label].items())]
        found.append((label.replace(child, "0.N", 1), *(sorted(calls) if label in parents else calls), *sums))
    return found, others


# The source of a datagram is looked up by another call, which the kernel takes a read of a socket for anyway.
OF_DATAGRAMS = [(re.compile(pattern), by) for pattern, by in (
    (r"^recv\(", "recvfrom("),  # of i386
    (r"^read(\(\d+, \w+, \d+)\)", r"recvfrom\1, 0)"),
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


def kind_of(call):
    """A call, with what it is told to do where it does many things."""
    found = re.match(r"(?:[gs]etsockopt\(\d+, \w+, \w+|(?:fcntl|ioctl)\(\d+, \w+|rt_sigaction\(\w+, NULL|\w+)", call)
    return re.sub(r"\(\d+, ", "(", found[0])
