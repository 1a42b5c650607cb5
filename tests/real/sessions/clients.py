"""Sessions with clients, and with socat, which is client and server: perl, python3, wget, curl."""
import os
import socket
import ssl
import time

import services
from sessions.run import Account, LIMIT, Told


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
