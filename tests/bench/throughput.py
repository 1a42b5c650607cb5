"""What a server manages in a second, natively and traced: turns for scripts/bench.

Server and client have a CPU each, where there are two. Beside what the client counted stands what the server would
manage if it had its CPU for itself: requests in a second of its own CPU time, which other programs on the machine
disturb less."""
import contextlib
import functools
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "real"))
import services  # pylint: disable=wrong-import-position

LIMIT = 240  # seconds: only what hangs comes near
SERVER_CPU, CLIENT_CPU = 0, 1  # of those that we may use
FIGURES = ["requests_per_second", "requests_per_cpu_second"]


def pinned(number, command):
    cpus = sorted(os.sched_getaffinity(0))
    return ["taskset", "--cpu-list", str(cpus[number % len(cpus)]), *command]


def output_of(command):
    done = subprocess.run(pinned(CLIENT_CPU, command), capture_output=True, text=True, timeout=LIMIT, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} ended with {done.returncode}: {done.stderr}")
    return done.stdout


def redis_command(directory, port):
    return ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", directory]


REDIS_REQUESTS = 20000


def redis_load(port, requests=REDIS_REQUESTS):
    """Returns how many requests were answered, and in how many seconds."""
    said = output_of(["redis-benchmark", "-p", str(port), "-c", "16", "-n", str(requests), "-t", "get", "--csv"])
    rate = float(re.search(r'^"GET","([\d.]+|inf)"', said, re.MULTILINE)[1])
    return requests, max(requests / rate, 0.0005)  # of less than a millisecond it tells no more


NGINX = """
    access_log off;
    keepalive_requests 1000000000;
    server {{
        listen 127.0.0.1:{port};
        location / {{ return 200 "hello\\n"; }}
    }}
"""


def nginx_command(directory, port):
    config = os.path.join(directory, "nginx.conf")
    with open(config, "w", encoding="ascii") as file:
        file.write(services.nginx_config(directory, NGINX.format(port=port)))
    return ["nginx", "-p", directory, "-e", os.path.join(directory, "errors"), "-c", config]


def nginx_load(port):
    said = output_of(["wrk", "-t", "1", "-c", "16", "-d", "1", f"http://127.0.0.1:{port}/"])
    requests, seconds = re.search(r"^ *(\d+) requests in ([\d.]+)s", said, re.MULTILINE).groups()
    if "Non-2xx" in said or "Socket errors" in said:
        raise RuntimeError(f"nginx did not answer all: {said}")
    return int(requests), float(seconds)


# The programs, how the server is started, and what a turn is.
SERVERS = {
    "redis": (["redis-server", "redis-benchmark"], redis_command, redis_load),
    "nginx": (["nginx", "wrk"], nginx_command, nginx_load),
}


def family(pid):
    """A process and what it has started, as far as they are there still."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
        yield pid
        for child in children:
            yield from family(int(child))


def cpu_seconds(pid):
    """That all threads of a server have used by now, and of all its processes."""
    used = 0
    for file in (file for each in family(pid) for file in Path(f"/proc/{each}/task").glob("*/schedstat")):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a thread that ends
            used += int(file.read_text(encoding="ascii").split()[0])
    return used / 1e9


class Server:
    """Serves whenever it gets a turn. It has answered `warmup` requests by then. `tracer` is a command that runs it, on
    the server's CPU; what they say goes into `log`; and `options` are the load's."""

    def __init__(self, name, directory, environment, warmup, tracer=(), log=None, **options):
        _, command, load = SERVERS[name]
        os.makedirs(directory)
        os.chmod(directory, 0o711)  # nginx's worker is another user
        self.directory, self.port, self.answered = directory, services.free_port(), 0
        self.load = functools.partial(load, self.port, **options)
        log = log or os.path.join(directory, "log")
        run = pinned(SERVER_CPU, [*tracer, *command(directory, self.port)])
        with contextlib.ExitStack() as started:
            self.process = started.enter_context(services.started(log, run, env=environment))
            services.await_answer(self.process, log, lambda: services.listens(self.port))
            while self.answered < warmup:
                self.serve()
            self.started = started.pop_all()

    def serve(self):
        requests, seconds = self.load()
        self.answered += requests
        return requests, seconds

    def turn(self):
        before = cpu_seconds(self.process.pid)
        requests, seconds = self.serve()
        return requests / seconds, requests / (cpu_seconds(self.process.pid) - before)

    def end(self):
        self.started.close()
        shutil.rmtree(self.directory)
