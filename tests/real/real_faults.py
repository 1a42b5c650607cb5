#!/usr/bin/env python3
"""Unmodified clients from Debian whose every receive is cut to 1 to 7 bytes: what they got must be what was sent.

Usage: real_faults.py RECVSHIM [unittest arguments]

RECVSHIM_TEST_BYTES says how much each client is sent: bytes with K, M, G (4M). 1G is a quarter of a billion receives
each.
"""
import collections
import contextlib
import functools
import http.client
import itertools
import json
import os
import re
import selectors
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

import services

RECVSHIM = None
LIMIT = 240  # seconds without a byte: only what hangs comes near
TRACED = 64 << 10  # bytes of a run that is traced: two records a receive
VALUE = 16 << 20  # bytes of a value in Redis at most: redis-cli prints it once it is whole
SHORTEST, LONGEST = 1, 7
SHORT = f"recv,recvfrom:short={SHORTEST}..{LONGEST}"


def bytes_of(text):
    found = re.fullmatch(r"(\d+)([KMG]?)", text)
    if not found or int(found[1]) == 0:
        sys.exit(f"RECVSHIM_TEST_BYTES={text}: give bytes, with K, M or G")
    return int(found[1]) << {"": 0, "K": 10, "M": 20, "G": 30}[found[2]]


SIZE = bytes_of(os.environ.get("RECVSHIM_TEST_BYTES", "4M"))


class Progress:
    """One line on stderr that replaces itself, where that is a terminal."""

    def __init__(self, what, total):
        self.what, self.total = what, total
        self.started, self.said, self.done = time.monotonic(), 0, 0

    def over(self, blocks):
        for block in blocks:
            self.add(len(block))
            yield block

    def add(self, size):
        self.done += size
        now = time.monotonic()
        if sys.stderr.isatty() and now - self.said > 0.2:
            self.said = now
            print(f"\r\033[K{self.what}: {self.done >> 20} of {self.total >> 20} MiB, "
                  f"{self.done / (now - self.started) / (1 << 20):.1f} MiB/s", end="", file=sys.stderr, flush=True)

    def end(self):
        if sys.stderr.isatty():
            print("\r\033[K", end="", file=sys.stderr, flush=True)
        return time.monotonic() - self.started


class Streams(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="recvshim-test.")
        self.addCleanup(shutil.rmtree, self.directory)
        os.chmod(self.directory, 0o711)  # PostgreSQL's is another user

    def path(self, name):
        return os.path.join(self.directory, name)

    def recvshim(self, *arguments):
        done = subprocess.run([RECVSHIM, *arguments], capture_output=True, text=True, timeout=LIMIT, check=True)
        self.assertEqual(done.stderr, "")
        return done.stdout

    def output(self, client, options, rule):
        """Run a client under recvshim. Yields what it prints, in blocks."""
        command = [RECVSHIM, "run", "--quiet", "-o", self.path("events"), "--trace", self.path("trace"), *options,
                   "--fault", rule, "--", *client.command]
        with contextlib.ExitStack() as stack:
            stdin = stack.enter_context(tempfile.TemporaryFile())
            stdin.write(client.given)
            stdin.seek(0)
            said = stack.enter_context(tempfile.TemporaryFile())
            run = stack.enter_context(subprocess.Popen(command, stdin=stdin, stdout=subprocess.PIPE, stderr=said))
            stack.callback(run.terminate)
            selector = stack.enter_context(selectors.DefaultSelector())
            selector.register(run.stdout, selectors.EVENT_READ)
            while True:
                self.assertTrue(selector.select(LIMIT), f"{command} has printed nothing for {LIMIT} s")
                block = run.stdout.read1(services.BLOCK)
                if not block:
                    break
                yield block
            status = run.wait(timeout=LIMIT)
            said.seek(0)
            self.assertEqual((status, said.read()), (0, b""), command)

    def run_traced(self, client, rule):
        """Returns what it printed, as a digest, and the events of all its receives: none is lost."""
        got = services.digest(self.output(client, ["--size", "64M", "--full", "stop"], rule))
        shown = self.recvshim("show", "--format", "json", self.path("trace"))
        events = [json.loads(line) for line in shown.splitlines()]
        os.unlink(self.path("trace"))
        return got, events

    def check_traced(self, client):
        """A small stream, recorded: each receive was cut, and to what the fault before it says."""
        expected = services.digest(client.sent)
        got, events = self.run_traced(client, SHORT)
        self.assertEqual(got, expected)
        limits, values, total = {}, set(), 0
        for event in events:
            if event["event"] == "fault":
                self.assertEqual(event["fault"]["action"], "short")
                limits[event["connection"]] = event["fault"]["value"]
                values.add(event["fault"]["value"])
            elif event["event"] == "receive":
                # Where no more than the drawn number of bytes was asked for there is nothing to cut.
                limit = limits.pop(event["connection"], None) or min(event["requested"], LONGEST)
                self.assertLessEqual(event["size"], limit, event)
                total += event["size"]
        self.assertEqual(values, set(range(SHORTEST, LONGEST + 1)))
        self.assertGreaterEqual(total, expected[0])

    def check_whole(self, client):
        """All of it. Nothing is recorded, but injections are counted nevertheless."""
        progress = Progress(client.command[0], client.size)
        got = services.digest(progress.over(self.output(client, ["--tracing", "off", "--size", "64K"], SHORT)))
        seconds = progress.end()
        self.assertEqual(got, services.digest(client.sent))
        state = json.loads(self.recvshim("control", "--format", "json", self.path("trace")))
        injected, = (rule["injected"] for rule in state["rules"])
        os.unlink(self.path("trace"))
        print(f"{client.command[0]}: {got[0]} bytes by {injected} short receives in {seconds:.1f} s, SHA-256 {got[1]} "
              "as sent", flush=True)
        self.assertGreaterEqual(injected, got[0] // LONGEST)

    def check(self, make):
        """`make` gives the client of a stream of that size."""
        self.check_traced(make(TRACED))
        self.check_whole(make(SIZE))

    def test_curl(self):
        with services.http_server() as port:
            self.check(functools.partial(curl, port))

    def test_python(self):
        with services.http_server() as port:
            self.check(functools.partial(python, port))

    @unittest.skipUnless(shutil.which("redis-server"), "redis-server is not installed")
    def test_redis_cli(self):
        with services.redis_server(self.directory) as port:
            self.check(functools.partial(redis_cli, port))

    @unittest.skipUnless(os.path.exists(services.POSTGRESQL), "postgresql is not installed")
    def test_psql(self):
        with services.postgresql(self.directory) as port:
            self.check(functools.partial(psql, port))

    @unittest.skipUnless(shutil.which("nginx"), "nginx is not installed")
    def test_nginx_which_takes_less_for_all(self):
        """It waits by EPOLLET, and a receive of less than it asked for means to it that there is no more: epoll(7)."""
        port, size = services.free_port(), 300_000
        config = self.path("nginx.conf")
        with open(config, "w", encoding="ascii") as file:
            file.write(services.nginx_config(self.directory, NGINX.format(directory=self.directory, port=port),
                                              "user root;"))
        body = b"".join(services.random_blocks(size))
        run = [RECVSHIM, "run", "--quiet", "-o", self.path("events"), "--fault", SHORT, "--"]
        with services.started(self.path("said"), [*run, "nginx", "-p", self.directory, "-e", self.path("errors"), "-c",
                                                  config]) as server:
            services.await_answer(server, self.path("said"), functools.partial(services.connects, port))
            with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT)) as client:
                client.request("PUT", "/copy", body)
                self.assertEqual(client.getresponse().status, 201)
        with open(self.path("copy"), "rb") as copy:
            self.assertEqual(services.digest([copy.read()]), services.digest([body]))

    def test_that_a_flipped_bit_is_seen(self):
        """Of the tests themselves: that they would fail."""
        with services.http_server() as port:
            for client in (curl(port, TRACED), python(port, TRACED)):
                expected = services.digest(client.sent)
                got, events = self.run_traced(client, f"*:corrupt=1:after={TRACED // 2}:times=1;{SHORT}")
                self.assertEqual(got[0], expected[0])
                self.assertNotEqual(got[1], expected[1])
                actions = collections.Counter(event["fault"]["action"] for event in events if event["event"] == "fault")
                self.assertEqual((set(actions), actions["corrupt"]), ({"corrupt", "short"}, 1))

    def test_that_a_client_that_counts_on_whole_messages_is_seen(self):
        with services.http_server() as port:
            client = python(port, TRACED)
            hasty = Client(["/usr/bin/python3", "-c", HASTY, str(port), str(TRACED)], b"", client.size, client.sent)
            got, events = self.run_traced(hasty, SHORT)
            self.assertLess(got[0], client.size)
            self.assertIn("short", [event["fault"]["action"] for event in events if event["event"] == "fault"])


NGINX = """
    access_log off;
    client_max_body_size 0;
    server {{
        listen 127.0.0.1:{port};
        root {directory};
        location / {{ dav_methods PUT; }}
    }}
"""


# ---- the clients: what is typed, what they read from their standard input, and what they should print ----

Client = collections.namedtuple("Client", "command given size sent")


def curl(port, size):
    return Client(["curl", "-sS", f"http://127.0.0.1:{port}/{size}"], b"", size, services.random_blocks(size))


PYTHON = """
import http.client, shutil, sys
connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]))
connection.request("GET", "/" + sys.argv[2])
shutil.copyfileobj(connection.getresponse(), sys.stdout.buffer)
"""


def python(port, size):
    return Client(["/usr/bin/python3", "-c", PYTHON, str(port), str(size)], b"", size, services.random_blocks(size))


HASTY = """
import socket, sys
server = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
server.sendall(b"GET /%d HTTP/1.0\\r\\n\\r\\n" % int(sys.argv[2]))
sys.stdout.buffer.write(server.recv(2 * int(sys.argv[2]), socket.MSG_WAITALL))
"""


def redis_cli(port, size):
    """Of several values, each followed by a newline."""
    sizes = [min(VALUE, size - done) for done in range(0, size, VALUE)]
    for each in set(sizes):
        services.redis_set(port, f"key:{each}", each)
    given = "".join(f"GET key:{each}\n" for each in sizes).encode()
    sent = itertools.chain.from_iterable(itertools.chain(services.random_blocks(each), [b"\n"]) for each in sizes)
    return Client(["redis-cli", "-p", str(port), "--raw"], given, size, sent)


def psql(port, size):
    rows = size // services.ROW + 61  # at least `size` bytes: their lengths come round after 61
    command = ["psql", "--no-psqlrc", "--host", "127.0.0.1", "--port", str(port), "--username", "postgres",
               "--command", services.rows_query(rows)]
    return Client(command, b"", rows * services.ROW, services.rows_blocks(rows))


if __name__ == "__main__":
    RECVSHIM = os.path.abspath(sys.argv.pop(1))
    unittest.main()
