"""Clients of a server under test: many connections at once, each with a source address and port of its own, that count
what they sent and end in a way that is known beforehand."""
import collections
import random
import socket
import struct
import threading

THREADS = 8
LIMIT = 240  # seconds: only what hangs comes near
ENDS = ("fin", "reset", "server")  # how a connection ends; the last: the server is first, at the client's wish

Sent = collections.namedtuple("Sent", "address port sent received requests end")


def bound(number):
    """A socket with an address that no other connection of this run has: the kernel's own choice may come again."""
    client = socket.socket()
    client.settimeout(LIMIT)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # it may have been another run's a moment ago
    address = f"127.0.{1 + number // 1000}.1"
    for port in range(20000 + number % 1000, 60000, 1000):
        try:
            client.bind((address, port))
            return client
        except OSError:  # somebody listens there, on any address
            continue
    raise RuntimeError("no port is free")


def read_response(stream):
    """One HTTP response: its length in bytes. The body has a Content-Length."""
    size, length = 0, 0
    while (line := stream.readline()) not in (b"\r\n", b""):
        size += len(line)
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    if not line:
        raise RuntimeError("no whole response")
    return size + len(line) + len(stream.read(length))


def request(choice, last, bodies, path="/"):
    """Of any size from a line to some packets."""
    head = "X-Padding: " + "p" * choice.randrange(1, 3000)
    close = "\r\nConnection: close" if last else ""
    if bodies and not last and choice.random() < 0.4:
        body = "b" * choice.randrange(1, 40000)
        return f"POST /post HTTP/1.1\r\nHost: h\r\n{head}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
    return f"GET {path} HTTP/1.1\r\nHost: h\r\n{head}{close}\r\n\r\n".encode()


def hang_up(client, end):
    if end == "reset":
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def http_connection(number, server, bodies, path="/"):
    """Some requests over one connection. All is answered before it ends, so that the server has read all."""
    choice = random.Random(number)
    end = ENDS[number % len(ENDS)]
    requests = choice.randrange(1, 5)
    sent = received = 0
    client = bound(number)
    client.connect(server)
    address, port = client.getsockname()
    with client.makefile("rb") as stream:
        for i in range(requests):
            data = request(choice, end == "server" and i == requests - 1, bodies, path)
            client.sendall(data)
            sent += len(data)
            received += read_response(stream)
        if end == "server" and stream.read():
            raise RuntimeError("more than the response")
    hang_up(client, end)
    return Sent(address, port, sent, received, requests, end)


def short_connection(number, server):
    """One request, to a server that closes after each. Those that end first send the beginning of one only."""
    choice = random.Random(number)
    end = ENDS[number % len(ENDS)]
    data = request(choice, False, True)
    client = bound(number)
    client.connect(server)
    address, port = client.getsockname()
    if end == "server":
        client.sendall(data)
        with client.makefile("rb") as stream:
            received = read_response(stream)
            if stream.read():
                raise RuntimeError("more than the response")
        hang_up(client, end)
        return Sent(address, port, len(data), received, 1, end)
    part = data[:choice.randrange(1, len(data.split(b"\r\n\r\n")[0]))]
    client.sendall(part)
    hang_up(client, end)
    return Sent(address, port, len(part), 0, 0, end)


def run(connections, connection):
    """Call connection(number) for each number, from several threads. Returns what the calls returned."""
    results, errors, numbers = [], [], iter(range(connections))
    lock = threading.Lock()

    def work():
        while not errors:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            try:
                results.append(connection(number))
            except Exception as error:  # pylint: disable=broad-except
                errors.append((number, error))

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise RuntimeError(f"connection {errors[0][0]}: {errors[0][1]!r}") from errors[0][1]
    return results
