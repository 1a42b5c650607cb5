"""The other end of a real program, which is run under the library of argument 1: argument 2 is curl, redis-cli or socat.
Says what it sent, and what the program made of it."""
import os
import socket
import subprocess
import sys


def run(*command):
    environment = dict(os.environ, LD_PRELOAD=sys.argv[1])
    return subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def say(program, sent, shown):
    print("pid", program.pid)
    print("sent", sent)
    print("shown", shown)
    print("status", program.wait())


def curl():
    listener = socket.create_server(("127.0.0.1", 0))
    program = run("/usr/bin/curl", "-s", "--noproxy", "*", "http://127.0.0.1:%d/" % listener.getsockname()[1])
    connection, _ = listener.accept()
    connection.recv(10000)
    # Without a length the page ends with the connection: curl has to see the end.
    page = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b"x" * 300000
    connection.sendall(page)
    connection.close()
    say(program, len(page), len(program.stdout.read()))


def redis_cli():
    listener = socket.create_server(("127.0.0.1", 0))
    program = run("/usr/bin/redis-cli", "-p", str(listener.getsockname()[1]), "GET", "key")
    connection, _ = listener.accept()
    connection.recv(10000)
    answer = b"$5\r\nvalue\r\n"
    connection.sendall(answer)
    say(program, len(answer), len(program.stdout.read()))


def socat():
    server = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    server.bind(("::1", 0))
    program = run("/usr/bin/socat", "-t0", "-", "UDP6-SENDTO:[::1]:%d" % server.getsockname()[1])
    program.stdin.write(b"hello\n")
    program.stdin.flush()
    _, client = server.recvfrom(100)
    sizes = (10, 200, 1)
    for size in sizes:
        server.sendto(b"x" * size, client)
    shown = len(program.stdout.read(sum(sizes)))
    program.stdin.close()
    say(program, sum(sizes), shown)
    print("port", server.getsockname()[1])


{"curl": curl, "redis-cli": redis_cli, "socat": socat}[sys.argv[2]]()
