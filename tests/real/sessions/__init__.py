"""A session with each of some programs from Debian, which is the same each time. What the program receives is counted
at the other end.

A session is a function of a Run; it returns what it Told."""
import collections

from sessions import clients, names, stores, streams, system, web
from sessions.run import CONNECTIONS, Run

__all__ = ["PROGRAMS", "Program", "Run"]

# `counted`: who sent to it what was counted; `options`: recvshim's.
Program = collections.namedtuple("Program", "name package session work counted options", defaults=((),))
PROGRAMS = [
    Program("redis-server", "redis-server", stores.redis, "3 MB set and got, a benchmark's load, a dump",
            "redis-cli and redis-benchmark"),
    Program("memcached", "memcached", stores.memcached, f"{CONNECTIONS} connections, values set and got, gets by UDP",
            "each client"),
    Program("nginx", "nginx-light", web.nginx, f"{CONNECTIONS} connections, GET and POST, these passed on",
            "each client, and the server,"),
    # It sets PR_SET_NO_NEW_PRIVS, after which nothing is looked up unless that is asked for.
    Program("haproxy", "haproxy", web.haproxy, f"{CONNECTIONS} connections passed on by TCP",
            "each client, and the server,", options=("--lookup", "on")),
    Program("PostgreSQL", "postgresql-15", stores.postgresql, "COPY of 3 MB in and out, pgbench", "psql and pgbench"),
    Program("sshd", "openssh-server", system.sshd, "two logins by key, 6 MB in and 3 MB out; a login refused", "ssh"),
    Program("dnsmasq", "dnsmasq-base", names.dnsmasq, f"{2 * CONNECTIONS} queries by UDP and TCP, half from the cache",
            "each client, and the upstream server,"),
    Program("unbound", "unbound", names.unbound, f"{2 * CONNECTIONS} queries by UDP and TCP, half from the cache",
            "each client, and the upstream server,"),
    Program("chrony", "chrony", system.chrony, "320 queries in bursts; some 16 answers from its own source",
            "each client"),
    Program("rsyslog", "rsyslog", system.rsyslog, f"{CONNECTIONS} connections of 20 lines each, and as many datagrams",
            "each client"),
    Program("snmpd", "snmpd", system.snmpd, "get, walk and bulk walk by UDP, walk by TCP", "Debian's snmp clients"),
    Program("squid", "squid", web.squid, f"{CONNECTIONS} connections, a POST of 1 MB, a tunnel",
            "each client, and the server,"),
    Program("mosquitto", "mosquitto", streams.mosquitto, "20 messages of up to 160 kB published and got, QoS 0 to 2",
            "each client"),
    Program("perl", "perl", clients.perl, "1 MB each by recv, sysread, read, readline and HTTP::Tiny", "the server"),
    Program("python3", "python3", clients.python, "1 MB each by nine ways to receive, one of them TLS", "the server"),
    Program("wget", "wget", clients.wget, "four files by HTTP, one by HTTPS", "the server"),
    Program("curl", "curl", clients.curl, "four files by HTTP, one by HTTPS", "the server"),
    Program("socat", "socat", clients.socat, "five connections passed on, 49 datagrams written to a file",
            "each client, and the server,"),
    Program("iperf3", "iperf3", streams.iperf3, "three tests by TCP", "the client"),
]
