#!/usr/bin/env python3
"""Servers from Debian under the library and under load: their traces against what the clients counted and against the
servers' own logs, connection by connection, to the byte. RECVSHIM_TEST_CONNECTIONS says how many (1000).

Usage: real_servers.py RECVSHIM LIBRARY [unittest arguments]
"""
import collections
import functools
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import load
import services
from services import free_port

RECVSHIM = LIBRARY = None
CONNECTIONS = int(os.environ.get("RECVSHIM_TEST_CONNECTIONS", "1000"))
RECEIVES = {"receive", "empty", "disconnect", "error", "interrupted", "would-block"}
LIMIT = 240  # seconds: only what hangs comes near
# A server that ends a connection itself may wait for the client's end before it closes.
ENDS = {"fin": {("peer", "eof")}, "reset": {("peer", "reset")}, "server": {("program",), ("program", "eof")}}


class Story:
    """All events of one connection, of one process or of a family by fork."""

    def __init__(self):
        self.peer = self.local_port = None
        self.bytes = 0
        self.receivers = set()
        self.owners = set()  # pids
        self.events = collections.Counter()
        self.causes = []
        self.first = None  # by the close

    def add(self, event):
        self.events[event["event"]] += 1
        self.owners.add(event["pid"])
        peer = (event["peer"]["address"], event["peer"]["port"]) if event["peer"] else None
        if self.peer not in (None, peer) or self.local_port not in (None, event["local_port"]):
            raise AssertionError(f"{event} is of {self.peer} to {self.local_port}")
        self.peer, self.local_port = peer, event["local_port"]
        self.bytes += event["size"] if event["event"] in RECEIVES else 0
        if event["event"] in RECEIVES:
            self.receivers.add(event["pid"])
        if event["event"] == "disconnect":
            self.causes.append(event["cause"])
        if event["event"] == "close":
            self.first = event["first"]


class Servers(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(dir="/dev/shm", prefix="recvshim-test.")
        self.addCleanup(shutil.rmtree, self.directory)
        os.chmod(self.directory, 0o711)  # servers' workers are other users
        self.trace = self.path("trace")
        self.running = []

    def path(self, name):
        return os.path.join(self.directory, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="ascii") as file:
            file.write(text)
        return self.path(name)

    def lines(self, name):
        with open(self.path(name), encoding="ascii") as file:
            return [line.split() for line in file]

    def start(self, ports, *command, output="output", lookup="auto"):
        """A server in the foreground, under the library; returns once it accepts connections on all its ports."""
        size = max(16, CONNECTIONS // 50)
        environment = dict(os.environ, LD_PRELOAD=LIBRARY, RECVSHIM_TRACE=self.trace, RECVSHIM_SIZE=f"{size}M",
                           RECVSHIM_FULL="stop", RECVSHIM_LOOKUP=lookup)
        with open(self.path(output), "wb") as out:
            server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                                      env=environment, cwd=self.directory,
                                      start_new_session=True)  # apache2 ends its whole group
        self.running.append(server)
        self.addCleanup(self.stop)
        for port in ports:
            services.await_answer(server, self.path(output), functools.partial(services.connects, port))

    def stop(self):
        """What came last goes first: it is a client of the one before."""
        while self.running:
            server = self.running.pop()
            server.terminate()
            server.wait(timeout=LIMIT)

    def stories(self):
        """connection id -> what its events say. The trace lacks nothing."""
        shown = subprocess.run([RECVSHIM, "show", "--format", "json", self.trace], check=True, capture_output=True,
                               text=True, timeout=LIMIT)
        self.assertEqual(shown.stderr, "")
        stories = collections.defaultdict(Story)
        for line in shown.stdout.splitlines():
            event = json.loads(line)
            if event["event"] not in ("start", "exit"):
                self.assertIsNotNone(event["connection"])
                stories[event["connection"]].add(event)
        return stories

    def all_stories(self):
        """The same once every connection of the load has been accepted and closed, and the servers have ended. Clients
        may have hung up before they were accepted."""
        deadline = time.monotonic() + LIMIT
        while sum(story.events["accept"] > 0 and story.events["close"] > 0 and story.peer[0] != "127.0.0.1"
                  for story in self.stories().values()) < CONNECTIONS:
            if time.monotonic() > deadline:
                break  # what is missing will be said by those who look for it
        self.stop()
        return self.stories()

    def accepted(self, stories, port):
        """Of the load's connections to a port: (address, port) of the client -> story. There is one each."""
        found = collections.defaultdict(list)
        for story in stories.values():
            # The port is not told where look-ups are off.
            if story.local_port in (port, None) and story.events["accept"] and story.peer[0] != "127.0.0.1":
                found[story.peer].append(story)
        self.assertEqual({len(each) for each in found.values()}, {1})
        self.assertEqual({(each[0].events["accept"], each[0].events["close"]) for each in found.values()}, {(1, 1)})
        return {peer: each[0] for peer, each in found.items()}

    def assert_same(self, expected, got):
        """Of two dictionaries; says only where they differ."""
        keys = [key for key in expected.keys() | got.keys() if expected.get(key) != got.get(key)]
        self.assertEqual([(key, expected.get(key), got.get(key)) for key in keys[:5]], [], f"{len(keys)} differ")

    def check_bytes(self, clients, accepted):
        self.assert_same({(client.address, client.port): client.sent for client in clients},
                         {peer: story.bytes for peer, story in accepted.items()})

    def check_ends(self, clients, accepted, expected):
        """`expected`: how a server may see each of the clients' ends, as (first, cause...)."""
        wrong = []
        for client in clients:
            story = accepted[client.address, client.port]
            if (story.first, *story.causes) not in expected[client.end]:
                wrong.append((client.end, story.first, story.causes))
        self.assertEqual(wrong, [])

    def load(self, connection):
        clients = load.run(CONNECTIONS, connection)
        self.assertEqual(len(clients), CONNECTIONS)
        return clients

    # ---- the servers ----

    def start_nginx(self):
        port, inner = free_port(), free_port()
        http = NGINX.format(directory=self.directory, port=port, inner=inner)
        config = self.write("nginx.conf", services.nginx_config(self.directory, http, "worker_processes 2;"))
        self.start([port, inner], "nginx", "-p", self.directory, "-e", self.path("nginx-errors"), "-c", config,
                   output="nginx-output")
        return port

    def start_haproxy(self, nginx_port, lookup):
        """It sets PR_SET_NO_NEW_PRIVS, after which nothing is looked up unless that is asked for. Its log comes over a
        connection, to self.collected."""
        port, alone = free_port(), free_port()
        collector = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(collector.close)
        self.collected = []
        threading.Thread(target=self.collect, args=(collector,), daemon=True).start()
        self.start([port, alone], "haproxy", "-db", "-f",
                   self.write("haproxy.cfg", HAPROXY.format(port=port, nginx=nginx_port, alone=alone,
                                                             collector=collector.getsockname()[1])),
                   output="haproxy-output", lookup=lookup)
        return port, alone

    def collect(self, collector):
        connection, _ = collector.accept()
        with connection, connection.makefile("r", encoding="ascii") as stream:
            for line in stream:
                self.collected.append(line.split())

    def haproxy_log(self, kind, port, count):
        """The lines of a kind about the load's connections, once there are so many: they come a little later. A ring may
        sleep over its last line, until there is another."""
        deadline = time.monotonic() + LIMIT
        while True:
            lines = [words for words in list(self.collected) if words[0] == kind and words[1] != "127.0.0.1"]
            if len(lines) >= count or time.monotonic() > deadline:
                return lines
            time.sleep(0.05)
            socket.create_connection(("127.0.0.1", port), timeout=LIMIT).close()


NGINX = """
    log_format counts '$connection $remote_addr $remote_port $request_length $status';
    access_log {directory}/nginx-log counts;
    large_client_header_buffers 4 16k;
    server {{
        listen 127.0.0.1:{port};
        location / {{ return 200 "hello\\n"; }}
        location /post {{ proxy_pass http://127.0.0.1:{inner}; }} # which takes the whole body in first
    }}
    server {{
        listen 127.0.0.1:{inner};
        access_log off;
        location / {{ return 200 "posted\\n"; }}
    }}
"""

HAPROXY = """
global
    nbthread 2
    maxconn 1000
    log ring@collected format raw local0
ring collected # a log written to a descriptor loses what two threads say at once
    format raw
    size 8000000
    timeout connect 30s
    timeout server 600s
    server collector 127.0.0.1:{collector} log-proto legacy
defaults
    log global
    timeout connect 30s
    timeout client 30s
    timeout server 30s
listen before-nginx
    mode tcp
    bind 127.0.0.1:{port}
    log-format "tcp %ci %cp %bp %U %B"
    server nginx 127.0.0.1:{nginx}
frontend alone
    mode http
    bind 127.0.0.1:{alone}
    log-format "http %ci %cp %ST"
    http-request return status 200 content-type text/plain string hello
"""


@unittest.skipUnless(shutil.which("nginx"), "nginx is not installed")
class Nginx(Servers):
    def check_log(self, clients):
        """Of nginx's log: what was requested on each connection, by the client's address."""
        lengths, requests, connections = collections.Counter(), collections.Counter(), collections.defaultdict(set)
        for connection, address, port, length, status in self.lines("nginx-log"):
            self.assertEqual(status, "200")
            lengths[address, int(port)] += int(length)
            requests[address, int(port)] += 1
            connections[address, int(port)].add(connection)
        self.assertEqual({len(each) for each in connections.values()}, {1})
        self.assert_same({(client.address, client.port): client.sent for client in clients}, dict(lengths))
        self.assert_same({(client.address, client.port): client.requests for client in clients}, dict(requests))

    def test_alone(self):
        port = self.start_nginx()
        clients = self.load(functools.partial(load.http_connection, server=("127.0.0.1", port), bodies=True))
        accepted = self.accepted(self.all_stories(), port)
        self.check_bytes(clients, accepted)
        self.check_log(clients)
        self.check_ends(clients, accepted, ENDS)


@unittest.skipUnless(shutil.which("haproxy"), "haproxy is not installed")
class Haproxy(Servers):
    def test_alone(self):
        _, port = self.start_haproxy(9, "auto")
        clients = self.load(functools.partial(load.http_connection, server=("127.0.0.1", port), bodies=False))
        log = self.haproxy_log("http", port, sum(client.requests for client in clients))
        accepted = self.accepted(self.all_stories(), port)
        self.check_bytes(clients, accepted)
        requests = collections.Counter((address, int(port)) for _, address, port, _ in log)
        self.assert_same({(client.address, client.port): client.requests for client in clients}, dict(requests))
        self.check_ends(clients, accepted, ENDS)

    @unittest.skipUnless(shutil.which("nginx"), "nginx is not installed")
    def test_before_nginx(self):
        nginx = self.start_nginx()
        port, _ = self.start_haproxy(nginx, "on")
        clients = self.load(functools.partial(load.http_connection, server=("127.0.0.1", port), bodies=True))
        lines = self.haproxy_log("tcp", port, len(clients))
        stories = self.all_stories()
        accepted = self.accepted(stories, port)
        self.check_bytes(clients, accepted)
        self.check_ends(clients, accepted, ENDS)

        # The log has a line for each connection: the client's port, haproxy's own towards nginx, and the bytes.
        log = {(address, int(port)): (int(own), int(up), int(down)) for _, address, port, own, up, down in lines}
        self.assert_same({(client.address, client.port): (client.sent, client.received) for client in clients},
                         {peer: counts[1:] for peer, counts in log.items()})
        # haproxy's port may have come again, so that a connection is known by it and the bytes together.
        up = collections.Counter((own, up) for own, up, _ in log.values())
        down = collections.Counter((own, down) for own, _, down in log.values())
        at_nginx = collections.Counter((story.peer[1], story.bytes) for story in stories.values()
                                       if story.local_port == nginx and story.events["accept"])
        at_haproxy = collections.Counter((story.local_port, story.bytes) for story in stories.values()
                                         if story.peer == ("127.0.0.1", nginx) and story.events["connect"])
        self.assertEqual((up - at_nginx, down - at_haproxy), ({}, {}))


GUNICORN = """
import os

def application(environ, start_response):
    length = int(environ.get("CONTENT_LENGTH") or 0)
    got = len(environ["wsgi.input"].read(length))
    line = f"{environ['REMOTE_ADDR']} {environ['REMOTE_PORT']} {os.getpid()} {got}\\n"
    with open("application-log", "a") as log:
        log.write(line)
    start_response("200 OK", [("Content-Length", str(len(line)))])
    return [line.encode()]
"""


@unittest.skipUnless(shutil.which("gunicorn"), "gunicorn is not installed")
class Gunicorn(Servers):
    """Workers that are forked before the first connection, and accept from one listener."""

    def test_workers(self):
        port = free_port()
        self.write("application.py", GUNICORN)
        self.start([port], "gunicorn", "--workers", "4", "--bind", f"127.0.0.1:{port}", "--backlog", "512",
                   "--worker-tmp-dir", self.directory, "application")
        clients = self.load(functools.partial(load.short_connection, server=("127.0.0.1", port)))
        accepted = self.accepted(self.all_stories(), port)
        self.check_bytes(clients, accepted)
        self.check_ends(clients, accepted, ENDS)
        # Which worker had which connection is known from the application.
        served = {(address, int(client)): int(pid) for address, client, pid, _ in self.lines("application-log")}
        self.assert_same({peer: {pid} for peer, pid in served.items()},
                         {peer: story.receivers for peer, story in accepted.items() if peer in served})
        self.assertEqual(len(served), sum(client.requests for client in clients))


APACHE = """
ServerName localhost
ServerRoot {directory}
PidFile {directory}/apache.pid
Mutex flock:{directory}
LoadModule mpm_prefork_module {modules}/mod_mpm_prefork.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule alias_module {modules}/mod_alias.so
StartServers 4
KeepAliveTimeout 30
Listen 127.0.0.1:{port}
DocumentRoot {directory}/pages
ErrorLog {directory}/apache-errors
LogFormat "%h %{{remote}}p %P %>s" counts
CustomLog {directory}/apache-log counts
"""
MODULES = "/usr/lib/apache2/modules"


@unittest.skipUnless(shutil.which("apache2") and os.path.isdir(MODULES), "apache2 is not installed")
class Apache(Servers):
    """A process for each connection, several connections one after another. APR reads by read(2), which is not traced:
    what can be held against the log is who accepted what, and when it was closed."""

    def test_prefork(self):
        port = free_port()
        os.mkdir(self.path("pages"))
        os.chmod(self.write("pages/index.html", "hello"), 0o644)
        config = self.write("apache.conf", APACHE.format(directory=self.directory, modules=MODULES, port=port))
        self.start([port], "apache2", "-DFOREGROUND", "-f", config)
        clients = self.load(functools.partial(load.http_connection, server=("127.0.0.1", port), bodies=False,
                                              path="/index.html"))
        accepted = self.accepted(self.all_stories(), port)
        requests, pids = collections.Counter(), collections.defaultdict(set)
        for address, client, pid, status in self.lines("apache-log"):
            if address == "127.0.0.1":  # its own: so it wakes those of its processes that it needs no more
                continue
            self.assertEqual(status, "200")
            requests[address, int(client)] += 1
            pids[address, int(client)].add(int(pid))
        self.assert_same({(client.address, client.port): client.requests for client in clients}, dict(requests))
        self.assert_same(dict(pids), {peer: story.owners for peer, story in accepted.items()})


if __name__ == "__main__":
    RECVSHIM = os.path.abspath(sys.argv.pop(1))
    LIBRARY = os.path.abspath(sys.argv.pop(1))
    unittest.main()
