#!/usr/bin/env python3
"""The system calls of some of Debian's clients are those that they make without the library: as transparency.py has it,
but by kinds of calls.

Usage: transparency_programs.py LIBRARY VICTIMS [unittest arguments]
"""
import http.server
import os
import threading

import finished
import services
import transparent
from transparent import NATIVE, WAYS


class Programs(transparent.Transparency):
    """Of Debian. What comes in one piece and what in two is up to chance: calls are compared as those of victims that
    receive while signals come, and nothing is retried."""

    def compare_kinds(self, command, expected):
        native, asked, ended = self.kinds(NATIVE, command)
        for label, way in WAYS.items():
            with self.subTest(way=label):
                calls, _, done = self.kinds(way, command)
                self.assertEqual(done.stdout, expected)
                extra = {call: example for call, example in calls.items() if call not in native
                         and not (way.extra and way.extra.match(example))}
                self.assertFalse(extra)
        self.survive(command, asked.numbers, ended)

    def serve(self):
        class Page(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Length", str(len(PAGE)))
                self.end_headers()
                self.wfile.write(PAGE.encode())

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return server.server_port

    def test_curl(self):
        self.compare_kinds(["curl", "-s", f"http://127.0.0.1:{self.serve()}/"], PAGE)

    def test_python(self):
        self.compare_kinds(["/usr/bin/python3", "-c", PYTHON_READS, str(self.serve())], PAGE)

    def test_socat(self):
        """One process that reads a page and writes it to a file."""
        request, page = (os.path.join(self.directory, name) for name in ("request", "page"))
        with open(request, "w", encoding="ascii") as file:
            file.write("GET / HTTP/1.0\r\n\r\n")
        self.compare_kinds(["socat", "-t", str(finished.LIMIT), f"OPEN:{request},rdonly!!CREATE:{page}",
                            f"TCP:127.0.0.1:{self.serve()}"], "")
        with open(page, encoding="ascii", newline="") as file:
            self.assertEqual(file.read().split("\r\n\r\n")[1], PAGE)

    def test_redis_cli(self):
        with services.redis_server(self.directory) as port:
            self.compare_kinds(["redis-cli", "-p", str(port), "echo", "hello"], "hello\n")


PAGE = "".join(f"{i}\n" for i in range(3000))
PYTHON_READS = """
import sys, urllib.request
sys.stdout.write(urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[1]}/").read().decode())
"""


if __name__ == "__main__":
    transparent.main()
