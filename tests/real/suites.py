"""The suites of tests that scripts/peers runs, and where Debian has them."""
import collections
import os
import shutil
import subprocess
from pathlib import Path

from peers import Part, Ruby, Unittest

LIMIT = 600  # seconds, to fetch or to build something
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"

# Of each: the package that it tests, where that is not built from the source; the source package that has the tests,
# where no package has; what makes them ready in the source's directory, which it is given; and what makes the parts,
# given the same. A program that receives nothing from a socket is none of the parts.
Suite = collections.namedtuple("Suite", "name package source ready parts")


# ---- Python ----

# By module of CPython's test.
CPYTHON = """
    _test_eintr test_asynchat test_asyncore test_concurrent_futures test_docxmlrpc test_ftplib test_httplib
    test_httpservers test_imaplib test_logging test_multiprocessing_fork test_multiprocessing_forkserver
    test_multiprocessing_spawn test_nntplib test_os test_poplib test_robotparser test_selectors test_signal test_smtplib
    test_socket test_socketserver test_ssl test_urllib2_localnet test_wsgiref test_xmlrpc
    test_asyncio.test_base_events test_asyncio.test_buffered_proto test_asyncio.test_events test_asyncio.test_sendfile
    test_asyncio.test_server test_asyncio.test_sock_lowlevel test_asyncio.test_ssl test_asyncio.test_sslproto
    test_asyncio.test_streams test_asyncio.test_subprocess test_asyncio.test_tasks test_asyncio.test_threads
    test_asyncio.test_unix_events
""".split()
# What waits for a host outside of a virtual machine for ever, natively too: see real_python.py.
CPYTHON_WITHOUT = ["VSOCK"]


def cpython(_):
    return [Unittest(module, ["test." + module], CPYTHON_WITHOUT) for module in CPYTHON]


TORNADO = """
    http1connection_test httpclient_test httpserver_test ioloop_test iostream_test
    netutil_test process_test simple_httpclient_test tcpclient_test tcpserver_test testing_test web_test websocket_test
    wsgi_test
""".split()


def tornado(_):
    return [Unittest(module, ["tornado.test." + module]) for module in TORNADO]


TWISTED = """
    internet.test.test_tcp internet.test.test_tls internet.test.test_udp internet.test.test_unix test.test_ftp
    test.test_loopback test.test_ssl test.test_tcp test.test_udp test.test_unix
""".split()


def twisted(_):
    return [Unittest(module, ["twisted." + module]) for module in TWISTED]


# ---- Perl ----

# By directory of the source, which has many more, but those make no sockets, or only local ones of their own.
PERL = {
    "cpan/IO-Socket-IP": ["03local-cross-v4", "06local-cross-v6", "21as-inet"],
    "cpan/Socket": ["socketpair"],
    "cpan/libnet": ["nntp_ipv6", "nntp_ssl", "pop3_ipv6", "pop3_ssl", "smtp_ipv6", "smtp_ssl"],
    "dist/IO": ["io_multihomed", "io_sock", "io_udp", "io_unix"],
    "dist/Net-Ping": ["500_ping_icmp", "520_icmp_ttl"],
    "peers": ["io/socket", "io/socketpair"],  # the core's
}
# It tests that an alarm interrupts a read, which the policy `always` is there to prevent.
PERL_ALARM = {"Socket/socketpair": ["--eintr-pass=ALRM"]}


def ready_perl(source):
    """The core's tests want the library beside them; those of IO the core's functions."""
    shutil.copy(source / "t/test.pl", source / "dist/IO/t")
    core = source / "peers"
    (core / "t").mkdir(parents=True)
    (core / "lib").mkdir()
    for name in ("test.pl", "charset_tools.pl", "loc_tools.pl"):
        shutil.copy(source / "t" / name, core / "t")
    shutil.copytree(source / "t/io", core / "t/io")
    library = subprocess.run(["/usr/bin/perl", "-e", "print qq($_\\n) for grep { !/local|site/ } @INC"],
                             stdout=subprocess.PIPE, text=True, check=True, timeout=LIMIT)
    for path in library.stdout.split():
        if os.path.isdir(path):
            subprocess.run(["cp", "-rsn", path + "/.", core / "lib"], check=True, timeout=LIMIT)


def perl_file(directory, test):
    name = f"{directory.name}/{test}"
    return Part(name, ["/usr/bin/perl", f"t/{test}.t"], directory, options=PERL_ALARM.get(name, ()))


def perl(source):
    return [perl_file(source / directory, test) for directory, tests in PERL.items() for test in tests]


# Without a connection.
IO_SOCKET_SSL_WITHOUT = """
    01loadmodule io-socket-inet6 memleak_bad_handshake public_suffix_lib_encode_idn public_suffix_lib_libidn
    public_suffix_lib_uri session_cache verify_hostname_standalone
""".split()


def io_socket_ssl(source):
    return [Part(test.stem, ["/usr/bin/perl", f"t/{test.name}"], source) for test in sorted(source.glob("t/*.t"))
            if test.stem not in IO_SOCKET_SSL_WITHOUT]


# ---- Ruby ----

RUBY = "socket net/http openssl drb rinda open-uri resolv ruby/test_io.rb fiber".split()


def ruby(source):
    run = ["/usr/bin/ruby3.1", f"-I{source}/tool/lib", f"-I{source}", f"{source}/test/runner.rb", "-v", "--seed=1"]
    return [Ruby(tests, [*run, f"{source}/test/{tests}"]) for tests in RUBY]


# ---- C ----

GLIB = Path("/usr/libexec/installed-tests/glib")


# The others of its 287 programs receive nothing, or write where the system has its files.
GLIB_PROGRAMS = """
    actions converter-stream dbus-appinfo debugcontroller defaultvalue fdo-notification-backend gapplication gdbus-auth
    gdbus-bz627724 gdbus-connection gdbus-connection-loss gdbus-connection-slow gdbus-exit-on-close gdbus-export
    gdbus-introspection gdbus-method-invocation gdbus-names gdbus-peer gdbus-peer-object-manager gdbus-proxy
    gdbus-proxy-threads gdbus-proxy-unique-name gdbus-proxy-well-known-name gdbus-sasl gdbus-server-auth gdbus-subscribe
    gdbus-test-codegen gdbus-test-codegen-min-required-2-64 gdbus-test-codegen-old gmenumodel gnotification
    network-monitor network-monitor-race pollable proxy-test socket socket-service stream-rw_all unix-fd
""".split()


def glib(_):
    return [Part(name, [str(GLIB / name), "--tap"]) for name in GLIB_PROGRAMS]


def ready_libuv(source):
    shutil.copytree(source / "test/fixtures", source / "work/test/fixtures")
    for command in (["cmake", "-S", source, "-B", source / "peers", "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Debug"],
                    ["ninja", "-C", source / "peers", "uv_run_tests"]):
        subprocess.run(command, check=True, timeout=LIMIT, stdout=subprocess.DEVNULL)


def libuv(source):
    # Their pipes have fixed names, so that it cannot run twice at once; nor as root, by its own decision.
    return [Part("run-tests", [str(source / "peers/uv_run_tests")], source / "work", options=["--size=512M"],
                 root=False, together=False)]


SUITES = [
    Suite("cpython", "libpython3.11-testsuite", None, None, cpython),
    Suite("tornado", "python3-tornado", None, None, tornado),
    Suite("twisted", "python3-twisted", None, None, twisted),
    Suite("perl", "perl", "perl", ready_perl, perl),
    Suite("io-socket-ssl", "libio-socket-ssl-perl", "libio-socket-ssl-perl", None, io_socket_ssl),
    Suite("ruby", "ruby3.1", "ruby3.1", None, ruby),
    Suite("glib", "libglib2.0-tests", None, None, glib),
    Suite("libuv", None, "libuv1", ready_libuv, libuv),
]


def version(suite, source):
    if not suite.package:
        return source.name.rpartition("-")[2]
    done = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", suite.package], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True, timeout=LIMIT, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{suite.name}: {suite.package} is not installed: scripts/build --for peers --install-only")
    return done.stdout


# ---- their sources ----

def apt_get(directory, *arguments):
    """With lists of its own, of sources only: the system's are left as they are."""
    (directory / "lists/partial").mkdir(parents=True, exist_ok=True)
    (directory / "sources.list").write_text(
        f"deb-src [signed-by={KEYRING}] http://deb.debian.org/debian bookworm main\n", encoding="ascii")
    command = ["apt-get", "--quiet", "-o", f"Dir::Etc::SourceList={directory}/sources.list",
               "-o", "Dir::Etc::SourceParts=/dev/null", "-o", f"Dir::State::Lists={directory}/lists",
               "-o", f"Dir::Cache={directory}", "-o", "APT::Sandbox::User=root", *arguments]
    done = subprocess.run(command, cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=LIMIT, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(arguments)}: {done.stdout.strip().splitlines()[-1]}")


def fetched(suite, directory):
    """The directory of the suite's source, with its tests ready; kept for the next time."""
    if not suite.source:
        return None
    ready = directory / (suite.source + ".ready")
    if not ready.exists():
        for old in directory.glob(suite.source + "-*"):
            shutil.rmtree(old) if old.is_dir() else old.unlink()
        if not (directory / "lists").exists():
            apt_get(directory, "update")
        apt_get(directory, "source", suite.source)
        [source] = (path for path in directory.glob(suite.source + "-*") if path.is_dir())
        if suite.ready:
            suite.ready(source)
        ready.symlink_to(source.name)
    return ready.resolve()
