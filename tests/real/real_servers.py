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
import time
import unittest

import load

RECVSHIM = LIBRARY = None
CONNECTIONS = int(os.environ.get("RECVSHIM_TEST_CONNECTIONS", "1000"))
RECEIVES = {"receive", "empty", "disconnect", "error", "interrupted", "would-block"}
LIMIT = 120  # seconds


class Story:
    """All events of one connection, of one process or of a family by fork."""

    def __init__(self):
        self.peer = self.local_port = None
        self.bytes = 0
        self.receivers = set()
        self.events = collections.Counter()
        self.causes = []

    def add(self, event):
        self.events[event["event"]] += 1
        peer = (event["peer"]["address"], event["peer"]["port"]) if event["peer"] else None
        if self.peer not in (None, peer) or self.local_port not in (None, event["local_port"]):
            raise AssertionError(f"{event} is of {self.peer} to {self.local_port}")
        self.peer, self.local_port = peer, event["local_port"]
        self.bytes += event["size"] if event["event"] in RECEIVES else 0
        if event["event"] in RECEIVES:
            self.receivers.add(event["pid"])
        if event["event"] == "disconnect":
            self.causes.append(event["cause"])


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


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

    def start(self, port, *command, output="output", lookup="auto"):
        """A server in the foreground, under the library; returns once it accepts connections."""
        size = max(16, CONNECTIONS // 50)
        environment = dict(os.environ, LD_PRELOAD=LIBRARY, RECVSHIM_TRACE=self.trace, RECVSHIM_SIZE=f"{size}M",
                           RECVSHIM_FULL="stop", RECVSHIM_LOOKUP=lookup)
        with open(self.path(output), "wb") as out:
            server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                                      env=environment, cwd=self.directory)
        self.running.append(server)
        self.addCleanup(self.stop)
        deadline = time.monotonic() + LIMIT
        while True:
            with open(self.path(output), encoding="utf-8", errors="replace") as said:
                self.assertIsNone(server.poll(), f"{command[0]} ended: {said.read()}")
            try:
                socket.create_connection(("127.0.0.1", port), timeout=LIMIT).close()
                return
            except ConnectionRefusedError:
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.01)

    def stop(self):
        """What came last goes first: it is a client of the one before."""
        while self.running:
            server = self.running.pop()
            server.terminate()
            server.wait(timeout=LIMIT)

    def stories(self):
        """connection id -> what its events say, once all have ended. The trace lacks nothing."""
        self.stop()
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

    def check_bytes(self, clients, accepted):
        self.assertEqual({(client.address, client.port): client.sent for client in clients},
                         {peer: story.bytes for peer, story in accepted.items()})

    def check_causes(self, clients, accepted, causes):
        """`causes`: what a server sees of each end."""
        wrong = [(client.end, accepted[client.address, client.port].causes) for client in clients
                 if accepted[client.address, client.port].causes not in causes[client.end]]
        self.assertEqual(wrong, [])

    def load(self, connection):
        clients = load.run(CONNECTIONS, connection)
        self.assertEqual(len(clients), CONNECTIONS)
        return clients

    # ---- the servers ----

    def start_nginx(self):
        port, inner = free_port(), free_port()
        config = self.write("nginx.conf", NGINX.format(directory=self.directory, port=port, inner=inner))
        self.start(port, "nginx", "-p", self.directory, "-e", self.path("nginx-errors"), "-c", config,
                   output="nginx-output")
        return port

    def start_haproxy(self, nginx_port, lookup):
        """It sets PR_SET_NO_NEW_PRIVS, after which nothing is looked up unless that is asked for."""
        port, alone = free_port(), free_port()
        self.start(port, "haproxy", "-db", "-f",
                   self.write("haproxy.cfg", HAPROXY.format(port=port, nginx=nginx_port, alone=alone)),
                   output="haproxy-log", lookup=lookup)
        return port, alone


NGINX = """
daemon off;
worker_processes 2;
pid {directory}/nginx.pid;
events {{ worker_connections 1024; }}
http {{
    log_format counts '$connection $remote_addr $remote_port $request_length $status';
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
        location /post {{ proxy_pass http://127.0.0.1:{inner}; }} # which takes the whole body in first
    }}
    server {{
        listen 127.0.0.1:{inner};
        access_log off;
        location / {{ return 200 "posted\\n"; }}
    }}
}}
"""

HAPROXY = """
global
    nbthread 2
    maxconn 1000
    log stdout format raw local0
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
        self.assertEqual({(client.address, client.port): client.sent for client in clients}, dict(lengths))
        self.assertEqual({(client.address, client.port): client.requests for client in clients}, dict(requests))

    def test_alone(self):
        port = self.start_nginx()
        clients = self.load(functools.partial(load.http_connection, server=("127.0.0.1", port), bodies=True))
        accepted = self.accepted(self.stories(), port)
        self.check_bytes(clients, accepted)
        self.check_log(clients)
        self.check_causes(clients, accepted, {"fin": (["eof"],), "reset": (["reset"],), "server": ([],)})


@unittest.skipUnless(shutil.which("haproxy"), "haproxy is not installed")
class Haproxy(Servers):
    def test_alone(self):
        _, port = self.start_haproxy(9, "auto")
        clients = self.load(functools.partial(load.http_connection, server=("127.0.0.1", port), bodies=False))
        accepted = self.accepted(self.stories(), port)
        self.check_bytes(clients, accepted)
        requests = collections.Counter((words[1], int(words[2])) for words in self.lines("haproxy-log")
                                       if words[0] == "http" and words[1] != "127.0.0.1")
        self.assertEqual({(client.address, client.port): client.requests for client in clients}, dict(requests))
        self.check_causes(clients, accepted, {"fin": (["eof"],), "reset": (["reset"],), "server": ([], ["eof"])})

    @unittest.skipUnless(shutil.which("nginx"), "nginx is not installed")
    def test_before_nginx(self):
        nginx = self.start_nginx()
        port, _ = self.start_haproxy(nginx, "on")
        clients = self.load(functools.partial(load.http_connection, server=("127.0.0.1", port), bodies=True))
        stories = self.stories()
        accepted = self.accepted(stories, port)
        self.check_bytes(clients, accepted)
        self.check_causes(clients, accepted, {"fin": (["eof"],), "reset": (["reset"],), "server": ([], ["eof"])})

        # The log has a line for each connection: the client's port, haproxy's own towards nginx, and the bytes.
        log = {(address, int(port)): (int(own), int(up), int(down)) for _, address, port, own, up, down in
               (words for words in self.lines("haproxy-log") if words[0] == "tcp" and words[1] != "127.0.0.1")}
        self.assertEqual({(client.address, client.port): (client.sent, client.received) for client in clients},
                         {peer: counts[1:] for peer, counts in log.items()})
        # haproxy's port may have come again, so that a connection is known by it and the bytes together.
        up = collections.Counter((own, up) for own, up, _ in log.values())
        down = collections.Counter((own, down) for own, _, down in log.values())
        at_nginx = collections.Counter((story.peer[1], story.bytes) for story in stories.values()
                                       if story.local_port == nginx and story.events["accept"])
        at_haproxy = collections.Counter((story.local_port, story.bytes) for story in stories.values()
                                         if story.peer == ("127.0.0.1", nginx) and story.events["connect"])
        self.assertEqual((up - at_nginx, down - at_haproxy), ({}, {}))


if __name__ == "__main__":
    RECVSHIM = os.path.abspath(sys.argv.pop(1))
    LIBRARY = os.path.abspath(sys.argv.pop(1))
    unittest.main()
