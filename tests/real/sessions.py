"""A session with each of some programs from Debian, which is the same each time. What the program receives is counted
at the other end.

A session is a function of a Run; it returns what it Told."""
import collections
import contextlib
import functools
import hashlib
import json
import os
import pwd
import random
import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import threading
import time

import load
import services

LIMIT = 240  # seconds: only what hangs comes near
CONNECTIONS = 200

# What the program and its clients did, as a list; and the program's own accounts.
Told = collections.namedtuple("Told", "output accounts")
# A number that must be what the trace says came from these ports: bytes, or datagrams.
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
    log_format counts '$remote_port $request_length $status';
    access_log {directory}/nginx-log counts;
    large_client_header_buffers 4 16k;
    server {{
        listen 127.0.0.1:{port};
        location / {{ return 200 "hello\\n"; }}
        location /post {{ proxy_pass http://127.0.0.1:{server}; }} # which takes the whole body in first
    }}
"""


def nginx(run):
    port, server = services.free_port(), run.behind(run.stack.enter_context(services.http_server()))
    http = NGINX.format(directory=run.directory, port=port, server=server)
    config = run.write("nginx.conf", services.nginx_config(run.directory, http, "worker_processes 2;"))
    run.start("nginx", "-p", run.directory, "-e", run.path("nginx-errors"), "-c", config, tcp=[port])
    clients = run.load(functools.partial(load.http_connection, server=("127.0.0.1", port), bodies=True))
    lines = run.log_lines("nginx-log", sum(client.requests for client in clients))
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
    port = run.before(run.stack.enter_context(services.postgresql(run.directory, run.next_prefix())))
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


def memcached_client(number, server):
    """Sets values of many sizes and gets them again. Ends in one of load's ways, or by the server at its wish."""
    choice, end = random.Random(number), load.ENDS[number % len(load.ENDS)]
    client = load.bound(number)
    client.connect(server)
    port, sent, received = client.getsockname()[1], 0, 0
    with client.makefile("rb") as stream:
        for key in range(choice.randrange(1, 5)):
            value = choice.randbytes(choice.choice((0, 10, 1000, 100_000)))
            data = b"set %d-%d 0 0 %d\r\n%b\r\nget %d-%d\r\n" % (number, key, len(value), value, number, key)
            client.sendall(data)
            sent += len(data)
            answer = b"STORED\r\nVALUE %d-%d 0 %d\r\n%b\r\nEND\r\n" % (number, key, len(value), value)
            if stream.read(len(answer)) != answer:
                raise RuntimeError("memcached gives another value than it got")
            received += len(answer)
        if end == "server":
            client.sendall(b"quit\r\n")
            sent += len(b"quit\r\n")
            stream.read()
    load.hang_up(client, end)
    return load.Sent("127.0.0.1", port, sent, received, key + 1, end)


def memcached(run):
    port, datagrams = services.free_port(), services.free_port()
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    run.start("memcached", "-l", "127.0.0.1", "-p", str(port), "-U", str(datagrams), "-t", "2", *user, tcp=[port],
              udp=[datagrams])
    clients = run.load(functools.partial(memcached_client, server=("127.0.0.1", port)))
    output = outcomes(clients)
    with socket.socket(type=socket.SOCK_DGRAM) as client:
        client.settimeout(LIMIT)
        client.connect(("127.0.0.1", datagrams))
        for number in range(100):
            run.ledger.sendall(client, struct.pack("!4H", number, 0, 1, 0) + b"get none\r\n")
            output.append(client.recv(1000))
    with socket.create_connection(("127.0.0.1", port), timeout=LIMIT) as client, client.makefile("r") as stream:
        run.ledger.sendall(client, b"stats\r\n")
        stats = dict(line.split()[1:3] for line in iter(stream.readline, "END\n"))
    return Told(output, [Account("`bytes_read`", int(stats["bytes_read"]), set(run.ledger.bytes))])


def sshd(run):
    port = services.free_port()
    log = run.start(*services.sshd_command(run.directory, port, "LogLevel DEBUG3"), tcp=[port])
    port = run.before(port)
    login = services.ssh_command(run.directory, port)
    refused = services.ssh_command(run.directory, port, "-o", "PubkeyAuthentication=no")
    data = b"".join(services.random_blocks(3_000_000))
    output = [services.digest([run.tool(*login, "cat", given=data)]), run.tool(*login, "sha256sum", given=data),
              run.tool(*refused, "true", check=False)]
    logins = 3
    if run.read(os.path.basename(log)).count("attaching seccomp filter program") != logins:
        raise RuntimeError("sshd's children before the login are not under a filter of seccomp")
    return Told(output, [])


def dns_query(name, number):
    labels = b"".join(struct.pack("B", len(label)) + label for label in name.encode().split(b"."))
    return struct.pack("!6H", number, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!2H", 1, 1)


def dns_answer(query, by_datagram):
    """An address that follows from the name; for names that begin with `t` that this has to be asked by TCP."""
    end = query.index(b"\0", 12) + 5  # its one question
    name = query[12:end].lower()
    truncated = by_datagram and name[1:2] == b"t"
    header = query[:2] + struct.pack("!5H", 0x8380 if truncated else 0x8180, 1, 0 if truncated else 1, 0, 0)
    record = struct.pack("!3HIH", 0xC00C, 1, 1, 300, 4) + hashlib.sha256(name).digest()[:4]
    return header + query[12:end] + (b"" if truncated else record)


def read_exactly(sock, size):
    data = b""
    while len(data) < size:
        part = sock.recv(size - len(data))
        if not part:
            return None
        data += part
    return data


def dns_message(sock):
    """One that came by TCP."""
    length = read_exactly(sock, 2)
    return read_exactly(sock, *struct.unpack("!H", length)) if length else None


def dns_server(run):
    """Answers a program that asks it, and counts what it sends. Returns its port."""
    while True:
        listener = run.stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        port = listener.getsockname()[1]
        datagrams = run.stack.enter_context(socket.socket(type=socket.SOCK_DGRAM))
        with contextlib.suppress(OSError):  # it may be taken there
            datagrams.bind(("127.0.0.1", port))
            break

    def answer_datagrams():
        while True:
            query, client = datagrams.recvfrom(services.BLOCK)
            if not query:  # the end
                return
            run.ledger.add(port, datagrams.sendto(dns_answer(query, True), client))

    def answer_connection(client):
        with client:
            while query := dns_message(client):
                answer = dns_answer(query, False)
                run.ledger.sendall(client, struct.pack("!H", len(answer)) + answer)

    def accept():
        with contextlib.suppress(OSError):  # the end
            while True:
                client, _ = listener.accept()
                threading.Thread(target=answer_connection, args=(client,), daemon=True).start()

    def stop():
        with socket.socket(type=socket.SOCK_DGRAM) as last:
            last.sendto(b"", ("127.0.0.1", port))
        listener.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join()

    threads = [threading.Thread(target=answer_datagrams), threading.Thread(target=accept)]
    for thread in threads:
        thread.start()
    run.stack.callback(stop)
    return port


def dns_session(run, port):
    """Ask names of two kinds: those that are answered by datagrams, and those that are truncated there, and asked again
    by TCP; and each once more, which is known by then. Returns the answers, and the client's port for datagrams."""
    output = []
    with socket.socket(type=socket.SOCK_DGRAM) as client:
        client.settimeout(LIMIT)
        client.connect(("127.0.0.1", port))
        datagrams = client.getsockname()[1]
        for number in range(2 * CONNECTIONS):
            kind = "t" if number % 10 == 9 else "u"
            query = dns_query(f"{kind}{number % CONNECTIONS}.example.com", number)
            run.ledger.sendall(client, query)
            answer = client.recv(services.BLOCK)
            if kind == "t":
                with socket.create_connection(("127.0.0.1", port), timeout=LIMIT) as stream:
                    run.ledger.sendall(stream, struct.pack("!H", len(query)) + query)
                    answer = dns_message(stream)
            if answer[:2] != query[:2] or answer[7] != 1:
                raise RuntimeError(f"no answer to query {number}: {answer}")
            output.append(re.search(rb"\x00\x04(....)", answer[len(query):], re.DOTALL)[1])  # TTLs run down
    return output, datagrams


def dnsmasq(run):
    port, upstream = services.free_port(), dns_server(run)
    user = ["--user=root", "--group=root"] if os.geteuid() == 0 else []
    log = run.start("dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--pid-file", f"--port={port}",
                    "--listen-address=127.0.0.1", "--bind-interfaces", "--no-resolv", "--no-hosts",
                    f"--server=127.0.0.1#{upstream}", "--log-queries", "--log-facility=-", *user, tcp=[port],
                    udp=[port])
    output, datagrams = dns_session(run, port)
    queries = run.read(os.path.basename(log)).count(": query[A] ")
    streams = 2 * CONNECTIONS // 10
    return Told(output, [Account("its log's queries", queries - streams, [datagrams], True)])


UNBOUND = """
server:
    verbosity: 1
    num-threads: 2
    interface: 127.0.0.1
    port: {port}
    do-ip6: no
    chroot: ""
    {user}
    directory: "{directory}"
    pidfile: ""
    use-syslog: no
    logfile: ""
    do-daemonize: no
    do-not-query-localhost: no
    unknown-server-time-limit: 60000 # or the upstream server is asked again, and nobody hears its first answer
    infra-cache-min-rtt: 60000
    extended-statistics: yes
    module-config: "iterator"
    access-control: 127.0.0.0/8 allow
remote-control:
    control-enable: yes
    control-interface: "{directory}/control"
    control-use-cert: no
forward-zone:
    name: "."
    forward-addr: 127.0.0.1@{upstream}
"""


def unbound(run):
    run.open_to_all()
    port = services.free_port()
    user = "" if os.geteuid() == 0 else 'username: ""'
    config = run.write("unbound.conf", UNBOUND.format(port=port, directory=run.directory, upstream=dns_server(run),
                                                      user=user))
    run.start("unbound", "-d", "-c", config, tcp=[port], udp=[port])
    output, datagrams = dns_session(run, port)
    stats = dict(line.split("=") for line in run.tool("unbound-control", "-c", config, "stats").decode().split())
    return Told(output, [Account("`num.queries` less `num.query.tcp`",
                                 int(stats["total.num.queries"]) - int(stats["num.query.tcp"]), [datagrams], True)])


CHRONY = """
port {port}
bindaddress 127.0.0.1
cmdport 0
bindcmdaddress {directory}/command/socket
pidfile {directory}/pid
allow 127.0.0.0/8
local stratum 1
server 127.0.0.1 port {upstream} minpoll -4 maxpoll -4 version 4
"""
NTP_SIZE = 48


def ntp_server(run):
    """For a program that asks the time of it. Returns its port, a list of whom it has answered, and a function that
    ends it."""
    server = run.stack.enter_context(socket.socket(type=socket.SOCK_DGRAM))
    server.bind(("127.0.0.1", 0))
    port, answers, ended = server.getsockname()[1], [], threading.Event()

    def answer():
        while True:
            query, client = server.recvfrom(1000)
            if ended.is_set():
                return
            now = struct.pack("!Q", int((time.time() + 2208988800) * 2**32))
            header = struct.pack("!BBbbII4s", 0x24, 1, 0, -20, 0, 0, b"test")
            server.sendto(header + now + query[40:48] + now + now, client)
            answers.append(client)

    def end():
        if not ended.is_set():
            ended.set()
            with socket.socket(type=socket.SOCK_DGRAM) as last:
                last.sendto(b"", ("127.0.0.1", port))
            answering.join()

    answering = threading.Thread(target=answer)
    answering.start()
    run.stack.callback(end)
    return port, answers, end


def chrony(run):
    """Under its filter of seccomp, as Debian starts it."""
    user = "_chrony" if os.geteuid() == 0 else own_name()
    os.mkdir(run.path("command"), 0o700)
    shutil.chown(run.path("command"), user, pwd.getpwnam(user).pw_gid)
    port = services.free_port()
    upstream, answers, end_upstream = ntp_server(run)
    config = run.write("chrony.conf", CHRONY.format(port=port, directory=run.directory, upstream=upstream))
    log = run.start("chronyd", "-d", "-U", "-x", "-F", "1", "-u", user, "-f", config, udp=[port])
    output = []
    with socket.socket(type=socket.SOCK_DGRAM) as client:
        client.settimeout(LIMIT)
        client.connect(("127.0.0.1", port))
        for _ in range(20):
            for _ in range(16):
                run.ledger.sendall(client, struct.pack("!B47x", 0x23))
            output += [client.recv(1000)[0] & 7 for _ in range(16)]  # the mode: 4 is a server's answer
        clients = client.getsockname()[1]

    def ask(what, name):
        said = run.tool("chronyc", "-h", run.path("command/socket"), what).decode()
        return int(re.search(rf"^{name} +: (\d+)", said, re.MULTILINE)[1])

    deadline = time.monotonic() + LIMIT
    while len(answers) < 16 and time.monotonic() < deadline:
        time.sleep(0.01)
    end_upstream()
    # An answer that comes when the next question has been asked is nobody's: only chronyd can tell how many it got.
    # What was there when it was asked for the first time it has got by the second.
    ask("ntpdata", "Total RX")
    if "Loaded seccomp filter" not in run.read(os.path.basename(log)):
        raise RuntimeError("chronyd is not under a filter of seccomp")
    received = ask("ntpdata", "Total RX")
    run.ledger.bytes[upstream] = received * NTP_SIZE
    return Told(output, [Account("`serverstats`", ask("serverstats", "NTP packets received"), [clients], True),
                         Account("`ntpdata`", received, [upstream], True)])


RSYSLOG = """
global(workDirectory="{directory}" net.enableDNS="off" localHostname="test")
module(load="imtcp")
input(type="imtcp" address="127.0.0.1" port="{port}")
module(load="imudp")
input(type="imudp" address="127.0.0.1" port="{port}")
module(load="imuxsock" SysSock.Use="off")
input(type="imuxsock" Socket="{directory}/socket")
template(name="as-it-came" type="string" string="%rawmsg%\n")
action(type="omfile" file="{directory}/messages" template="as-it-came")
"""


def rsyslog_client(number, server):
    choice = random.Random(number)
    client = load.bound(number)
    client.connect(server)
    lines = b"".join(b"<13>tcp %d %d %s\n" % (number, i, b"m" * choice.randrange(4000)) for i in range(20))
    client.sendall(lines)
    port = client.getsockname()[1]
    client.close()
    return load.Sent("127.0.0.1", port, len(lines), 0, 20, "fin")


def rsyslog(run):
    run.open_to_all()
    port = services.free_port()
    config = run.write("rsyslog.conf", RSYSLOG.format(directory=run.directory, port=port))
    run.start("rsyslogd", "-n", "-f", config, "-i", run.path("pid"), tcp=[port], udp=[port])
    with socket.socket(type=socket.SOCK_DGRAM) as client:
        client.connect(("127.0.0.1", port))
        datagrams = client.getsockname()[1]
        for number in range(CONNECTIONS):
            run.ledger.sendall(client, b"<13>udp %d %s" % (number, b"m" * number))
    clients = run.load(functools.partial(rsyslog_client, server=("127.0.0.1", port)))
    for number in range(20):
        run.tool("logger", "--socket", run.path("socket"), "--socket-errors=on", f"unix {number}")
    run.log_lines("messages", CONNECTIONS * 21 + 20)
    lines = run.read("messages").splitlines()
    by_tcp = [line for line in lines if line.startswith("<13>tcp")]
    by_udp = [line for line in lines if line.startswith("<13>udp")]
    return Told([len(lines), *sorted(by_tcp), *sorted(by_udp)],
                [Account("its file", sum(len(line) + 1 for line in by_tcp), [client.port for client in clients]),
                 Account("its file", len(by_udp), [datagrams], True)])


SNMPD = """
rocommunity public 127.0.0.1
sysName test
sysContact test
[snmp] persistentDir {directory}
"""


def snmpd(run):
    run.open_to_all()
    port = services.free_port()
    user = ["-u", "Debian-snmp", "-g", "Debian-snmp"] if os.geteuid() == 0 else []
    run.start("snmpd", "-f", "-Lo", "-C", "-c", run.write("snmpd.conf", SNMPD.format(directory=run.directory)),
              *user, f"udp:127.0.0.1:{port}", f"tcp:127.0.0.1:{port}", tcp=[port], udp=[port])
    options = ["-v2c", "-c", "public", "-m", "", "-On", "-t", "10"]
    datagrams = f"udp:127.0.0.1:{run.datagrams_before(port)}"
    output = []
    for _ in range(5):
        output += [run.tool("snmpget", *options, datagrams, ".1.3.6.1.2.1.1.4.0", ".1.3.6.1.2.1.1.5.0"),
                   run.tool("snmpwalk", *options, datagrams, ".1.3.6.1.6.3.16"),
                   run.tool("snmpbulkwalk", *options, datagrams, ".1.3.6.1.2.1.1.9.1.3")]
    received = int(run.tool("snmpget", *options, "-Oqv", datagrams, ".1.3.6.1.2.1.11.1.0"))
    account = Account("`snmpInPkts`", received, set(run.ledger.bytes), True)
    output.append(run.tool("snmpwalk", *options, f"tcp:127.0.0.1:{run.before(port)}", ".1.3.6.1.6.3.16"))
    return Told(output, [account])


SQUID = """
http_port 127.0.0.1:{port}
http_access allow localhost
cache deny all
cache_log {directory}/cache-log
logformat counts %>p %>st %rm %>Hs
access_log stdio:{directory}/access-log counts
pid_filename {directory}/pid
coredump_dir {directory}
visible_hostname test
netdb_filename none
pinger_enable off
dns_nameservers 127.0.0.1
shutdown_lifetime 0 seconds
"""


def squid(run):
    run.open_to_all()
    port, server = services.free_port(), run.behind(run.stack.enter_context(services.http_server()))
    config = run.write("squid.conf", SQUID.format(port=port, directory=run.directory))
    run.start("squid", "-N", "-f", config, tcp=[port])
    url = f"http://127.0.0.1:{server}"
    clients = run.load(functools.partial(load.http_connection, server=("127.0.0.1", port), bodies=False,
                                         path=f"{url}/20000"))
    curl_by = ["curl", "-sS", "-x", f"http://127.0.0.1:{run.before(port)}"]
    body = b"".join(services.random_blocks(1_000_000))
    output = [*outcomes(clients), run.tool(*curl_by, "--data-binary", "@-", f"{url}/post", given=body),
              services.digest([run.tool(*curl_by, "--proxytunnel", f"{url}/1000000")])]
    lines = run.log_lines("access-log", sum(client.requests for client in clients) + 2)
    output.append(collections.Counter((method, status) for _, _, method, status in lines))
    sizes, ports = sum(int(size) for _, size, _, _ in lines), {int(port) for port, _, _, _ in lines}
    return Told(output, [Account("`%>st`", sizes, ports)])


MOSQUITTO = """
listener {port} 127.0.0.1
allow_anonymous true
persistence false
sys_interval 1
log_dest stderr
"""
SYS_BYTES = "$SYS/broker/bytes/received"


def mosquitto(run):
    port = services.free_port()
    run.start("mosquitto", "-c", run.write("mosquitto.conf", MOSQUITTO.format(port=port)), tcp=[port])
    address = ["-h", "127.0.0.1", "-p", str(run.before(port))]
    for number in range(20):
        message = b"".join(services.random_blocks((number + 1) ** 4))
        run.tool("mosquitto_pub", *address, "-t", f"test/{number}", "-q", str(number % 3), "-r", "-s", given=message)
    output = [services.digest([run.tool("mosquitto_sub", *address, "-t", f"test/{number}", "-q", "2", "-C", "1", "-N")])
              for number in range(20)]
    # What it says of itself is a second old. Once it is true nothing more may be sent.
    last = 0
    with services.started(run.path("own"), ["mosquitto_sub", *address, "-t", SYS_BYTES], end=signal.SIGKILL):
        deadline = time.monotonic() + LIMIT / 4
        while last != sum(run.ledger.bytes.values()) and time.monotonic() < deadline:
            time.sleep(0.05)
            last = int((run.read("own").split() or ["0"])[-1])
    return Told(output, [Account(f"`{SYS_BYTES}`", last, set(run.ledger.bytes))])


COOKIE = 37  # bytes with which each connection to iperf3 begins


def json_once_whole(run, name):
    deadline = time.monotonic() + LIMIT
    while True:
        try:
            return json.loads(run.read(name))
        except json.JSONDecodeError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def iperf3(run):
    """A server for each test. At the end of one it leaves unread what is still under way, so that of its streams only
    its own account tells what it got."""
    output, ports = [], []
    for options in (["-n", "30M", "-P", "2"], ["-n", "1M"], ["-n", "10M", "-R"]):
        port = services.free_port()
        log = run.start("iperf3", "-s", "-1", "-J", "-p", str(port), "-B", "127.0.0.1", tcp=[port])
        client = ["iperf3", "-J", "-c", "127.0.0.1", "-p", str(run.before(port)), *options]
        output.append(json.loads(run.tool(*client, check=False)).get("error"))
        account = json_once_whole(run, os.path.basename(log))
        for connection, stream in zip(account["start"]["connected"], account["end"]["streams"]):
            ports.append(connection["remote_port"])
            received = 0 if stream["receiver"]["sender"] else stream["receiver"]["bytes"]
            run.ledger.bytes[ports[-1]] = received + COOKIE
    return Told(output, [Account("its JSON", sum(run.ledger.bytes[port] for port in ports), ports)])


# ---- clients ----


def certificate(run):
    """Makes one of 127.0.0.1. Returns what a server needs, and the file that its clients need."""
    run.tool("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
             "tls.key", "-out", "tls.pem", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(run.path("tls.pem"), run.path("tls.key"))
    return tls, run.path("tls.pem")


def web(run):
    """Ports of http and https, and the file that the latter's clients need."""
    tls, trusted = certificate(run)
    return (run.behind(run.stack.enter_context(services.http_server())),
            run.behind(run.stack.enter_context(services.http_server(tls))), trusted)


SIZES = 3_000_000, 0, 17, 70_000


def copies(run, *names):
    return [services.digest([run.tool("cat", name)]) for name in names]


def curl(run):
    http, https, trusted = web(run)
    urls = [word for size in SIZES for word in ("-o", f"copy-{size}", f"http://127.0.0.1:{http}/{size}")]
    said = run.program("curl", "-sS", "-w", "%{size_header} %{size_download}\n", *urls)
    run.program("curl", "-sS", "--cacert", trusted, "-o", "secret", f"https://127.0.0.1:{https}/{SIZES[0]}")
    return Told(copies(run, "secret", *(f"copy-{size}" for size in SIZES)),
                [Account("`%{size_header}`, `%{size_download}`", sum(map(int, said.split())), [http])])


def wget(run):
    http, https, trusted = web(run)
    names = [f"copy-{size}" for size in SIZES]
    for name, size in zip(names, SIZES):
        run.program("wget", "-q", "--save-headers", "-O", name, f"http://127.0.0.1:{http}/{size}")
    run.program("wget", "-q", f"--ca-certificate={trusted}", "-O", "secret", f"https://127.0.0.1:{https}/{SIZES[0]}")
    sizes = [os.path.getsize(run.path(name)) for name in names]
    bodies = [services.digest([run.tool("tail", "-c", str(size), name)]) for name, size in zip(names, SIZES)]
    return Told([*bodies, *copies(run, "secret")], [Account("its files with headers", sum(sizes), [http])])


PERL = r"""
use Digest::MD5; use HTTP::Tiny; use IO::Socket::INET;
my ($port, $size) = @ARGV;
my $total = 0;
sub got { my ($how, $data) = @_; $total += length $data; $data =~ s/.*?\r\n\r\n//s;
    print "$how ", length $data, " ", Digest::MD5::md5_hex($data), "\n"; }
sub ask { my $socket = IO::Socket::INET->new("127.0.0.1:$port") or die;
    print $socket "GET /$size HTTP/1.0\r\n\r\n"; $socket->flush; $socket }
my ($socket, $part, $data) = (ask, "", "");
do { defined recv($socket, $part, 65536, 0) or die; $data .= $part } while length $part;
got "recv", $data;
($socket, $data) = (ask, "");
while (sysread $socket, $part, 5000) { $data .= $part }
got "sysread", $data;
($socket, $data) = (ask, "");
while (read $socket, $part, 70000) { $data .= $part }
got "read", $data;
$socket = ask;
got "readline", join "", <$socket>;
my $answer = HTTP::Tiny->new->get("http://127.0.0.1:$port/$size");
print "HTTP::Tiny $answer->{status} ", Digest::MD5::md5_hex($answer->{content}), "\n";
print "total $total\n";
"""


def own_total(said):
    """Of a program that prints how much it got in its last line."""
    return int(said.split()[-1])


def perl(run):
    port = run.behind(run.stack.enter_context(services.http_server()))
    said = run.program("perl", run.write("client.pl", PERL), str(port), "1000000")
    return Told(said.decode().splitlines(), [])


PYTHON = r"""
import asyncio, hashlib, os, socket, ssl, sys, urllib.request
http, https, trusted, size = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
total = 0

def got(how, parts):
    global total
    data = b"".join(parts)
    total += len(data)
    print(how, hashlib.md5(data.split(b"\r\n\r\n", 1)[1]).hexdigest())

def parts(receive):
    with socket.create_connection(("127.0.0.1", http)) as server:
        server.sendall(b"GET /%d HTTP/1.0\r\n\r\n" % size)
        while part := receive(server):
            yield part

def into(receive):
    buffer = bytearray(60000)
    return lambda server: bytes(buffer[:receive(server, buffer)])

def vector(server):
    pieces = [bytearray(1000), bytearray(50000)]
    size = os.readv(server.fileno(), pieces)
    return b"".join(pieces)[:size]

got("recv", parts(lambda server: server.recv(65536)))
got("recv_into", parts(into(lambda server, buffer: server.recv_into(buffer))))
got("recvfrom", parts(lambda server: server.recvfrom(65536)[0]))
got("recvmsg", parts(lambda server: server.recvmsg(65536)[0]))
got("recvmsg_into", parts(into(lambda server, buffer: server.recvmsg_into([buffer])[0])))
got("os.read", parts(lambda server: os.read(server.fileno(), 65536)))
got("os.readv", parts(vector))

async def stream():
    reader, writer = await asyncio.open_connection("127.0.0.1", http)
    writer.write(b"GET /%d HTTP/1.0\r\n\r\n" % size)
    data = await reader.read()
    writer.close()
    return data

got("asyncio", [asyncio.run(stream())])
context = ssl.create_default_context(cafile=trusted)
with urllib.request.urlopen(f"https://127.0.0.1:{https}/{size}", context=context) as answer:
    print("urllib", hashlib.md5(answer.read()).hexdigest())
print("total", total)
"""


def python(run):
    http, https, trusted = web(run)
    said = run.program("/usr/bin/python3", run.write("client.py", PYTHON), str(http), str(https), trusted, "1000000")
    return Told(said.decode().splitlines(), [Account("its own sums", own_total(said), [http])])


def socat(run):
    """Between a client and a server, a process for each connection; and a receiver of datagrams."""
    http = run.behind(run.stack.enter_context(services.http_server()))
    port, datagrams = services.free_port(), services.free_port()
    run.start("socat", f"TCP-LISTEN:{port},bind=127.0.0.1,fork,reuseaddr", f"TCP:127.0.0.1:{http}", tcp=[port])
    run.start("socat", "-u", f"UDP-RECV:{datagrams},bind=127.0.0.1", f"CREATE:{run.path('datagrams')}", udp=[datagrams])
    url = f"http://127.0.0.1:{run.before(port)}"
    output = [services.digest([run.tool("curl", "-sS", f"{url}/{size}")]) for size in SIZES]
    body = b"".join(services.random_blocks(1_000_000))
    output.append(run.tool("curl", "-sS", "-H", "Expect:", "--data-binary", "@-", f"{url}/post", given=body))
    with socket.socket(type=socket.SOCK_DGRAM) as client:
        client.connect(("127.0.0.1", datagrams))
        for size in range(1, 50):
            run.ledger.sendall(client, b"d" * size)
        sender = client.getsockname()[1]
        expected = sum(range(1, 50))
        deadline = time.monotonic() + LIMIT
        while os.path.getsize(run.path("datagrams")) < expected and time.monotonic() < deadline:
            time.sleep(0.01)
    return Told([*output, *copies(run, "datagrams")],
                [Account("its file", os.path.getsize(run.path("datagrams")), [sender])])


# ---- all of them ----

# `counted`: who sent to it what was counted; `options`: recvshim's.
Program = collections.namedtuple("Program", "name package session work counted options", defaults=((),))
PROGRAMS = [
    Program("redis-server", "redis-server", redis, "3 MB set and got, a benchmark's load, a dump",
            "redis-cli and redis-benchmark"),
    Program("memcached", "memcached", memcached, f"{CONNECTIONS} connections, values set and got, gets by UDP",
            "each client"),
    Program("nginx", "nginx-light", nginx, f"{CONNECTIONS} connections, GET and POST, these passed on",
            "each client, and the server,"),
    # It sets PR_SET_NO_NEW_PRIVS, after which nothing is looked up unless that is asked for.
    Program("haproxy", "haproxy", haproxy, f"{CONNECTIONS} connections passed on by TCP",
            "each client, and the server,", options=("--lookup", "on")),
    Program("PostgreSQL", "postgresql-15", postgresql, "COPY of 3 MB in and out, pgbench", "psql and pgbench"),
    Program("sshd", "openssh-server", sshd, "two logins by key, 6 MB in and 3 MB out; a login refused", "ssh"),
    Program("dnsmasq", "dnsmasq-base", dnsmasq, f"{2 * CONNECTIONS} queries by UDP and TCP, half from the cache",
            "each client, and the upstream server,"),
    Program("unbound", "unbound", unbound, f"{2 * CONNECTIONS} queries by UDP and TCP, half from the cache",
            "each client, and the upstream server,"),
    Program("chrony", "chrony", chrony, "320 queries in bursts; some 16 answers from its own source", "each client"),
    Program("rsyslog", "rsyslog", rsyslog, f"{CONNECTIONS} connections of 20 lines each, and as many datagrams",
            "each client"),
    Program("snmpd", "snmpd", snmpd, "get, walk and bulk walk by UDP, walk by TCP", "Debian's snmp clients"),
    Program("squid", "squid", squid, f"{CONNECTIONS} connections, a POST of 1 MB, a tunnel",
            "each client, and the server,"),
    Program("mosquitto", "mosquitto", mosquitto, "20 messages of up to 160 kB published and got, QoS 0 to 2",
            "each client"),
    Program("perl", "perl", perl, "1 MB each by recv, sysread, read, readline and HTTP::Tiny", "the server"),
    Program("python3", "python3", python, "1 MB each by nine ways to receive, one of them TLS", "the server"),
    Program("wget", "wget", wget, "four files by HTTP, one by HTTPS", "the server"),
    Program("curl", "curl", curl, "four files by HTTP, one by HTTPS", "the server"),
    Program("socat", "socat", socat, "five connections passed on, 49 datagrams written to a file",
            "each client, and the server,"),
    Program("iperf3", "iperf3", iperf3, "three tests by TCP", "the client"),
]
