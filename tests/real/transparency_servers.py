#!/usr/bin/env python3
"""The system calls of some of Debian's servers are those that they make without the library, under a load that is the
same each time: the sequence of calls about each connection, or of each process where that has one for a connection; of the
others the kinds, and how many of each where that is not up to chance. Then each serves the same under a filter of seccomp that kills it for any call that it did not make
natively. RECVSHIM_TEST_CONNECTIONS says how many connections (60).

Usage: transparency_servers.py LIBRARY VICTIMS [unittest arguments]
"""
import collections
import contextlib
import os
import re
import signal
import socket
import struct
import subprocess
import tempfile

import services
import transparent
from system_calls import by_connection, by_process, differences, kind_of, own_calls
from transparent import CONFINED_WAYS, NATIVE, STRACE, UP_TO_CHANCE, WAYS, numbers_of

CONNECTIONS = int(os.environ.get("RECVSHIM_TEST_CONNECTIONS", "60"))
LIMIT = 240  # seconds: only what hangs comes near

# What is sent over a connection, each in one piece and answered before the next, and what the answer ends with.
Exchange = collections.namedtuple("Exchange", "request end")


def http(path, body=b"", close=False):
    head = f"{'POST' if body else 'GET'} {path} HTTP/1.1\r\nHost: h\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + (b"Connection: close\r\n" if close else b"") + b"\r\n" + body


def resp(*words):
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


PAGE = b"".join(b"%d\n" % i for i in range(1000)) + b"the end\n"
VALUE = b"v" * 5000


# What threads and connections have allocated before they free it, and which is first to need the heap of all.
MEMORY = {"brk", "madvise", "mmap", "mprotect", "mremap", "munmap"}


def processes(pid):
    """It and what it has started; none if it is gone."""
    with contextlib.suppress(FileNotFoundError), \
            open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as children:
        return [pid, *(other for child in children.read().split() for other in processes(int(child)))]
    return []


def inodes(table, column):
    with open(f"/proc/net/{table}", encoding="ascii") as sockets:
        return {words[column]: words for words in map(str.split, sockets) if len(words) > column}


class Server:
    """How it is started, what it is asked, and how it is ended. `up_to_chance`: names of calls that are made or not, as
    the server is fast or slow."""

    up_to_chance = {"epoll_wait", *MEMORY}
    end = signal.SIGTERM
    rarer = 1  # so many times fewer connections are made

    def connection(self, number, port):
        """Returns how much was received. It is ended by the client, by a reset, or by the server."""
        received = b""
        with socket.create_connection(("127.0.0.1", port), timeout=LIMIT) as client:
            for exchange in self.exchanges:
                client.sendall(exchange.request)
                answer = b""
                while not answer.endswith(exchange.end):
                    more = client.recv(1 << 16)
                    if not more:
                        raise AssertionError(f"connection {number} ended after {received + answer}")
                    answer += more
                received += answer
            if number % 3 == 0:
                client.sendall(self.last)
                while more := client.recv(1 << 16):
                    received += more
            elif number % 3 == 1:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return len(received)

    def is_busy(self, pid):
        """Whether it has not closed all connections yet. One that was reset is in no table of the kernel's any more."""
        known = {inode for inode, words in inodes("tcp", 9).items() if words[3] == services.SOCKETS["tcp"]}
        known.update(inodes("unix", 6))
        for process in processes(pid):
            with contextlib.suppress(FileNotFoundError):
                for fd in os.listdir(f"/proc/{process}/fd"):
                    match = re.match(r"socket:\[(\d+)\]", os.readlink(f"/proc/{process}/fd/{fd}"))
                    if match and match[1] not in known:
                        return True
        return False

    def apart(self, order):
        """What is compared connection by connection, and the other calls."""
        return by_connection(order)


class Nginx(Server):
    """A master and a worker. Pages from a file, and from another server by way of a proxy."""

    exchanges = [Exchange(http("/page"), b"the end\n"), Exchange(http("/"), b"hello\n"),
                 Exchange(http("/proxied", b"b" * 3000), b"posted\n")]
    last = http("/", close=True)  # after which the server closes
    end = signal.SIGQUIT  # asked by SIGTERM, a worker that has not ended within 50 ms is asked again, and then killed
    config = """
    access_log {directory}/log;
    server {{
        listen 127.0.0.1:{port};
        root {directory};
        location = / {{ return 200 "hello\\n"; }}
        location /proxied {{ proxy_pass http://127.0.0.1:{inner}; }}
    }}
    server {{
        listen 127.0.0.1:{inner};
        location / {{ return 200 "posted\\n"; }}
    }}
"""

    def command(self, directory, port):
        with open(os.path.join(directory, "page"), "wb") as page:
            page.write(PAGE)
        config = self.config.format(directory=directory, port=port, inner=services.free_port())
        with open(os.path.join(directory, "config"), "w", encoding="ascii") as file:
            file.write(services.nginx_config(directory, config, "worker_processes 1;"))
        return ["nginx", "-p", directory, "-e", f"{directory}/errors", "-c", file.name]


class Redis(Server):
    """With threads in the background."""

    exchanges = [Exchange(resp(b"SET", b"key", VALUE), b"+OK\r\n"), Exchange(resp(b"GET", b"key"), VALUE + b"\r\n"),
                 Exchange(resp(b"PING") * 3, b"+PONG\r\n" * 3)]
    last = resp(b"QUIT")
    # It does something every 100 ms.
    up_to_chance = {"openat", "read", "close", *Server.up_to_chance}

    def command(self, directory, port):
        return ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", directory]


class Memcached(Server):
    """Connections are accepted by one thread and served by two others."""

    exchanges = [Exchange(b"set key 0 0 5000\r\n" + VALUE + b"\r\n", b"STORED\r\n"),
                 Exchange(b"get key\r\n", b"END\r\n")]
    last = b"quit\r\n"

    def command(self, _, port):
        return ["memcached", "-t", "2", "-l", "127.0.0.1", "-p", str(port), "-U", "0", "-u", "root"]


def sftp(kind, *fields):
    """A message of SFTP: strings, and numbers of 32 bits."""
    body = bytes([kind]) + b"".join(struct.pack("!I", field) if isinstance(field, int) else sftp_string(field)
                                    for field in fields)
    return sftp_string(body)


def sftp_string(text):
    return struct.pack("!I", len(text)) + text


class Sshd(Server):
    """A process for each connection, which becomes sshd anew; its child that is not trusted, under a filter of seccomp
    of its own; and, after the login, the child that serves files."""

    rarer = 10
    # As it comes to a random number more or less, for which it asks who it is.
    up_to_chance = {"getpid", "ppoll", "read", "rt_sigprocmask", "wait4", "write", *MEMORY}

    def command(self, directory, port):
        self.directory = directory
        return services.sshd_command(directory, port)

    def connection(self, number, port):
        """A file is written, and read again."""
        path, handle = os.path.join(self.directory, f"file-{number}").encode(), bytes(4)
        begin, end, version, opened, write, read, close = 0, 1, 3, 3, 6, 5, 4
        requests = [sftp(begin + 1, version), sftp(opened, 1, path, 0x1a, 0), sftp(write, 2, handle, 0, 0, VALUE),
                    sftp(close, 3, handle), sftp(opened, 4, path, end, 0), sftp(read, 5, handle, 0, 0, len(VALUE)),
                    sftp(close, 6, handle)]
        received = b""
        with subprocess.Popen(services.ssh_command(self.directory, port, "-q", "-s") + ["sftp"], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE) as client:
            for request in requests:
                client.stdin.write(request)
                client.stdin.flush()
                size = client.stdout.read(4)
                received += client.stdout.read(struct.unpack("!I", size)[0])
            client.stdin.close()
            received += client.stdout.read()
        if client.returncode != 0 or VALUE not in received:
            raise AssertionError(f"ssh ended with {client.returncode} after {received}")
        return len(received)

    def is_busy(self, pid):
        return processes(pid) != [pid]

    def apart(self, order):
        return by_process(order, UP_TO_CHANCE[64] | self.up_to_chance)


def without(extra, order):
    return [(thread, call) for thread, call in order if not (extra and extra.match(call))]


def counts(calls, up_to_chance):
    """How many there are of each kind, where that is the same each time."""
    kinds = collections.Counter(map(kind_of, calls))
    return {kind: count for kind, count in kinds.items() if kind.split("(")[0] not in up_to_chance}


class Servers(transparent.Transparency):
    def setUp(self):
        super().setUp()
        os.chmod(self.directory, 0o711)  # nginx's worker is another user

    def load(self, server, way, prefix=(), **environment):
        """Returns the directory that the server ran in, how much each client received, and how it ended."""
        directory = tempfile.mkdtemp(dir=self.directory)
        os.chmod(directory, 0o711)
        port, log = services.free_port(), os.path.join(directory, "output")
        settings = {**os.environ, **environment}
        command = [word.format(directory=directory) for word in prefix]
        if prefix:  # by strace, which is not to have the library
            command += [f"--env={name}={value}" for name, value in self.environment(way, directory).items()]
        else:
            settings.update(self.environment(way, directory))
        with services.started(log, command + server.command(directory, port), server.end, env=settings) as process:
            services.await_answer(process, log, lambda: services.listens(port))
            received = [server.connection(number, port) for number in range(CONNECTIONS // server.rarer)]
            pid = services.program_of(process.pid)
            services.await_answer(process, log, lambda: not server.is_busy(pid))
        return directory, received, process.returncode

    def traced(self, server, way):
        directory, *outcome = self.load(server, way, [*STRACE, "-o", "{directory}/strace"])
        return own_calls(f"{directory}/strace", directory), outcome

    def compare(self, server):
        native, outcome = self.traced(server, NATIVE)
        self.assertGreaterEqual(len(server.apart(native.order)[0]), CONNECTIONS // server.rarer)
        starting = set()  # a program that another becomes, as well
        for label, way in WAYS.items():
            with self.subTest(way=label):
                asked, same = self.traced(server, way)
                starting = asked.starting if native.starting else set()
                self.assertEqual(same, outcome)
                self.compare_calls(server, *(without(way.extra, each.order) for each in (native, asked)))
        chance = numbers_of(UP_TO_CHANCE[64] | server.up_to_chance, 64)
        self.survive_load(server, native.numbers | starting | chance, outcome)

    def compare_calls(self, server, *orders):
        """Of two runs: the same sequences on the connections, no other kinds of calls, and as many of each."""
        (connections, others), (again, others_again) = map(server.apart, orders)
        connections, again = map(collections.Counter, (connections, again))
        missing, differ = connections - again, []
        for calls, count in (again - connections).items():
            changes = [differences(like, calls, None, None) for like in missing or [()]]
            differ += [f"{count} connections:", *min(changes, key=len)]
        self.assertFalse(differ, "\n".join(differ))
        self.assertFalse(missing)
        up_to_chance = UP_TO_CHANCE[64] | server.up_to_chance
        self.assertEqual({kind for kind in set(map(kind_of, others_again)) - set(map(kind_of, others))
                          if kind.split("(")[0] not in up_to_chance}, set())
        counted, counted_again = counts(others, up_to_chance), counts(others_again, up_to_chance)
        self.assertEqual({kind: (counted.get(kind), count) for kind, count in counted_again.items()
                          if count != counted.get(kind)}, {}, "natively, and here")
        self.assertEqual(counted.keys() - counted_again.keys(), set())

    def survive_load(self, server, numbers, outcome):
        confined_to = ",".join(sorted(numbers))
        for label, way in {"natively": NATIVE, **CONFINED_WAYS}.items():
            with self.subTest(filter=label):
                _, *same = self.load(server, way, CONFINED_TO=confined_to)
                self.assertEqual(same, outcome)

    def test_nginx(self):
        self.compare(Nginx())

    def test_redis(self):
        self.compare(Redis())

    def test_memcached(self):
        self.compare(Memcached())

    def test_sshd(self):
        self.compare(Sshd())


if __name__ == "__main__":
    transparent.main()
