"""Sessions with name servers, which ask one of ours: dnsmasq, unbound."""
import contextlib
import hashlib
import os
import re
import socket
import struct
import threading

import services
from sessions.run import Account, CONNECTIONS, LIMIT, Told


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
    extended-statistics: yes
    module-config: "iterator"
    # It asks once only: an answer that comes when it has asked again is nobody's.
    unknown-server-time-limit: 120000
    infra-cache-min-rtt: 120000
    infra-cache-max-rtt: 240000
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
