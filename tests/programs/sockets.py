"""A Python program with sockets: a stream read to its end, and datagrams over IPv6. Says what it got, as victims do."""
import os
import socket

listener = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(listener.getsockname())
server, _ = listener.accept()
server.sendall(bytes(10000))
server.close()
received = 0
while part := client.recv(777):
    received += len(part)

datagrams = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
datagrams.bind(("::1", 0))
for size in (1, 100, 1000):
    datagrams.sendto(bytes(size), datagrams.getsockname())
    data, (address, port, flow, scope) = datagrams.recvfrom(2000)
    assert (len(data), address, port, scope) == (size, "::1", datagrams.getsockname()[1], 0)

print("pid", os.getpid())
print("stream_fd", client.fileno())
print("stream_bytes", received)
print("datagram_fd", datagrams.fileno())
print("port", datagrams.getsockname()[1])
