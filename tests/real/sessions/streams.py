"""Sessions with servers that are sent streams: mosquitto, iperf3."""
import json
import os
import signal
import time

import services
from sessions.run import Account, LIMIT, Told

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
        deadline = time.monotonic() + LIMIT
        while last != sum(run.ledger.bytes.values()) and time.monotonic() < deadline:
            time.sleep(0.05)
            last = int((run.read("own").split() or ["0"])[-1])
    return Told(output, [Account(f"`{SYS_BYTES}`", last, run.ledger.bytes.keys())])


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
    output = []
    for options in (["-n", "30M", "-P", "2"], ["-n", "1M"], ["-n", "10M", "-R"]):
        port, sent = services.free_port(), services.Ledger()
        log = run.start("iperf3", "-s", "-1", "-J", "-p", str(port), "-B", "127.0.0.1", tcp=[port])
        proxy = run.stack.enter_context(services.Proxy(port, to_server=sent))
        client = ["iperf3", "-J", "-c", "127.0.0.1", "-p", str(proxy.port), *options]
        output.append(json.loads(run.tool(*client, check=False)).get("error"))
        account = json_once_whole(run, os.path.basename(log))
        with sent.lock:  # the proxy may still be sending what nobody reads any more
            received = dict(sent.bytes)
        for connection, stream in zip(account["start"]["connected"], account["end"]["streams"]):
            in_stream = 0 if stream["receiver"]["sender"] else stream["receiver"]["bytes"]
            received[connection["remote_port"]] = in_stream + COOKIE
        for sender, size in received.items():  # which another test may have had, too
            run.ledger.add(sender, size)
    return Told(output, [Account("its JSON", sum(run.ledger.bytes.values()), run.ledger.bytes.keys())])
