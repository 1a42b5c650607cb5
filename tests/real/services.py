"""Servers for clients under test to talk to, each on a port of its own on loopback, and the bytes that they serve,
known to both ends. Each is a context manager that gives its port, and ends what it started."""
import collections
import contextlib
import functools
import hashlib
import http.server
import os
import pwd
import random
import selectors
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

LIMIT = 240  # seconds to start or to end: reached only by what hangs
BLOCK = 1 << 20
POSTGRESQL = "/usr/lib/postgresql/15/bin"  # Debian's place for those of its programs that are not for everybody


def reserve(port):
    """For this process and its own servers: another test that runs beside it passes over a port whose name is taken.
    The name is one of the network namespace, as the port is, and goes with this process."""
    name = socket.socket(socket.AF_UNIX)
    name.bind(f"\0recvshim-test-port-{port}")
    name.detach()  # it stays open


def free_port():
    """One that the kernel gives to nobody of itself: what it would choose may be a client's again when the server starts."""
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as limits:
        first = int(limits.read().split()[0])
    for _ in range(1000):
        port = random.SystemRandom().randrange(min(10000, first // 2), first)
        with contextlib.suppress(OSError), socket.create_server(("", port)), \
                socket.socket(type=socket.SOCK_DGRAM) as datagrams:
            datagrams.bind(("", port))
            reserve(port)
            return port
    raise RuntimeError(f"no port below {first} is free")


def random_blocks(size):
    """As many bytes, the same every time."""
    source = random.Random(size)
    for done in range(0, size, BLOCK):
        yield source.randbytes(min(BLOCK, size - done))


class Ledger:
    """What was sent to a program under test: the bytes by the port that they came from, entered before they go: whoever
    has an answer to them finds them here."""

    def __init__(self):
        self.lock, self.bytes = threading.Lock(), collections.Counter()

    def add(self, port, size):
        with self.lock:
            self.bytes[port] += size

    def sendall(self, sender, data):
        self.add(sender.getsockname()[1], len(data))  # first: who has been answered may look at once
        sender.sendall(data)


def digest(blocks):
    """What is compared of bytes that are too many to be kept: their number and checksum."""
    checksum, size = hashlib.sha256(), 0
    for block in blocks:
        checksum.update(block)
        size += len(block)
    return size, checksum.hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    """GET /SIZE is answered with that many random bytes; POST with the number of bytes that came."""

    protocol_version = "HTTP/1.1"

    def begin(self, size):
        self.send_response(200)
        self.send_header("Content-Length", str(size))
        self.end_headers()

    def do_GET(self):
        size = int(self.path[1:])
        self.begin(size)
        for block in random_blocks(size):
            self.wfile.write(block)

    def do_POST(self):
        answer = str(len(self.rfile.read(int(self.headers["Content-Length"])))).encode()
        self.begin(len(answer))
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # who does not get into the queue waits for seconds

    # A client may have had enough.
    def handle_error(self, request, client_address):
        if not issubclass(sys.exc_info()[0], ConnectionError):
            super().handle_error(request, client_address)


@contextlib.contextmanager
def http_server(tls=None):
    """`tls`: an SSLContext, for https."""
    with Server(("127.0.0.1", 0), Handler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        serving = threading.Thread(target=functools.partial(server.serve_forever, poll_interval=0.01))
        serving.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            serving.join()


@contextlib.contextmanager
def served(data):
    """A server on loopback that gives everybody who connects the same, and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def serve():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection, contextlib.suppress(OSError):
                    connection.sendall(data)

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


TRACERS = "strace", "recvshim", "perf", "uftrace", "ltrace"  # those that stay a program's parent


def program_of(pid):
    """The program itself, where it was started by way of others that watch it."""
    while True:
        try:
            with open(f"/proc/{pid}/comm", encoding="ascii", errors="replace") as comm:
                if comm.read().strip() not in TRACERS:
                    return pid
            with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as children:
                pid = int(children.read().split()[0])
        except (OSError, IndexError):
            return pid


def signal_program(server, number):
    """Unless it has ended: some servers do, of themselves, and who watches them may notice at any moment."""
    if server.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(program_of(server.pid), number)


@contextlib.contextmanager
def started(log, command, end=signal.SIGTERM, **options):
    """A server in the foreground. What it says goes into the file `log`, which is quoted where it ends too early."""
    with open(log, "wb") as out:
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, **options)
    try:
        yield server
    finally:
        signal_program(server, end)
        try:
            server.wait(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            signal_program(server, signal.SIGKILL)
            server.wait()
            raise


def await_answer(server, log, answers):
    """Until answers() is true, for a server that has not ended."""
    deadline = time.monotonic() + LIMIT
    while not answers():
        if server.poll() is not None or time.monotonic() > deadline:
            with open(log, encoding="utf-8", errors="replace") as said:
                raise RuntimeError(f"{server.args[0]} does not answer: {said.read()}")
        time.sleep(0.01)


SOCKETS = {"tcp": "0A", "udp": "07"}  # and the state of those that listen


def listens(port, protocol="tcp"):
    """Without sending it anything."""
    with open(f"/proc/net/{protocol}", encoding="ascii") as sockets:
        return any(words[1].endswith(f":{port:04X}") and words[3] == SOCKETS[protocol]
                   for words in map(str.split, sockets))


def connects(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=LIMIT).close()
    except ConnectionRefusedError:
        return False
    return True


@contextlib.contextmanager
def redis_server(directory):
    port, log = free_port(), os.path.join(directory, "redis-log")
    command = ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", directory]
    with started(log, command) as server:
        await_answer(server, log, functools.partial(connects, port))
        yield port


def redis_set(port, key, size):
    """Give a key random bytes."""
    with socket.create_connection(("127.0.0.1", port), timeout=LIMIT) as client:
        client.sendall(f"*3\r\n$3\r\nSET\r\n${len(key)}\r\n{key}\r\n${size}\r\n".encode())
        for block in random_blocks(size):
            client.sendall(block)
        client.sendall(b"\r\n")
        with client.makefile("rb") as stream:
            answer = stream.readline()
        if answer != b"+OK\r\n":
            raise RuntimeError("redis-server does not take a value")


def nginx_config(directory, http, main=""):
    """One that keeps its files in a directory. `http` and `main` stand in these contexts."""
    kinds = "client_body", "proxy", "fastcgi", "uwsgi", "scgi"
    paths = "".join(f"{kind}_temp_path {directory}/{kind}; " for kind in kinds)
    return f"daemon off; pid {directory}/nginx.pid; {main}\nevents {{ }}\nhttp {{\n{paths}\n{http}}}\n"


def unprivileged():
    """For Popen: root may not run PostgreSQL."""
    if os.geteuid() != 0:
        return {}
    user = pwd.getpwnam("postgres")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


@contextlib.contextmanager
def postgresql(directory, prefix=()):
    """For the user `postgres`, without a password. The system's user of that name must be let through to the
    directory. `prefix` is what runs it."""
    port, log, data = free_port(), os.path.join(directory, "postgresql-log"), os.path.join(directory, "postgresql")
    user = unprivileged()
    os.mkdir(data, 0o700)
    if user:
        os.chown(data, user["user"], user["group"])
    made = subprocess.run([f"{POSTGRESQL}/initdb", "--pgdata", data, "--username", "postgres", "--auth", "trust",
                           "--no-sync", "--encoding", "UTF8", "--locale", "C"], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=LIMIT, check=False, cwd="/", **user)
    if made.returncode != 0:
        raise RuntimeError(f"initdb failed: {made.stdout}")
    command = [*prefix, f"{POSTGRESQL}/postgres", "-D", data, "-F", "-h", "127.0.0.1", "-p", str(port), "-k", data]
    ready = ["pg_isready", "--quiet", "--host", data, "--port", str(port)]
    with started(log, command, end=signal.SIGINT, cwd="/", **user) as server:  # SIGINT: without waiting for clients
        await_answer(server, log, lambda: subprocess.run(ready, timeout=LIMIT, check=False).returncode == 0)
        yield port


SSHD = """
ListenAddress 127.0.0.1:{port}
HostKey {directory}/host-key
AuthorizedKeysFile {directory}/key.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin yes
LoginGraceTime 0
Subsystem sftp internal-sftp
{more}
"""


def sshd_command(directory, port, more=""):
    """Makes keys, and a configuration with some lines more."""
    for name in ("host-key", "key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", os.path.join(directory, name)], check=True,
                       timeout=LIMIT)
    os.chmod(os.path.join(directory, "key.pub"), 0o644)
    if os.geteuid() == 0:
        os.makedirs("/run/sshd", exist_ok=True)  # where the child that is not trusted is locked up
    with open(os.path.join(directory, "sshd_config"), "w", encoding="ascii") as file:
        file.write(SSHD.format(port=port, directory=directory, more=more))
    return ["/usr/sbin/sshd", "-D", "-e", "-f", file.name]


def ssh_command(directory, port, *options):
    """A login there, as who runs the tests."""
    return ["ssh", "-F", "none", "-i", os.path.join(directory, "key"), "-p", str(port), "-o", "BatchMode=yes", "-o",
            "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=" + os.path.join(directory, "known-hosts"), *options,
            pwd.getpwuid(os.geteuid()).pw_name + "@127.0.0.1"]


ROW = 993  # bytes of one, on the average


def rows_query(count):
    return f"COPY (SELECT repeat(md5(i::text), 1 + i % 61) FROM generate_series(1, {count}) i) TO STDOUT"


def rows_blocks(count):
    """What that query gives."""
    for first in range(1, count + 1, 1000):
        numbers = range(first, min(first + 1000, count + 1))
        yield "".join(hashlib.md5(str(i).encode()).hexdigest() * (1 + i % 61) + "\n" for i in numbers).encode()


class Proxy:
    """Stands before a server on a port of its own. The first connection is hung up once the client has been sent
    `limit` bytes: by a reset, or by an end of file. All later ones are left alone. What is sent to either end is
    entered into its ledger."""

    def __init__(self, server, limit=None, reset=False, to_server=None, to_client=None):
        self.server, self.limit, self.reset = server, limit, reset
        self.to_server, self.to_client = to_server, to_client
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.connections = 0
        self.accepting = threading.Thread(target=self.accept)

    def __enter__(self):
        self.accepting.start()
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)  # wakes accept
        self.accepting.join()
        self.listener.close()

    def accept(self):
        serving = []
        with contextlib.suppress(OSError):  # the end
            while True:
                client, _ = self.listener.accept()
                self.connections += 1
                limit = self.limit if self.connections == 1 else None
                serving.append(threading.Thread(target=self.serve, args=(client, limit)))
                serving[-1].start()
        for thread in serving:
            thread.join()

    def serve(self, client, limit):
        with client, socket.create_connection(("127.0.0.1", self.server)) as server:
            asking = threading.Thread(target=self.pass_on, args=(client, server, None, self.to_server))
            asking.start()
            if self.pass_on(server, client, limit, self.to_client):
                self.hang_up(client, server)
            asking.join()

    def pass_on(self, source, target, limit, ledger):
        """Returns true where it stopped because of the limit."""
        passed, port = 0, target.getsockname()[1]
        with contextlib.suppress(OSError):  # of both ends either may go first
            while data := source.recv(1 << 16 if limit is None else min(1 << 16, limit - passed)):
                if ledger is not None:
                    ledger.add(port, len(data))  # first, as above
                target.sendall(data)
                passed += len(data)
                if passed == limit:
                    return True
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)  # also where the source was reset
        return False

    def hang_up(self, client, server):
        """What is left is done by close, once the other thread has seen an end, too."""
        server.shutdown(socket.SHUT_RDWR)
        if self.reset:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.shutdown(socket.SHUT_RD)
        else:
            client.shutdown(socket.SHUT_WR)


class Relay:
    """The same for datagrams. Each client has a port of its own towards the server, whose ledger it fills."""

    def __init__(self, server, to_server, port=0):
        self.server, self.to_server = server, to_server
        self.selector = selectors.DefaultSelector()
        self.listener = self.bound(port)
        self.port = self.listener.getsockname()[1]
        self.stop, self.stopped = socket.socketpair()
        self.selector.register(self.stopped, selectors.EVENT_READ)
        self.relaying = threading.Thread(target=self.relay)

    def bound(self, port, client=None):
        relay = socket.socket(type=socket.SOCK_DGRAM)
        relay.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BLOCK)
        relay.bind(("127.0.0.1", port))
        self.selector.register(relay, selectors.EVENT_READ, client)
        return relay

    def __enter__(self):
        self.relaying.start()
        return self

    def __exit__(self, *_):
        self.stop.close()
        self.relaying.join()
        for key in list(self.selector.get_map().values()):
            key.fileobj.close()
        self.selector.close()

    def relay(self):
        clients = {}
        while True:
            for key, _ in self.selector.select():
                if key.fileobj is self.stopped:
                    return
                data, sender = key.fileobj.recvfrom(BLOCK)
                if key.fileobj is not self.listener:
                    self.listener.sendto(data, key.data)
                    continue
                if sender not in clients:
                    clients[sender] = self.bound(0, sender)
                    clients[sender].connect(("127.0.0.1", self.server))
                self.to_server.sendall(clients[sender], data)
