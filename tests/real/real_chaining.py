#!/usr/bin/env python3
"""Other libraries that are preloaded, from Debian, before and behind ours: programs do their work as with the other
alone, the other does its own, and receives are traced.

Usage: real_chaining.py RECVSHIM LIBRARY [unittest arguments]

What was seen is printed as a table at the end.
"""
import collections
import datetime
import json
import os
import re
import shutil
import socket
import socketserver
import sys
import sysconfig
import tempfile
import threading
import unittest

from finished import run

import services

RECVSHIM = LIBRARY = None
SIZE = 300_000
FAR = "198.51.100.7"  # of a network that is nowhere: RFC 5737
FOLDER = os.path.join("/usr/lib", sysconfig.get_config_var("MULTIARCH"))
PYTHON = "/usr/bin/python3"


class Socks(socketserver.StreamRequestHandler):
    """Just enough of SOCKS 5 (RFC 1928): wherever the client wants to go, it gets to the server's own target."""

    def handle(self):
        methods = self.rfile.read(self.rfile.read(2)[1])
        self.wfile.write(b"\x05\x00" if 0 in methods else b"\x05\x02")
        if 0 not in methods:  # name and password (RFC 1929)
            self.rfile.read(1)
            for _ in range(2):
                self.rfile.read(self.rfile.read(1)[0])
            self.wfile.write(b"\x01\x00")
        _, _, _, kind = self.rfile.read(4)
        host = self.rfile.read(4 if kind == 1 else self.rfile.read(1)[0])
        self.rfile.read(2)
        self.server.asked.append(socket.inet_ntoa(host) if kind == 1 else host.decode())
        self.wfile.write(b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x01")
        with socket.create_connection(("127.0.0.1", self.server.target)) as target:
            request = b""
            while b"\r\n\r\n" not in request:
                request += self.connection.recv(1 << 16) or b"\r\n\r\n"  # it has had enough
            target.sendall(request)
            while data := target.recv(1 << 16):
                self.connection.sendall(data)


class SocksServer(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass  # a client may have had enough


class Preload(collections.namedtuple("Preload", "libraries, environment, job, proxy, handshake, blind", defaults=(
        {}, None, False, 0, False))):
    """`environment` may name the folder {directory}, and the port {socks} of a SOCKS server. `job` is a program in
    python that prints something else where the library does what it is for. `proxy`: it leads to the server, and
    receives so many bytes by itself. `blind`: it calls libc past whatever stands behind it."""


MALLOC = r"""
import ctypes
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc_usable_size.argtypes = [ctypes.c_void_p]
print(libc.malloc_usable_size(libc.malloc(1000)))
"""
FSYNC = r"""
import os
try:
    os.fsync(os.pipe()[0])  # to which the kernel says EINVAL
    print("done")
except OSError as error:
    print(error)
"""
UIDS = r"""
import os, re
try:
    os.setresuid(1000, 1000, 1000)
    print(os.getuid(), os.getuid() == int(re.search(r"Uid:\t(\d+)", open("/proc/self/status").read())[1]))
except OSError as error:
    print(error)
"""
NAMES = r"""
import socket
try:
    print(socket.gethostbyname("host.made.up"))
except OSError as error:
    print(error)
"""
PRELOADS = {
    "libeatmydata": Preload(["libeatmydata.so"], job=FSYNC),
    "jemalloc": Preload(["libjemalloc.so.2"], job=MALLOC),
    "tcmalloc": Preload(["libtcmalloc_minimal.so.4"], job=MALLOC),
    "libfaketime": Preload(["faketime/libfaketime.so.1"], {"FAKETIME": "2020-01-01 00:00:00"},
                           "import time; print(time.gmtime().tm_year, time.time() == time.time())"),
    "nss_wrapper": Preload(["libnss_wrapper.so"], {"NSS_WRAPPER_HOSTS": "{directory}/hosts"}, NAMES),
    "uid_wrapper": Preload(["libuid_wrapper.so"], {"UID_WRAPPER": "1", "UID_WRAPPER_ROOT": "1"}, UIDS),
    "libfiu": Preload(["/usr/lib/fiu/fiu_run_preload.so", "/usr/lib/fiu/fiu_posix_preload.so"],
                      {"FIU_ENABLE": "enable name=posix/io/sync/fsync,failinfo=28"}, FSYNC),
    "gperftools' profiler": Preload(["libprofiler.so.0"], {"CPUPROFILE": "{directory}/profile",
                                                           "CPUPROFILE_FREQUENCY": "1000"},
                                    "import signal; print(signal.getitimer(signal.ITIMER_PROF)[1])"),
    "trickle": Preload(["trickle/trickle-overload.so"], {
        "TRICKLE_DOWNLOAD_LIMIT": "100000", "TRICKLE_UPLOAD_LIMIT": "100000", "TRICKLE_VERBOSE": "0",
        "TRICKLE_WINDOW_SIZE": "200", "TRICKLE_ARGV": "program", "TRICKLE_SOCKNAME": "", "TRICKLE_TSMOOTH": "3.0",
        "TRICKLE_LSMOOTH": "20"}),
    "torsocks": Preload(["torsocks/libtorsocks.so"], {"TORSOCKS_CONF_FILE": "{directory}/torsocks.conf"}, proxy=True,
                        handshake=12),
    "tsocks": Preload(["libtsocks.so"], {"TSOCKS_CONF_FILE": "{directory}/tsocks.conf"}, proxy=True, handshake=12),
    "proxychains": Preload(["libproxychains.so.4"], {"PROXYCHAINS_CONF_FILE": "{directory}/proxychains.conf",
                                                     "PROXYCHAINS_QUIET_MODE": "1"}, proxy=True),
    "socket_wrapper": Preload(["libsocket_wrapper.so"], {"SOCKET_WRAPPER_DIR": "{directory}/sockets"}, blind=True),
}
FILES = {
    "hosts": "127.0.0.77 host.made.up\n",
    "torsocks.conf": "TorAddress 127.0.0.1\nTorPort {socks}\nOnionAddrRange 127.42.42.0/24\n",
    "tsocks.conf": "server = 127.0.0.1\nserver_port = {socks}\nserver_type = 5\n",
    "proxychains.conf": "strict_chain\nquiet_mode\n[ProxyList]\nsocks5 127.0.0.1 {socks}\n",
}

# Prints how much it got.
FETCH = r"""
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2]))) as server:
    server.sendall(b"GET /%b HTTP/1.0\r\n\r\n" % sys.argv[3].encode())
    server.shutdown(socket.SHUT_WR)
    size = 0
    while data := server.recv(1 << 16):
        size += len(data)
print(size)
"""

# By addresses of its own, which socket_wrapper makes up. Prints how much it got.
SOCKETS = r"""
import socket
size = 0
for family, hosts in ((socket.AF_INET, ("127.0.0.10", "127.0.0.11")),
                      (socket.AF_INET6, ("fd00::5357:5f0a", "fd00::5357:5f0b") if WRAPPED else ("::1", "::1"))):
    here, there = (socket.socket(family, socket.SOCK_DGRAM) for _ in hosts)
    here.bind((hosts[0], 0)); there.bind((hosts[1], 0))
    there.sendto(b"d" * 100, here.getsockname())
    data, sender = here.recvfrom(1000)
    assert sender == there.getsockname() and sender[0] == hosts[1], sender
    size += len(data)
    listener = socket.create_server((hosts[0], 0), family=family)
    client = socket.create_connection(listener.getsockname()[:2])
    peer, address = listener.accept()
    assert address == client.getsockname() and client.getpeername() == listener.getsockname(), address
    peer.sendall(b"s" * 1000); peer.close()
    while data := client.recv(333):
        size += len(data)
left, right = socket.socketpair()
left.sendall(b"unix"); left.close()
size += len(right.recv(10))
assert right.recv(10) == b""
print(size)
"""


class Chained(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.mkdtemp()
        cls.addClassCleanup(shutil.rmtree, cls.directory)
        cls.port = cls.enterClassContext(services.http_server())
        cls.socks = cls.enterClassContext(SocksServer(("127.0.0.1", 0), Socks))
        cls.socks.asked, cls.socks.target = [], cls.port
        threading.Thread(target=cls.socks.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        cls.addClassCleanup(cls.socks.shutdown)
        os.mkdir(cls.path("sockets"))
        for name, text in FILES.items():
            with open(cls.path(name), "w", encoding="ascii") as file:
                file.write(cls.fill(text))

    @classmethod
    def path(cls, name):
        return os.path.join(cls.directory, name)

    @classmethod
    def fill(cls, text):
        return text.format(directory=cls.directory, socks=cls.socks.server_address[1])

    def run_with(self, command, libraries, settings, **more):
        """Returns what became of it, and its events where our library is among them."""
        trace = self.path("trace")
        paths = [os.path.join(FOLDER, library) for library in libraries]
        ran = run(command, LD_PRELOAD=":".join(paths), RECVSHIM_TRACE=trace,
                  **{name: self.fill(value) for name, value in settings.items()}, **more)
        return ran, self.read(trace) if LIBRARY in libraries else []

    def read(self, trace):
        if not os.path.exists(trace):
            return []
        shown = run([RECVSHIM, "show", "--format", "json", trace])
        self.assertEqual((shown.returncode, shown.stderr), (0, ""))
        os.unlink(trace)
        return [json.loads(line) for line in shown.stdout.splitlines()]

    def orders(self, preload):
        return {"before": [*preload.libraries, LIBRARY], "behind": [LIBRARY, *preload.libraries]}

    def curl(self, host):
        return ["curl", "-sS", "-o", self.path("copy"), "-w", "%{size_header} %{size_download}",
                f"http://{host}:{self.port}/{SIZE}"]


def received(events):
    return sum(event["size"] for event in events if event["event"] == "receive")


class Chains(Chained):
    rows = []

    @classmethod
    def tearDownClass(cls):
        print("\n".join(f"{name:22}  {order:6}  {text}" for name, order, text in cls.rows))

    def programs(self, name, preload):
        """Each with what it received by its own account, of what it prints."""
        host = FAR if preload.proxy else "127.0.0.1"
        if not preload.blind:  # a wrapped socket does not reach the server
            yield "curl", self.curl(host), lambda out: sum(map(int, out.split()))
            yield "python3", [PYTHON, "-c", FETCH, host, str(self.port), str(SIZE)], int
        if not preload.proxy:
            yield "sockets", [PYTHON, "-c", f"WRAPPED = {preload.blind}" + SOCKETS], int

    def test_work_as_alone_and_traced(self):
        for name, preload in PRELOADS.items():
            for program, command, account in self.programs(name, preload):
                alone, _ = self.run_with(command, preload.libraries, preload.environment)
                self.assertEqual(alone.returncode, 0, alone.stderr)
                for order, libraries in self.orders(preload).items():
                    with self.subTest(preload=name, order=order, program=program):
                        ran, events = self.run_with(command, libraries, preload.environment)
                        said, told = ([re.sub(r"\d+", "N", line) for line in text.splitlines()]
                                      for text in (ran.stderr, alone.stderr))
                        self.assertEqual((ran.returncode, ran.stdout, said), (0, alone.stdout, told))
                        self.check_trace(events, order == "before" and preload.blind,
                                         account(ran.stdout) + preload.handshake)
                        self.rows.append((name, order, f"{program}: as alone, {received(events)} bytes traced"))
            if preload.proxy:
                self.assertEqual(set(self.socks.asked), {FAR}, name)
                self.assertEqual(len(self.socks.asked), 6, name)
                self.socks.asked.clear()

    def check_trace(self, events, blind, size):
        self.assertEqual(received(events), 0 if blind else size)
        self.assertEqual([event for event in events if event["event"] == "receive" and not event["peer"]], [])
        self.assertEqual({event["cause"] for event in events if event["event"] == "disconnect"} - {"eof"}, set())
        self.assertEqual([event["event"] for event in events][:: max(1, len(events) - 1)], ["start", "exit"])

    def test_their_own_job(self):
        for name, preload in PRELOADS.items():
            if preload.job is None:
                continue
            command = [PYTHON, "-c", preload.job]
            without, _ = self.run_with(command, [], preload.environment)
            alone, _ = self.run_with(command, preload.libraries, preload.environment)
            self.assertNotEqual(without.stdout, alone.stdout, name)
            for order, libraries in self.orders(preload).items():
                with self.subTest(preload=name, order=order):
                    ran, _ = self.run_with(command, libraries, preload.environment)
                    self.assertEqual((ran.returncode, ran.stdout), (0, alone.stdout), ran.stderr)
                    self.rows.append((name, order, f"its own job: {without.stdout.strip()} -> {ran.stdout.strip()}"))


class Libfiu(Chained):
    """It injects failures into the calls that reach it: ours records what it gets from below, or gets no call."""

    def orders_of(self, command, rules):
        preload = PRELOADS["libfiu"]
        alone, _ = self.run_with(command, preload.libraries, {"FIU_ENABLE": rules})
        return alone, {order: self.run_with(command, libraries, {"FIU_ENABLE": rules, "RECVSHIM_EVENTS": "all"})
                       for order, libraries in self.orders(preload).items()}

    def test_failures_reach_the_program_and_the_trace(self):
        alone, orders = self.orders_of(self.curl("127.0.0.1"), "enable name=posix/io/net/recv,failinfo=104")
        self.assertEqual((alone.returncode, alone.stderr),
                         (56, "curl: (56) Recv failure: Connection reset by peer\n"))
        for order, (ran, events) in orders.items():
            self.assertEqual((ran.returncode, ran.stderr), (alone.returncode, alone.stderr), order)
            receives = [(event["call"], event["error"], event["cause"]) for event in events if event["call"]]
            self.assertEqual(receives, [("recv", "ECONNRESET", "reset")] if order == "behind" else [], order)

    def test_failures_of_recvfrom(self):
        script = ("import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('127.0.0.1', 0))\n"
                  "try: s.recvfrom(10)\nexcept OSError as error: print(error.errno)")
        alone, orders = self.orders_of([PYTHON, "-c", script], "enable name=posix/io/net/recvfrom,failinfo=111")
        self.assertEqual(alone.stdout, "111\n")
        for order, (ran, events) in orders.items():
            self.assertEqual(ran.stdout, "111\n", order)
            receives = [(event["call"], event["error"]) for event in events if event["call"]]
            self.assertEqual(receives, [("recvfrom", "ECONNREFUSED")] if order == "behind" else [], order)

    def test_interruptions_are_absorbed_from_below(self):
        script = r"""
import ctypes, errno, socket
libc, buffer = ctypes.CDLL(None, use_errno=True), ctypes.create_string_buffer(1)
here, there = socket.socketpair()
got = {}
for _ in range(200):
    there.send(b"x")
    result = libc.recv(here.fileno(), buffer, 1, socket.MSG_DONTWAIT)
    kind = "received" if result == 1 else errno.errorcode[ctypes.get_errno()]
    got[kind] = got.get(kind, 0) + 1
print(sorted(got), got["received"])
"""
        alone, orders = self.orders_of([PYTHON, "-c", script],
                                       "enable_random name=posix/io/net/recv,probability=0.5,failinfo=4")
        self.assertTrue(alone.stdout.startswith("['EINTR', 'received']"), alone.stdout + alone.stderr)
        ran, events = orders["behind"]
        self.assertEqual(ran.stdout, "['received'] 200\n")
        self.assertGreater(sum(event["retries"] for event in events if event["call"]), 20)
        ran, events = orders["before"]
        self.assertTrue(ran.stdout.startswith("['EINTR', 'received']"), ran.stdout)
        self.assertEqual(received(events), int(ran.stdout.split()[-1]))


class Faketime(Chained):
    """Deadlines and records go by the kernel's clock, whatever the program is told."""

    DEADLINE = r"""
import ctypes, signal, socket, struct, time
time.time()  # only now does libfaketime read what it is told
def now():
    return float(open("/proc/uptime").read().split()[0])
libc, buffer = ctypes.CDLL(None, use_errno=True), ctypes.create_string_buffer(1)
here, there = socket.socketpair()
here.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, 400000))
signal.signal(signal.SIGALRM, lambda *_: None)
signal.setitimer(signal.ITIMER_REAL, 0.03, TICK)
begun = now()
result, error = libc.recv(here.fileno(), buffer, 1, 0), ctypes.get_errno()
signal.setitimer(signal.ITIMER_REAL, 0)
print(result, error, now() - begun)
for byte in b"xyz":
    there.send(bytes([byte]))
    libc.recv(here.fileno(), buffer, 1, 0)
"""

    def test_deadlines_and_the_order_of_records(self):
        for told, tick in (("2020-01-01 00:00:00", 0.03), ("-10d", 0.03), ("+0 x10", 0.03), ("+0 x0.001", 0.03),
                           ("+0 x0.001", 0)):  # 0: one interruption, and most of the time is spent in one wait
            for order, libraries in self.orders(PRELOADS["libfaketime"]).items():
                with self.subTest(told=told, tick=tick, order=order):
                    begun = datetime.datetime.now(datetime.timezone.utc)
                    ran, events = self.run_with([PYTHON, "-c", f"TICK = {tick}" + self.DEADLINE], libraries,
                                                {"FAKETIME": told, "RECVSHIM_EVENTS": "all"})
                    result, error, spent = ran.stdout.split()
                    self.assertEqual((result, error), ("-1", "11"), ran.stderr)
                    # The kernel's waits end up to a tick early (10 ms where HZ is 100), and the clock goes by 10 ms.
                    # A thousand times the deadline is more than run() waits.
                    self.assertGreater(float(spent), 0.375)
                    self.check_times(events, begun)
                    receives = [event for event in events if event["call"]]
                    self.assertEqual([event["error"] or event["size"] for event in receives], ["EAGAIN", 1, 1, 1])

    def check_times(self, events, begun):
        times = [event["time"] for event in events]
        self.assertEqual(times, sorted(set(times)))
        first, last = (datetime.datetime.fromisoformat(time[:26] + "+00:00") for time in (times[0], times[-1]))
        self.assertTrue(begun <= first < last <= datetime.datetime.now(datetime.timezone.utc), times)

    def test_delays_that_are_injected(self):
        script = ("import socket, time; time.time(); now = lambda: float(open('/proc/uptime').read().split()[0])\n"
                  "a, b = socket.socketpair(); b.send(b'x'); begun = now(); a.recv(1); print(now() - begun)")
        for told in ("2020-01-01 00:00:00", "+0 x10", "+0 x0.001"):
            for order, libraries in self.orders(PRELOADS["libfaketime"]).items():
                with self.subTest(told=told, order=order):
                    ran, _ = self.run_with([PYTHON, "-c", script], libraries,
                                           {"FAKETIME": told, "RECVSHIM_FAULT": "recv:delay=300ms"})
                    self.assertGreater(float(ran.stdout), 0.285)  # the clock goes by 10 ms; late it is as above

    def test_the_command_itself(self):
        begun = datetime.datetime.now(datetime.timezone.utc)
        ran = run(["faketime", "2020-01-01 00:00:00", RECVSHIM, "run", "--format", "json", "--", *self.curl("127.0.0.1")])
        self.assertEqual(ran.returncode, 0, ran.stderr)
        events = [json.loads(line) for line in ran.stderr.splitlines()]
        self.assertEqual(received(events), sum(map(int, ran.stdout.split())))
        self.check_times(events, begun)


class Others(Chained):
    def test_torsocks_refuses(self):
        preload = PRELOADS["torsocks"]
        for libraries in (preload.libraries, *self.orders(preload).values()):
            ran, events = self.run_with(self.curl("127.0.0.1"), libraries, preload.environment)
            self.assertEqual(ran.returncode, 7)
            self.assertIn("Connection to a local address are denied", ran.stderr)
            self.assertEqual(received(events), 0)

    def test_addresses_that_socket_wrapper_makes_up(self):
        preload = PRELOADS["socket_wrapper"]
        command = [PYTHON, "-c", "WRAPPED = True" + SOCKETS]
        _, events = self.run_with(command, self.orders(preload)["behind"], preload.environment)
        peers = [event["peer"]["address"] for event in events if event["call"] == "recvfrom"]
        self.assertEqual(peers, ["127.0.0.11", "fd00::5357:5f0b"])
        peers = {event["peer"]["address"] for event in events if event["call"] == "recv"}
        self.assertEqual(peers, {"127.0.0.10", "fd00::5357:5f0a", ""})

    def test_profiler_signals(self):
        """A thousand a second, of the time that the process computes, then of the time that passes: those interrupt
        receives that wait."""
        script = r"""
import socket, struct, time
here, there = socket.socketpair()
here.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 2, 0))
size = 0
for _ in range(50000):
    there.send(b"x")
    size += len(here.recv(1))
while time.process_time() < 0.5:  # whatever the machine: a tick of its clock, at which signals come, is 10 ms at most
    pass
try:
    here.recv(1)
except BlockingIOError:
    print(size)
"""
        for order, libraries in self.orders(PRELOADS["gperftools' profiler"]).items():
            for real in ({}, {"CPUPROFILE_REALTIME": "1"}):
                profile = self.path("profile")
                ran, events = self.run_with([PYTHON, "-c", script], libraries,
                                            {"CPUPROFILE": profile, "CPUPROFILE_FREQUENCY": "1000", **real})
                self.assertEqual((ran.returncode, ran.stdout, received(events)), (0, "50000\n", 50000), ran.stderr)
                interrupts = int(re.search(r"interrupts/evictions/bytes = (\d+)", ran.stderr)[1])
                self.assertGreater(interrupts, 20, order)
                self.assertGreater(os.path.getsize(profile), 1000)
                if real:
                    last = [event for event in events if event["call"]][-1]
                    self.assertEqual((last["error"], last["retries"] > 20), ("EAGAIN", True), order)

    def test_wrappers(self):
        """Commands that add to LD_PRELOAD: before `recvshim run`, and behind it."""
        settings = {name: self.fill(value) for preload in PRELOADS.values() if preload.proxy
                    for name, value in preload.environment.items()}
        for wrapper, host in ((["torsocks"], FAR), (["tsocks"], FAR), (["proxychains4", "-q"], FAR),
                              (["eatmydata"], "127.0.0.1"), (["faketime", "2020-01-01 00:00:00"], "127.0.0.1"),
                              (["fakeroot", "--"], "127.0.0.1")):
            self.check_wrapper(wrapper, host, settings, seen=True)

    def test_wrappers_that_replace_the_list(self):
        """Behind `recvshim run` they take the library away."""
        for wrapper in (["fiu-run", "-x", "-c", "enable name=nothing"], ["trickle", "-s", "-d", "100000"]):
            self.check_wrapper(wrapper, "127.0.0.1", {}, seen=False)

    def check_wrapper(self, wrapper, host, settings, seen):
        trace = self.path("trace")
        shim = [RECVSHIM, "run", "--quiet", "--trace", trace, "-o", "/dev/null", "--"]
        for command, traced in (([*wrapper, *shim], True), ([*shim, *wrapper], seen)):
            with self.subTest(command=command):
                ran = run([*command, *self.curl(host)], **settings)
                header, size = map(int, ran.stdout.split())
                self.assertEqual((ran.returncode, size), (0, SIZE), ran.stderr)
                handshake = 12 if wrapper[0] in ("torsocks", "tsocks") else 0
                self.assertEqual(received(self.read(trace)), header + size + handshake if traced else 0)

    def test_fakeroot_fakes(self):
        script = 'mknod "$0" c 1 3 && stat -c "%F %t:%T" "$0"'
        for count, command in enumerate(([RECVSHIM, "run", "-q", "-o", "/dev/null", "--", "fakeroot", "--"],
                                         ["fakeroot", "--", RECVSHIM, "run", "-q", "-o", "/dev/null", "--"])):
            device = self.path(f"device{count}")
            ran = run([*command, "sh", "-c", script, device])
            self.assertEqual((ran.returncode, ran.stdout, ran.stderr), (0, "character special file 1:3\n", ""))
            self.assertTrue(os.path.isfile(device))


if __name__ == "__main__":
    RECVSHIM, LIBRARY = (os.path.abspath(sys.argv.pop(1)) for _ in range(2))
    unittest.main()
