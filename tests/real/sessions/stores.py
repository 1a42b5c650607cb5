"""Sessions with servers that keep values: redis-server, memcached, PostgreSQL."""
import functools
import os
import random
import socket
import struct

import load
import services
from sessions.run import Account, LIMIT, Told, outcomes


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
    return Told(output, [Account("`total_net_input_bytes`", counted, run.ledger.bytes.keys())])


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
    return Told(output, [Account("`bytes_read`", int(stats["bytes_read"]), run.ledger.bytes.keys())])
