"""What strace saw: the kernel's own account of the receives of a run."""
import collections
import itertools
import re

UNFINISHED = " <unfinished ...>"


def whole_lines(path):
    """Calls that strace shows in two halves are put together. A line begins with the thread; with -n, the number of the
    call in brackets follows."""
    halves = {}
    with open(path, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            line = line.rstrip("\n")
            thread = line.split(" ", 1)[0]
            if line.endswith(UNFINISHED):
                halves[thread] = line[:-len(UNFINISHED)]
                continue
            resumed = re.match(r"^\S+ +(?:\[ *\d+\] )?<\.\.\. \w+ resumed>", line)
            yield halves.pop(thread, "") + line[resumed.end():] if resumed else line


# With these options: `4242<nginx> recvfrom(5<socket:[1234]>, ""..., 1024, 0, NULL, NULL) = 17`.
CALLS = "read,readv,recvfrom,recvmsg,recvmmsg"
OPTIONS = ["-f", "-qq", "-y", "-Y", "-s", "0", "-e", "abbrev=!recvmmsg", "-e", f"trace={CALLS}", "-e", "signal=none"]
NOT_RECEIVED = re.compile("MSG_PEEK|MSG_ERRQUEUE|AF_NETLINK")
LINE = re.compile(r"^(\d+)<(.*?)> +(\w+)\((\d+)<(\w+):\[\d+\]>.* = (\d+)")

Receives = collections.namedtuple("Receives", "comm bytes")


def received(paths, besides):
    """What each thread received through each descriptor while that was a socket: (thread, fd) -> Receives. Left out are
    programs of the name `besides`, what was only looked at or is not data, and netlink, which libc reads by itself
    (getifaddrs)."""
    found = {}
    for line in itertools.chain.from_iterable(map(whole_lines, paths)):
        match = LINE.match(line)
        if not match or match[5] != "socket" or match[2] == besides or NOT_RECEIVED.search(line):
            continue
        size = int(match[6])
        if match[3] == "recvmmsg":  # which returns a number of messages
            size = sum(map(int, re.findall(r"\bmsg_len=(\d+)", line)[:size]))
        if size:
            key = int(match[1]), int(match[4])
            found[key] = Receives(match[2], size + (found[key].bytes if key in found else 0))
    return found
