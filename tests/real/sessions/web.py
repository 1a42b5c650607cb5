"""Sessions with servers that pass HTTP on: nginx, haproxy, squid."""
import collections
import functools
import socket

import load
import services
from sessions.run import Account, LIMIT, Told, outcomes

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
    timeout connect 240s
    timeout client 240s
    timeout server 240s
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
