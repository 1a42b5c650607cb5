"""What each session is made of: a run of a program, and what is told of it."""
import collections
import contextlib
import os
import pwd
import signal
import subprocess
import time

import load
import services

LIMIT = 240  # seconds: only what hangs comes near
CONNECTIONS = 200

# What the program and its clients did, as a list; and the program's own accounts.
Told = collections.namedtuple("Told", "output accounts")
# A number that must be what the trace says came from these ports: bytes, or datagrams. The ports are looked at once the
# run is over: a ledger learns of what was sent a moment later.
Account = collections.namedtuple("Account", "name number ports datagrams", defaults=(False,))


class Run:
    """One run of a session: where its files are, by what means the program is started (prefix(number) for the first
    time and the second), and what was sent to it."""

    def __init__(self, directory, prefix):
        self.directory, self.prefix = directory, prefix
        self.ledger = services.Ledger()
        self.stack = contextlib.ExitStack()
        self.starts = 0

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

    def log_lines(self, name, count):
        """The words of each line, once there are so many: a log may come a little later than what it tells of."""
        deadline = time.monotonic() + LIMIT
        while self.read(name).count("\n") < count and time.monotonic() < deadline:
            time.sleep(0.01)
        return [line.split() for line in self.read(name).splitlines()]

    def open_to_all(self):
        """For a server that becomes another user first."""
        os.chmod(self.directory, 0o777)

    def next_prefix(self):
        self.starts += 1
        return self.prefix(self.starts)

    def start(self, *command, tcp=(), udp=(), end=signal.SIGTERM):
        """The program, as a server. It listens on these ports when this returns, and is ended with the run."""
        command = [*self.next_prefix(), *command]
        log = self.path(f"log-{self.starts}")
        server = self.stack.enter_context(services.started(log, command, end=end, cwd=self.directory))
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
        return self.tool(*self.next_prefix(), *command, given=given)

    def before(self, port):
        """The port of a proxy that counts what the program as a server is sent."""
        return self.stack.enter_context(services.Proxy(port, to_server=self.ledger)).port

    def datagrams_before(self, port, own=0):
        return self.stack.enter_context(services.Relay(port, self.ledger, own)).port

    def behind(self, port):
        """The port of a proxy that counts what the program as a client is sent."""
        return self.stack.enter_context(services.Proxy(port, to_client=self.ledger)).port

    def load(self, connection):
        """Call connection(number) many times, from several threads: see load.py."""
        clients = load.run(CONNECTIONS, connection)
        for client in clients:
            self.ledger.add(client.port, client.sent)
        return clients


def own_name():
    return pwd.getpwuid(os.geteuid()).pw_name


def outcomes(clients):
    return sorted((client.requests, client.sent, client.received, client.end) for client in clients)
