"""Sessions with the servers of a system: sshd, chrony, rsyslog, snmpd."""
import functools
import os
import pwd
import random
import re
import shutil
import socket
import struct
import threading
import time

import load
import services
from sessions.run import Account, CONNECTIONS, LIMIT, Told, own_name


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
    account = Account("`snmpInPkts`", received, run.ledger.bytes.keys(), True)
    output.append(run.tool("snmpwalk", *options, f"tcp:127.0.0.1:{run.before(port)}", ".1.3.6.1.6.3.16"))
    return Told(output, [account])
