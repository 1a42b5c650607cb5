"""A session with each of some programs from Debian, which is the same each time. What the program receives is counted at
the other end.

A session is a function of a Run; it returns what it Told."""
import collections
import contextlib
import functools
import os
import signal
import socket
import subprocess

import load
import services

LIMIT = 60  # seconds: only what hangs comes near
CONNECTIONS = 200

# What the program and its clients did, as a list; and the program's own accounts.
Told = collections.namedtuple("Told", "output accounts")
# A number that must be what the trace says came from these ports: bytes, or datagrams.
Account = collections.namedtuple("Account", "name number ports datagrams", defaults=(False,))


class Run:
    """One run of a session: where its files are, by what means the program is started, and what was sent to it."""

    def __init__(self, directory, prefix):
        self.directory, self.prefix = directory, prefix
        self.ledger = services.Ledger()
        self.stack = contextlib.ExitStack()
        self.logs = 0

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        return self.stack.__exit__(*exception)

    def path(self, name):
        return os.path.join(self.directory, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="ascii") as file:
            file.write(text)
        os.chmod(self.path(name), 0o644)
        return self.path(name)

    def read(self, name):
        with open(self.path(name), encoding="ascii", errors="replace") as file:
            return file.read()

    def start(self, *command, tcp=(), udp=(), end=signal.SIGTERM):
        """The program, as a server. It listens on these ports when this returns, and is ended with the run."""
        self.logs += 1
        log = self.path(f"log-{self.logs}")
        server = self.stack.enter_context(services.started(log, [*self.prefix, *command], end=end, cwd=self.directory))
        services.await_answer(server, log, lambda: all(map(services.listens, tcp)) and all(
            services.listens(port, "udp") for port in udp))
        return log

    def tool(self, *command, given=b"", check=True):
        """Another program, with which the session is made. Returns what it printed."""
        done = subprocess.run(command, input=given, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=LIMIT,
                              check=False, cwd=self.directory)
        if check and done.returncode != 0:
            raise RuntimeError(f"{command} ended with {done.returncode}: {done.stderr.decode(errors='replace')}")
        return done.stdout

    def program(self, *command, given=b""):
        """The program, as a client."""
        return self.tool(*self.prefix, *command, given=given)

    def before(self, port):
        """The port of a proxy that counts what the program as a server is sent."""
        return self.stack.enter_context(services.Proxy(port, to_server=self.ledger)).port

    def behind(self, port):
        """The port of a proxy that counts what the program as a client is sent."""
        return self.stack.enter_context(services.Proxy(port, to_client=self.ledger)).port

    def load(self, connection):
        """Call connection(number) many times, from several threads: see load.py."""
        clients = load.run(CONNECTIONS, connection)
        for client in clients:
            self.ledger.add(client.port, client.sent)
        return clients


def outcomes(clients):
    return sorted((client.requests, client.sent, client.received, client.end) for client in clients)


# ---- servers ----


def redis(run):
    port = services.free_port()
    run.start("redis-server", "--bind", "127.0.0.1", "--port", str(port), "--dir", run.directory, tcp=[port])
    client = ["redis-cli", "-p", str(run.before(port)), "--raw"]
    value = b"".join(services.random_blocks(3_000_000))
    output = [run.tool(*client, "-x", "SET", "value", given=value), run.tool(*client, "STRLEN", "value"),
              run.tool(*client, "--no-raw", "GET", "value") == run.tool(*client, "--no-raw", "GET", "value"),
              services.digest([run.tool(*client, "GET", "value")])]
    run.tool("redis-benchmark", *client[1:3], "-q", "-n", "2000", "-c", "8", "-d", "3000", "-P", "4", "-t",
             "set,lpush,lpop")
    output.append(run.tool(*client, "BGSAVE"))  # a child, which the server hears of over a pipe
    while b"rdb_bgsave_in_progress:0" not in run.tool(*client, "INFO", "persistence"):
        pass
    output.append(os.path.getsize(run.path("dump.rdb")) > len(value))
    stats = dict(line.split(":") for line in run.tool(*client, "INFO", "stats").decode().split() if ":" in line)
    counted = int(stats["total_net_input_bytes"])
    return Told(output, [Account("`total_net_input_bytes`", counted, set(run.ledger.bytes))])


NGINX = """
daemon off;
worker_processes 2;
pid {directory}/nginx.pid;
events {{ worker_connections 1024; }}
http {{
    log_format counts '$remote_port $request_length $status';
    access_log {directory}/nginx-log counts;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    large_client_header_buffers 4 16k;
    server {{
        listen 127.0.0.1:{port};
        location / {{ return 200 "hello\\n"; }}
        location /post {{ proxy_pass http://127.0.0.1:{server}; }} # which takes the whole body in first
    }}
}}
"""


def nginx(run):
    port, server = services.free_port(), run.behind(run.stack.enter_context(services.http_server()))
    config = run.write("nginx.conf", NGINX.format(directory=run.directory, port=port, server=server))
    run.start("nginx", "-p", run.directory, "-e", run.path("nginx-errors"), "-c", config, tcp=[port])
    clients = run.load(functools.partial(load.http_connection, server=("127.0.0.1", port), bodies=True))
    lines = [line.split() for line in run.read("nginx-log").splitlines()]
    lengths, ports = sum(int(length) for _, length, _ in lines), {int(port) for port, _, _ in lines}
    return Told([*outcomes(clients), collections.Counter(status for _, _, status in lines)],
                [Account("`$request_length`", lengths, ports)])


HAPROXY = """
global
    nbthread 2
    maxconn 1000
    log 127.0.0.1:{collector} format raw local0
defaults
    log global
    timeout connect 30s
    timeout client 30s
    timeout server 30s
listen proxy
    mode tcp
    bind 127.0.0.1:{port}
    log-format "%cp %U %B"
    server server 127.0.0.1:{server}
"""


def haproxy(run):
    port, server = services.free_port(), run.behind(run.stack.enter_context(services.http_server()))
    collector = run.stack.enter_context(socket.socket(type=socket.SOCK_DGRAM))
    collector.bind(("127.0.0.1", 0))
    collector.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, services.BLOCK)
    collector.settimeout(LIMIT)
    config = HAPROXY.format(port=port, server=server, collector=collector.getsockname()[1])
    run.start("haproxy", "-db", "-f", run.write("haproxy.cfg", config), tcp=[port])
    clients = run.load(functools.partial(load.http_connection, server=("127.0.0.1", port), bodies=True, path="/20000"))
    lines = [list(map(int, collector.recv(1000).split())) for _ in clients]
    return Told(outcomes(clients),
                [Account("`%U`", sum(up for _, up, _ in lines), {client for client, _, _ in lines}),
                 Account("`%B`", sum(down for _, _, down in lines), {server})])


def postgresql(run):
    user = services.unprivileged()
    if user:
        os.chown(run.directory, user["user"], user["group"])
    port = run.before(run.stack.enter_context(services.postgresql(run.directory, run.prefix)))
    server = ["-h", "127.0.0.1", "-p", str(port), "-U", "postgres"]
    psql = ["psql", "--no-psqlrc", "--quiet", *server, "-c"]
    run.tool(*psql, "CREATE TABLE rows (value text)")
    run.tool(*psql, "COPY rows FROM STDIN", given=b"".join(services.rows_blocks(3000)))
    output = [run.tool(*psql, "SELECT count(*), sum(length(value)), md5(string_agg(value, ',')) FROM rows"),
              services.digest([run.tool(*psql, services.rows_query(3000))])]
    pgbench = f"{services.POSTGRESQL}/pgbench"
    run.tool(pgbench, *server, "-i", "-q", "postgres")
    run.tool(pgbench, *server, "-c", "4", "-j", "2", "-t", "50", "-M", "extended", "postgres")
    output.append(run.tool(*psql, "SELECT count(*) FROM pgbench_history"))
    return Told(output, [])


# ---- clients ----


def curl(run):
    port = run.behind(run.stack.enter_context(services.http_server()))
    sizes = 3_000_000, 0, 17, 70_000
    urls = [word for size in sizes for word in ("-o", f"copy-{size}", f"http://127.0.0.1:{port}/{size}")]
    said = run.program("curl", "-sS", "-w", "%{size_header} %{size_download}\n", *urls)
    return Told([said.count(b"\n"), *(services.digest([run.tool("cat", f"copy-{size}")]) for size in sizes)],
                [Account("`%{size_header}`, `%{size_download}`", sum(map(int, said.split())), [port])])


# ---- all of them ----

# `counted`: who sent to it what was counted; `unseen`: processes of it that are known not to be traced.
Program = collections.namedtuple("Program", "name package session work counted options unseen", defaults=((), ()))
PROGRAMS = [
    Program("redis-server", "redis-server", redis, "3 MB set and got, a benchmark's load, a dump",
            "redis-cli and redis-benchmark"),
    Program("nginx", "nginx-light", nginx, f"{CONNECTIONS} connections, GET and POST, these passed on",
            "each client, and the server,"),
    # It sets PR_SET_NO_NEW_PRIVS, after which nothing is looked up unless that is asked for.
    Program("haproxy", "haproxy", haproxy, f"{CONNECTIONS} connections passed on by TCP",
            "each client, and the server,", options=("--lookup", "on")),
    Program("PostgreSQL", "postgresql-15", postgresql, "COPY of 3 MB in and out, pgbench", "psql and pgbench"),
    Program("curl", "curl", curl, "four files by HTTP", "the server"),
]
