#!/usr/bin/env python3
"""`recvshim check`, and what `recvshim run` says of programs that it cannot trace, with a real specimen of each kind: the
same program, built and started in as many ways.

Usage: real_check.py RECVSHIM LIBRARY [unittest arguments]
"""
import contextlib
import glob
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

RECVSHIM = LIBRARY = None
HERE = os.path.dirname(os.path.abspath(__file__))
LIMIT = 240  # seconds
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
LOOKS = 200  # reads that recvshim does in /proc while it looks at its children several times


class Check(unittest.TestCase):
    """With copies of the command and the library where every user may reach them."""

    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.mkdtemp(dir="/var/tmp", prefix="recvshim-test.")
        cls.addClassCleanup(shutil.rmtree, cls.directory)
        os.chmod(cls.directory, 0o755)
        cls.recvshim = shutil.copy(RECVSHIM, cls.directory)
        cls.library = shutil.copy(LIBRARY, cls.directory)
        cls.environment = dict(os.environ, RECVSHIM_LIBRARY=cls.library)
        cls.environment.pop("LD_PRELOAD", None)
        cls.plain = cls.build("plain")

    @classmethod
    def path(cls, name):
        return os.path.join(cls.directory, name)

    @classmethod
    def build(cls, name, *options, compiler="gcc", source="specimen.c"):
        if shutil.which(compiler) is None:
            raise unittest.SkipTest(f"{compiler} is not installed")
        path = cls.path(name)
        # The package gcc-multilib, which has a link to them, is at odds with all cross compilers.
        headers = ["-idirafter", "/usr/include/x86_64-linux-gnu"] if "-m32" in options else []
        subprocess.run([compiler, "-O1", "-o", path, os.path.join(HERE, source), *options, *headers], check=True, timeout=LIMIT)
        return path

    def write(self, name, text, mode=0o755):
        with open(self.path(name), "w", encoding="ascii") as file:
            file.write(text)
        os.chmod(self.path(name), mode)
        return self.path(name)

    def copy(self, name, mode, owner=0):
        """A copy of the specimen, owned by another user and with a special mode."""
        if os.geteuid() != 0:
            self.skipTest("only root can give a file away")
        if os.statvfs(self.directory).f_flag & os.ST_NOSUID:
            self.skipTest("this file system is mounted nosuid")
        path = shutil.copy(self.plain, self.path(name))
        os.chown(path, owner, owner)
        os.chmod(path, mode)
        return path

    def command(self, *arguments, before=(), env=None, stdin=subprocess.DEVNULL):
        return subprocess.run([*before, self.recvshim, *arguments], env=env or self.environment, stdin=stdin,
                              capture_output=True, text=True, timeout=LIMIT, check=False)

    def check_text(self, *arguments, before=()):
        """The status and the lines of text; nothing is said on stderr."""
        done = self.command("check", *arguments, before=before)
        self.assertEqual(done.stderr, "")
        return done.returncode, done.stdout.splitlines()

    def check_json(self, *arguments, before=()):
        done = self.command("check", "--format", "json", *arguments, before=before)
        self.assertEqual(done.stderr, "")
        answer = json.loads(done.stdout)
        self.assertEqual(done.returncode, 0 if answer["traceable"] else 1)
        return answer

    def remarks(self, done):
        return [line for line in done.stderr.splitlines() if line.startswith("recvshim: ")]

    def run_quiet(self, *arguments, before=(), options=()):
        """Run it, without its events. The process, and what was said of it."""
        done = self.command("run", "-o", "/dev/null", *options, "--", *arguments, before=before)
        return done, self.remarks(done)

    def row(self, lines, head):
        """What stands in the row with that head."""
        rows = [re.sub(r"^ +\S+( names)? +", "", line) for line in lines if re.match(rf" +{re.escape(head)}  ", line)]
        self.assertEqual(len(rows), 1, lines)
        return rows[0]

    def look(self, pid, before=()):
        """check -p: its status, the process's name, what is said of it, and all lines."""
        status, lines = self.check_text("-p", str(pid), before=before)
        name, answer = re.fullmatch(r"process \d+ \((.*?)\) (.*)", lines[0]).groups()
        return status, name, answer, lines

    def refuse(self, path, verdict, phrase, before=(), says="hi\n"):
        """A program that cannot be traced: check says so, and run, which starts it all the same."""
        status, lines = self.check_text(path, before=before)
        self.assertEqual(status, 1)
        self.assertEqual(lines[0][:len(path) + 19], f"{path} cannot be traced: ")
        self.assertIn(phrase, lines[0])
        answer = self.check_json(path, before=before)
        self.assertEqual((answer["verdict"], answer["traceable"]), (verdict, False))
        self.assertIn(phrase, answer["reason"])
        done, remarks = self.run_quiet(path, before=before)
        self.assertEqual((done.returncode, done.stdout, len(remarks)), (0, says, 1), done.stderr)
        self.assertIn(phrase, remarks[0])
        return answer


class Kinds(Check):
    """Each kind has a message of its own."""

    def accept(self, path, before=()):
        answer = self.check_json(path, before=before)
        self.assertEqual((answer["verdict"], answer["traceable"], answer["reason"]), ("traceable", True, None))
        return answer

    def test_plain(self):
        answer = self.accept(self.plain)
        self.assertEqual(answer["linking"], "dynamic")
        self.assertEqual((answer["handled"], answer["needs_calls_all"]), (["recv"], []))
        status, lines = self.check_text(self.plain)
        self.assertEqual((status, lines[0]), (0, f"{self.plain} can be traced"))
        self.assertEqual(self.row(lines, "recv"), "plain")

    def test_static(self):
        self.refuse(self.build("static", "-static"), "static", "is statically linked and cannot load the library")

    def test_static_pie(self):
        self.refuse(self.build("static-pie", "-static-pie"), "static", "is statically linked (static-pie)")

    def test_musl(self):
        path = self.build("musl", compiler="musl-gcc")
        self.refuse(path, "other-libc", "uses musl, not glibc")
        # It does not start with the library, which it has from a traced program that starts it.
        ended = [subprocess.run([path], env=dict(self.environment, LD_PRELOAD=self.library), capture_output=True, text=True,
                                timeout=LIMIT, check=False), self.run_quiet("sh", "-c", path)[0]]
        for done in ended:
            self.assertNotEqual(done.returncode, 0)
            self.assertEqual(done.stdout, "")
            self.assertIn("Error relocating", done.stderr)

    def test_wrong_class(self):
        path = self.build("other-class", "-m32")
        self.refuse(path, "other-kind", "is for 32-bit x86, and there is no library for that at ")
        # It runs without, so that its loader has nothing to complain of.
        self.assertEqual(self.command("run", "-q", "--", path).stderr, "")

    def test_other_class_with_its_library(self):
        """Built beside ours, it is where $LIB leads that program's loader."""
        if not os.path.exists(LIBRARY.replace("x86_64-linux-gnu", "i386-linux-gnu")):
            self.skipTest("no 32-bit library was built")
        path = self.build("other-class-traced", "-m32")
        environment = {name: value for name, value in self.environment.items() if name != "RECVSHIM_LIBRARY"}
        done = subprocess.run([RECVSHIM, "check", path], env=environment, capture_output=True, text=True, timeout=LIMIT,
                              check=False)
        self.assertEqual((done.returncode, done.stderr, done.stdout.splitlines()[0]), (0, "", f"{path} can be traced"))
        with Running([RECVSHIM, "run", "-q", path, "wait"], environment) as running:
            with open(f"/proc/{running.pid}/task/{running.pid}/children", encoding="ascii") as file:
                status, _, answer, lines = self.look(int(file.read()))
        self.assertEqual((status, answer), (0, "is traced"))
        self.assertIn("32-bit x86, dynamically linked", self.row(lines, "program"))

    def test_go(self):
        if shutil.which("prometheus") is None:
            self.skipTest("prometheus is not installed")
        status, lines = self.check_text("prometheus")
        self.assertEqual(status, 1)
        self.assertTrue(lines[0].startswith("prometheus cannot be traced: it is a Go program: it makes its network calls "
                                            "as raw system calls"), lines[0])
        self.assertIn("dynamically linked to 1 library, Go", self.row(lines, "program"))
        self.assertEqual(self.check_json("prometheus")["verdict"], "go")
        done, remarks = self.run_quiet("prometheus", "--version")
        self.assertEqual((done.returncode, len(remarks)), (0, 1))
        self.assertIn("is a Go program", remarks[0])

    def test_setuid(self):
        path = self.copy("setuid", 0o4755)
        self.refuse(path, "privileged", "gains privileges when it starts (setuid root), and the loader then ignores the "
                    "library; run it as its owner", before=NOBODY)
        self.accept(path)  # its owner gains nothing
        _, lines = self.check_text(path)
        self.assertIn("setuid root, of which you gain nothing", self.row(lines, "privileges"))
        self.accept(path, before=[*NOBODY, "--no-new-privs"])  # nor does who cannot

    def test_setgid(self):
        self.refuse(self.copy("setgid", 0o2755), "privileged", "(setgid root)", before=NOBODY)

    def test_capabilities(self):
        path = self.copy("capable", 0o755)
        subprocess.run(["setcap", "cap_net_raw+ep", path], check=True)
        self.refuse(path, "privileged", "(file capabilities)", before=NOBODY)
        self.accept(path)
        subprocess.run(["setcap", "cap_net_raw+i", path], check=True)
        self.accept(path, before=NOBODY)  # what is inheritable only is none

    def test_unreadable(self):
        path = self.copy("unreadable", 0o711)
        done = self.command("check", path, before=NOBODY)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertEqual(done.stderr, f"recvshim: {path}: cannot be read: Permission denied; check it as a user who may "
                         f"read {path}\n")

    def test_scripts(self):
        """With an interpreter of each kind, which is what is looked at."""
        static = self.build("static-interpreter", "-static")
        script = self.write("script", f"#!{static}\n")
        status, lines = self.check_text(script)
        self.assertEqual(status, 1)
        self.assertTrue(lines[0].startswith(f"{script} cannot be traced: {static} is statically linked"), lines[0])
        self.assertTrue(self.row(lines, "script").startswith(f"{script};"))
        done, remarks = self.run_quiet(script)
        self.assertEqual(len(remarks), 1)
        self.assertIn(f"{static}: is statically linked", remarks[0])

        through = self.write("through-env", "#!/usr/bin/env -S sh -e\necho hi\n")
        answer = self.accept(through)
        self.assertEqual((answer["scripts"], os.path.basename(answer["path"])), ([through], "sh"))
        self.accept(self.write("no-first-line", "echo hi\n"))
        cleared = self.write("cleared", "#!/usr/bin/env -iS sh\necho hi\n")
        self.refuse(cleared, "cleared", "is started by env -i, with an empty environment: start it as ")

    def test_what_is_no_program(self):
        for path, phrase in ((self.path("nothing-there"), "no such program, or it may not be executed"),
                             (self.directory, "no such program, or it may not be executed"),
                             (self.write("not-executable", "#!/bin/sh\n", 0o644), "may not be executed"),
                             (self.write("no-interpreter", "#!/nonexistent\n"), "its interpreter '/nonexistent' is not there"),
                             (self.write("endless", f"#!{self.path('endless')}\n"), "its interpreters are scripts")):
            done = self.command("check", path)
            self.assertEqual((done.returncode, done.stdout, done.stderr.count("\n")), (1, "", 1))
            self.assertIn(phrase, done.stderr)
        subprocess.run(["gcc", "-c", "-o", self.path("object.o"), os.path.join(HERE, "specimen.c")], check=True)
        os.chmod(self.path("object.o"), 0o755)
        self.assertEqual(self.check_json(self.path("object.o"))["verdict"], "no-program")

    def test_damaged(self):
        """Cut anywhere, and bent: a line and a status, never a crash."""
        with open(self.plain, "rb") as file:
            whole = file.read()
        path = self.path("damaged")
        for cut in (4, 5, 16, 52, 63, 64, 65, 100, 500, 600, 1000, 3000, len(whole) - 5000):
            with open(path, "wb") as file:
                file.write(whole[:cut])
            os.chmod(path, 0o755)
            answer = self.check_json(path)
            self.assertIn(answer["verdict"], ("no-program", "traceable"))
            if cut < 3000:
                self.assertEqual(answer["verdict"], "no-program", cut)
                self.assertRegex(answer["reason"], "is damaged|is cut short")

    def test_hostile_names(self):
        """What a file says of itself reaches the terminal as it is meant, and stays JSON."""
        self.build("libhostile.so", "-shared", "-fPIC", f"-Wl,-soname,\x1b[31m\nx\"y\\")
        path = self.build("hostile", "-Wl,--no-as-needed", self.path("libhostile.so"), "-Wl,-rpath,/x\x1b[0m")
        done = self.command("check", path)
        self.assertEqual(done.returncode, 0)
        self.assertNotIn("\x1b", done.stdout)
        self.assertIn("\\x1b[31m\\x0ax\"y\\, for hostile", done.stdout)
        self.assertEqual(self.check_json(path)["objects"][1]["name"], "\x1b[31m\nx\"y\\")

    def test_long_names(self):
        """More than the buffer of the output holds, and four times as much once it is escaped."""
        names = [f"lib{i}" + "\x01" * 4090 for i in range(12)]
        libraries = [self.build(f"liblong{i}.so", "-shared", "-fPIC", f"-Wl,-soname,{name}") for i, name in enumerate(names)]
        path = self.build("long", "-Wl,--no-as-needed", *libraries)
        answer = self.check_json(path)
        self.assertEqual([item["name"] for item in answer["objects"] if item["path"] is None], names)
        _, lines = self.check_text(path)
        missing = [line.split()[1] for line in lines if line.startswith("  missing ")]
        self.assertEqual(missing, [name.replace("\x01", "\\x01") + "," for name in names])

    def test_missing_library(self):
        library = self.build("libgone.so", "-shared", "-fPIC", "-Wl,-soname,libgone.so")
        path = self.build("needs", "-Wl,--no-as-needed", library)
        os.unlink(library)
        _, lines = self.check_text(path)
        self.assertEqual(self.row(lines, "missing"), "libgone.so, for needs")

    def test_library(self):
        path = self.build("libalone.so", "-shared", "-fPIC", "-Wl,-soname,libalone.so")
        status, lines = self.check_text(path)
        self.assertEqual((status, lines[0]), (0, f"{path} is a shared library, and traced in the programs that load it"))

    def test_places_of_libraries(self):
        """What the loader puts for $LIB and $PLATFORM; what lies there under the name and is no library is passed over."""
        library = self.build("libplaced.so", "-shared", "-fPIC", "-Wl,-soname,libplaced.so")
        machine = os.uname().machine
        for place in f"lib/{machine}-linux-gnu", machine:
            os.makedirs(self.path(f"places/{place}"))
        os.makedirs(self.path("places/libplaced.so"))
        for number, (place, where) in enumerate((("$LIB", f"lib/{machine}-linux-gnu"), ("${PLATFORM}", machine))):
            found = shutil.copy(library, self.path(f"places/{where}"))
            paths = f"{'/x' * 3000}:{self.path('places')}:{self.path('places')}/$OTHER:{self.path('places')}/{place}"
            path = self.build(f"placed{number}", "-Wl,--no-as-needed", library, f"-Wl,-rpath,{paths}")
            self.assertIn(found, [item["path"] for item in self.check_json(path)["objects"]])

    def test_damaged_library(self):
        library = self.build("libbent.so", "-shared", "-fPIC", "-Wl,-soname,libbent.so")
        path = self.build("bent", "-Wl,--no-as-needed", library, f"-Wl,-rpath,{self.directory}")
        with open(library, "r+b") as file:
            file.truncate(2000)
        self.assertEqual(self.row(self.check_text(path)[1], "missing"),
                         f"libbent.so, for bent: {library} is damaged: its headers point outside of it")

    def test_unknown_owner(self):
        path = self.copy("setuid-unknown", 0o4755, owner=4711)
        self.assertIn("(setuid 4711)", self.check_text(path, before=NOBODY)[1][0])

    def test_nothing_is_executed(self):
        mark = self.path("mark")
        script = self.write("marking", f"#!/bin/sh\ntouch {mark}\n")
        self.check_text(script)
        self.assertFalse(os.path.exists(mark))
        source = self.write("marking.c", '#include <fcntl.h>\n__attribute__((constructor)) static void mark(void)\n'
                            f'{{ creat("{mark}", 0600); }}\nint main(void) {{ return 0; }}\n')
        self.check_text(self.build("marking-program", source=source))
        self.assertFalse(os.path.exists(mark))

    def test_without_the_library(self):
        done = self.command("check", self.plain, env=dict(self.environment, RECVSHIM_LIBRARY=self.path("nowhere.so")))
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertEqual(done.stderr, f"recvshim: {self.path('nowhere.so')}: the library is not there, and nothing can be "
                         "traced; set RECVSHIM_LIBRARY to its path\n")

    def test_usage(self):
        for arguments, phrase in (((), "give a PROGRAM, or -p PID"), (("a", "b"), "b: one program at a time"),
                                  (("-p", "1", "a"), "give a PROGRAM, or -p PID"), (("-p", "x"), "-p x: must be the id"),
                                  (("--format", "csv", "a"), "must be text or json")):
            done = self.command("check", *arguments)
            self.assertEqual((done.returncode, done.stdout), (2, ""))
            self.assertIn(phrase, done.stderr)


class Calls(Check):
    """What is imported, and what of it is seen."""

    def test_many_libraries(self):
        """Some are named, the others counted."""
        source = self.write("receiving.c", "#include <sys/socket.h>\nint f(void);\nint f(void) { return "
                            "(int)recv(socket(1, 1, 0), 0, 0, 0); }\n")
        libraries = [self.build(f"libmany{i}.so", "-shared", "-fPIC", f"-Wl,-soname,libmany{i}.so", source=source)
                     for i in range(9)]
        path = self.build("many", "-Wl,--no-as-needed", *libraries, f"-Wl,-rpath,{self.directory}")
        self.assertRegex(self.row(self.check_text(path)[1], "recv"), r"^many, libmany0\.so, .* and \d+ more$")

    def test_by_read(self):
        path = self.build("by-read", "-DBY_READ")
        status, lines = self.check_text(path)
        self.assertEqual((status, lines[0]), (0, f"{path} can be traced, with --calls all: by-read imports read, and no "
                                              "call handled by default"))
        self.assertEqual(self.check_json(path)["needs_calls_all"], ["read"])

    def test_fortified(self):
        source = self.write("fortified.c", "#include <sys/socket.h>\n#include <unistd.h>\nint main(int c, char **v)\n"
                            "{ char b[8]; int s = socket(1, 1, 0); (void)v;\n"
                            "return (int)(recv(s, b, c, 0) + recvfrom(s, b, c, 0, 0, 0) + read(s, b, c)); }\n")
        path = self.build("fortified", "-O2", "-D_FORTIFY_SOURCE=2", source=source)
        symbols = subprocess.run(["nm", "-D", path], capture_output=True, text=True, check=True).stdout
        for symbol in "__recv_chk", "__recvfrom_chk", "__read_chk":
            self.assertIn(f"U {symbol}", symbols)
        answer = self.check_json(path)
        self.assertEqual((answer["handled"], answer["needs_calls_all"]), (["recv", "recvfrom"], ["read"]))

    def test_without_sections(self):
        """What strips all that the loader does not need leaves as much to be seen."""
        before = self.check_json(self.plain)
        with open(self.plain, "rb") as file:
            whole = bytearray(file.read())
        whole[40:48] = bytes(8)  # e_shoff
        whole[60:64] = bytes(4)  # e_shnum, e_shstrndx
        path = self.path("no-sections")
        with open(path, "wb") as file:
            file.write(whole)
        os.chmod(path, 0o755)
        after = self.check_json(path)
        self.assertEqual(after["objects"][0]["imports"], before["objects"][0]["imports"])
        self.assertEqual(subprocess.run([path], capture_output=True, check=True).stdout, b"hi\n")

    def test_io_uring(self):
        path = self.build("ring", "-DRING", "-luring")
        _, lines = self.check_text(path)
        self.assertEqual(self.row(lines, "io_uring"), "what it receives: ring")
        with served(b"x" * 5000) as port:
            done, remarks = self.run_quiet(path, "get", str(port), options=("--calls", "all"))
        self.assertEqual(done.returncode, 0)
        if done.stdout == "5000\n" and not any("was seen" in line for line in remarks):
            self.skipTest("no io_uring may be made here")  # it fell back on read, which was seen
        self.assertEqual(remarks, [f"recvshim: {path}: no recv, recvfrom, recvmsg, recvmmsg, read or readv was seen; ring "
                                   "uses io_uring, by which no receive is ever seen"])

    def test_nothing_seen(self):
        """run says what would help, and it does."""
        path = self.build("reader", "-DBY_READ")
        with served(b"x" * 5000) as port:
            done, remarks = self.run_quiet(path, "get", str(port))
            self.assertEqual(done.stdout, "5000\n")
            self.assertEqual(remarks, [f"recvshim: {path}: no recv or recvfrom was seen; reader imports read, handled "
                                       "with --calls all only"])
            done, remarks = self.run_quiet(path, "get", str(port), options=("--calls", "all"))
            self.assertEqual((done.stdout, remarks), ("5000\n", []))
        # Also of what another program started, while that lived long enough to be looked at.
        with served(b"x" * 5000) as port, self.running_under("sh", "-c", f"{path} wait; {path} get {port}") as running:
            running.wait_for_looks()
            out, remarks = running.end()
            self.assertEqual(out, "ready\nbye\n5000\n")
            self.assertEqual(remarks, ["recvshim: sh: no recv or recvfrom was seen; reader imports read, handled with "
                                       "--calls all only"])

    @contextlib.contextmanager
    def running_under(self, *arguments, before=()):
        with Running([*before, self.recvshim, "run", "-o", "/dev/null", "--", *arguments], self.environment) as running:
            yield running

    def test_libraries_are_those_of_the_loader(self):
        """Of Debian's own programs, by ldd's word, which has the loader say it."""
        programs = [shutil.which(name) for name in ("curl", "redis-cli", "wget", "psql", "nginx", "haproxy", "sshd", "bash",
                                                    "gdb", "git", "ssh", "ping", "sudo", "strace", "apache2", "perl")]
        compared = 0
        for program in filter(None, programs):
            with open(program, "rb") as file:
                if file.read(4) != b"\x7fELF":
                    continue
            listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
            expected = {os.path.realpath(path) for path in re.findall(r"=> (/\S+)", listed)}
            answer = self.check_json(program)
            found = {os.path.realpath(item["path"]) for item in answer["objects"][1:]}
            self.assertEqual(found, expected, program)
            compared += 1
        self.assertGreater(compared, 3)

    def test_every_program_here(self):
        """Nothing that is installed makes it fail in another way than by its word."""
        counts = {}
        for path in sorted(glob.glob("/usr/bin/*") + glob.glob("/usr/sbin/*")):
            done = self.command("check", "--format", "json", path)
            self.assertIn(done.returncode, (0, 1), path)
            if done.stdout == "":
                self.assertEqual((done.returncode, done.stderr.count("\n")), (1, 1), path)
                continue
            answer = json.loads(done.stdout)
            counts[answer["verdict"]] = counts.get(answer["verdict"], 0) + 1
        self.assertGreater(counts["traceable"], 100, counts)


@contextlib.contextmanager
def served(data):
    """A server on loopback that gives everybody who connects the same, and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def serve():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.sendall(data)

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


class Running:
    """A program that runs until its standard input ends."""

    def __init__(self, arguments, environment, ready=True):
        self.process = subprocess.Popen(arguments, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)
        self.out = self.process.stdout.readline() if ready else ""
        self.pid = self.process.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate(timeout=LIMIT)

    def reads(self):
        with open(f"/proc/{self.pid}/io", encoding="ascii") as file:
            return int(re.search(r"syscr: (\d+)", file.read())[1])

    def wait_for_looks(self):
        """Until recvshim has looked at its children several times: it does nothing else that reads."""
        before = self.reads()
        self.wait_for(lambda: self.reads() >= before + LOOKS)

    @staticmethod
    def wait_for(condition):
        deadline = time.monotonic() + LIMIT
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError("the condition does not come true")
            time.sleep(0.01)

    def end(self):
        out, err = self.process.communicate(timeout=LIMIT)
        return self.out + out, [line for line in err.splitlines() if line.startswith("recvshim: ")]


class Children(Check):
    """run names those of its processes that were not traced."""

    def lose(self, *arguments, before=(), times=1):
        """What is said of a program that waits, and is looked at meanwhile."""
        with Running([*before, self.recvshim, "run", "-o", "/dev/null", "--", *arguments], self.environment) as running:
            for _ in range(times):
                running.wait_for_looks()
            out, remarks = running.end()
        self.assertEqual(out, "ready\nbye\n")
        return remarks

    def expect_lost(self, remarks, program, phrase):
        self.assertEqual(len(remarks), 1, remarks)
        self.assertRegex(remarks[0], rf"^recvshim: \w+: process \d+ \({re.escape(program)}\) was not traced: it ")
        self.assertIn(phrase, remarks[0])

    def test_static(self):
        path = self.build("static-child", "-static")
        self.expect_lost(self.lose("sh", "-c", f"{path} wait; true"), path, "is statically linked")

    def test_wrong_class(self):
        path = self.build("other-child", "-m32")
        self.expect_lost(self.lose("sh", "-c", f"{path} wait; true"), path, "is for 32-bit x86")

    def test_setuid(self):
        path = self.copy("setuid-child", 0o4755)
        # Only root may look into it; others see that they may not.
        self.expect_lost(self.lose("sh", "-c", f"{path} wait; true", before=NOBODY), "setuid-child",
                         "gained privileges when it started")

    def test_cleared_environment(self):
        phrase = "was started without LD_PRELOAD in its environment"
        self.expect_lost(self.lose("sh", "-c", f"env -i {self.plain} wait; true"), self.plain, phrase)
        self.expect_lost(self.lose("env", "-i", self.plain, "wait"), self.plain, phrase)
        self.expect_lost(self.lose("sh", "-c", f"unset LD_PRELOAD; {self.plain} wait; true"), self.plain, phrase)
        without_any = ("import ctypes, sys; arguments = (ctypes.c_char_p * 3)(sys.argv[1].encode(), b'wait'); "
                       "ctypes.CDLL(None).execve(arguments[0], arguments, None)")
        python = f'/usr/bin/python3 -c "{without_any}" {self.plain}'
        self.expect_lost(self.lose("sh", "-c", f"{python}; true"), self.plain, phrase)

    def lose_several(self, commands, then=None):
        """What is said of some that run at once, all looked at; `then` has one of them become another program."""
        said = self.path("said")
        with open(said, "w", encoding="ascii"):
            others = "".join(f"{command} <&3 >>{said} & " for command in commands)
        with Running([self.recvshim, "run", "-o", "/dev/null", "--", "sh", "-c",
                      f"exec 3<&0; {others} echo ready; wait"], self.environment) as running:
            self.wait_for_all(running, said, len(commands))
            if then is not None:
                then()
                self.wait_for_all(running, said, len(commands) + 1)
            _, remarks = running.end()
        return remarks

    def wait_for_all(self, running, said, count):
        def are_ready():
            with open(said, encoding="ascii") as file:
                return file.read().count("ready\n") == count

        running.wait_for(are_ready)
        for _ in range(1 + count // 2):  # the first look into a process takes some 20 reads; LOOKS are 200
            running.wait_for_looks()

    def test_several(self):
        """Like each other, and traced until they lose the library: nothing is said of their end."""
        remarks = self.lose_several([f"env -i {self.plain} wait"] * 3)
        self.assertEqual(len(remarks), 1, remarks)
        self.assertRegex(remarks[0], r"process \d+ \(.*plain\) and 2 more like it was not traced")

    def test_child_of_a_daemon(self):
        """The daemon's own parent is gone before anybody can look at it; but it has said hello."""
        remarks = self.lose("sh", "-c", f"exec 3<&0; (sh -c 'env -i {self.plain} wait <&3; true' &); cat <&3", times=3)
        self.expect_lost(remarks, self.plain, "was started without LD_PRELOAD in its environment")

    def test_very_many(self):
        """So many kinds of processes are told of, the others counted; whoever becomes one kind after another, once."""
        paths = [shutil.copy(self.plain, self.path(f"kind{i}")) for i in range(34)]
        fifo = self.path("fifo")
        os.mkfifo(fifo)
        changing = f"env -i sh -c 'echo ready; read line <{fifo}; exec {paths[0]} wait'"

        def change():
            with open(fifo, "w", encoding="ascii") as file:
                file.write("\n")

        remarks = self.lose_several([*(f"env -i {path} wait" for path in paths[1:]), changing], change)
        self.assertEqual(len(remarks), 33, remarks)
        self.assertRegex(remarks[32], r"^recvshim: \w+: 2 more processes were not traced$", remarks)

    def test_without_the_trace(self):
        self.expect_lost(self.lose("sh", "-c", f"unset RECVSHIM_TRACE; {self.plain} wait; true", times=10), self.plain,
                         "has the library, but not this trace")

    def test_hidden(self):
        """One that was traced from the first, and then has itself protected."""
        python = ("import ctypes, sys; ctypes.CDLL(None).prctl(4, 0); print('ready', flush=True); sys.stdin.read(); "  # PR_SET_DUMPABLE
                  "print('bye')")
        remarks = self.lose("sh", "-c", f'/usr/bin/python3 -c "{python}"; true', before=NOBODY)
        self.assertEqual([line for line in remarks if " was seen" not in line], [])

    def test_gone_while_it_is_looked_at(self):
        """Its program cannot be opened any more: that does not tell how it was run. As of one that ends just then."""
        fifo = self.path("gone")
        os.mkfifo(fifo)
        with Running([self.recvshim, "run", "-o", "/dev/null", "--", "sh", "-c",
                      f"exec 3<&0; echo ready; read line <{fifo}; {self.plain} wait <&3; true"], self.environment) as running:
            with subprocess.Popen(["strace", "--quiet=all", "-o", "/dev/null", "-e", "trace=newfstatat", "-e",
                                   "inject=newfstatat:error=ENOENT", "-p", str(running.pid)]) as strace:
                def is_attached():
                    if strace.poll() is not None:
                        self.skipTest("no program may be attached to here")
                    with open(f"/proc/{running.pid}/status", encoding="ascii") as file:
                        return f"TracerPid:\t{strace.pid}\n" in file.read()

                running.wait_for(is_attached)
                with open(fifo, "w", encoding="ascii") as file:
                    file.write("\n")
                self.assertEqual(running.process.stdout.readline(), "ready\n")
                for _ in range(3):
                    running.wait_for_looks()
                strace.terminate()
            _, remarks = running.end()
        self.assertEqual([line for line in remarks if " was seen" not in line], [])

    def test_quick_exit(self):
        """It leaves out every function that would tell of the end."""
        python = 'import ctypes; ctypes.CDLL(None).quick_exit(0)'
        _, remarks = self.run_quiet("/usr/bin/python3", "-c", python)
        self.assertEqual(len(remarks), 1, remarks)
        self.assertIn("python3: ended and did not tell: by daemon(3), quick_exit or a raw system call", remarks[0])

    def test_daemon(self):
        """libc itself ends the one that goes into the background: no call of the program's tells of it."""
        python = "import ctypes; ctypes.CDLL(None).daemon(0, 0)"
        _, remarks = self.run_quiet("/usr/bin/python3", "-c", python)
        told = "ended and did not tell: by daemon(3), quick_exit or a raw system call"
        self.assertEqual([told in line for line in remarks if "run on under this trace" not in line], [True], remarks)

    def test_too_short_to_be_seen(self):
        """Of these the trace tells: they said start, and never exit."""
        done, remarks = self.run_quiet("env", "-i", self.plain)
        self.assertEqual((done.stdout, len(remarks)), ("hi\n", 1), remarks)
        self.assertRegex(remarks[0], r"env: became plain, which was not traced|plain\) was not traced: it was started")
        for _ in range(30):  # whatever a look happens to see of it
            done, remarks = self.run_quiet("sh", "-c", f"env -i {self.plain}; true")
            self.assertEqual((done.stdout, len(remarks)), ("hi\n", 1), remarks)
            self.assertRegex(remarks[0], r"process \d+ \(env\) ended and did not tell: killed by a signal, by daemon\(3\), "
                             r"quick_exit or a raw system call, or having become another program|plain\) was not traced: it was started")

    def test_no_false_alarm(self):
        """Of processes that end in ways of their own there is nothing to say."""
        python = "/usr/bin/python3"
        for command in (("sh", "-c", "ls | wc -l; (exit 3); true"), ("bash", "-c", "exec sh -c 'exec true'"),
                        ("perl", "-e", "if (!fork) { exit 2 } wait; exec 'true'"),
                        (python, "-c", "import os; os.fork() or os._exit(1); os.wait(); os._exit(0)"),
                        (python, "-c", "import subprocess; subprocess.run(['true']); subprocess.run(['false'])"),
                        ("sh", "-c", f"{self.plain} & {self.plain}; wait"),
                        ("sh", "-c", "kill -9 $$"), ("xargs", "-P4", "-n1", "true"), ("nice", self.plain)):
            _, remarks = self.run_quiet(*command)
            self.assertEqual([line for line in remarks if " was seen" not in line], [], command)
        killed = "exec 3<&0; sleep 1000 & echo ready; cat <&3; kill -9 $!; wait; echo bye"
        for command in ((self.plain, "wait"), ("sh", "-c", f"{self.plain} wait; true"), ("sh", "-c", killed)):
            self.assertEqual([line for line in self.lose(*command) if " was seen" not in line], [], command)

    def test_others_in_the_trace(self):
        """Who else writes to a trace with a name is none of ours, however they end."""
        trace = self.path("shared")
        self.addCleanup(lambda: os.unlink(trace))
        other = dict(self.environment, LD_PRELOAD=self.library, RECVSHIM_TRACE=trace)
        with Running([self.recvshim, "run", "-o", "/dev/null", "--trace", trace, "--", self.plain, "wait"],
                     self.environment) as running:
            with Running([self.plain, "wait"], other):
                pass  # it is killed
            _, remarks = running.end()
        self.assertEqual([line for line in remarks if " was seen" not in line], [])

    def test_quiet(self):
        done = self.command("run", "-q", "-o", "/dev/null", "env", "-i", self.plain)
        self.assertEqual((done.stdout, done.stderr), ("hi\n", ""))


class Processes(Check):
    """check -p PID."""

    @contextlib.contextmanager
    def started(self, *arguments, **environment):
        with Running(arguments, dict(self.environment, **environment)) as running:
            yield running.pid

    def under(self, *arguments, trace="trace"):
        path = self.path(trace)
        self.addCleanup(lambda: os.path.exists(path) and os.unlink(path))
        return self.started(*arguments, LD_PRELOAD=self.library, RECVSHIM_TRACE=path)

    def test_traced(self):
        with self.under(self.plain, "wait") as pid:
            status, name, answer, lines = self.look(pid)
            self.assertEqual((status, name, answer), (0, "plain", "is traced"))
            self.assertEqual(self.row(lines, "library"), self.library)
            self.assertEqual(self.row(lines, "trace"), self.path("trace"))
            self.assertEqual(self.row(lines, "recv"), "plain")
            process = self.check_json("-p", str(pid))["process"]
            self.assertEqual((process["trace"], process["tracing"], process["preloaded"], process["secure"]),
                             (self.path("trace"), True, True, False))
            self.command("control", "--tracing", "off", "-p", str(pid))
            self.assertEqual(self.look(pid)[2], "is traced, and recording is switched off: recvshim control --tracing on")

    def test_under_run(self):
        with self.started(self.recvshim, "run", "-q", self.plain, "wait") as recvshim:
            with open(f"/proc/{recvshim}/task/{recvshim}/children", encoding="ascii") as file:
                pid = int(file.read())
            status, _, answer, lines = self.look(pid)
            self.assertEqual((status, answer), (0, "is traced"))
            self.assertEqual(self.row(lines, "trace"), "in the memory of recvshim run")

    def test_without_a_trace(self):
        with self.started(self.plain, "wait", LD_PRELOAD=self.library) as pid:
            status, _, answer, _ = self.look(pid)
            self.assertEqual((status, answer[:34]), (0, "has the library, and no trace: it "))

    def test_calls_that_are_not_handled(self):
        path = self.build("reading", "-DBY_READ")
        with self.under(path, "wait") as pid:
            status, _, answer, _ = self.look(pid)
            self.assertEqual((status, answer), (0, "is traced; but reading imports read, and no call that is handled: start "
                                                "it anew with --calls all"))
        with self.started(path, "wait") as pid:
            self.assertIn("start it anew with recvshim run --calls all, or ", self.look(pid)[3][1])

    def test_own_calls(self):
        with self.started(self.plain, "wait", LD_PRELOAD=self.library, RECVSHIM_CALLS="read") as pid:
            answer = self.check_json("-p", str(pid))
            self.assertEqual((answer["handled"], answer["needs_calls_all"]), ([], ["recv"]))

    def test_started_without(self):
        with self.started(self.plain, "wait") as pid:
            status, _, answer, lines = self.look(pid)
            self.assertEqual((status, answer), (1, "is not traced: it was started without the library: its environment had "
                                                "no LD_PRELOAD that names it"))
            self.assertIn("start it anew with recvshim run", lines[1])
            self.assertEqual(self.check_json("-p", str(pid))["verdict"], "unloaded")

    def test_overwritten_environment(self):
        with self.started("env", "-i", "A=1", self.plain, "title") as pid:
            self.assertIn("as far as can be seen: it has overwritten its environment", self.look(pid)[2])
            self.assertIsNone(self.check_json("-p", str(pid))["process"]["preloaded"])
        with self.under(self.plain, "title") as pid:
            self.assertEqual(self.look(pid)[2], "is traced")

    def test_missing_library(self):
        gone = self.path("gone/librecvshim.so")
        with self.started(self.plain, "wait", LD_PRELOAD=gone) as pid:
            status, _, answer, lines = self.look(pid)
            self.assertEqual(status, 1)
            self.assertIn("names a library which is not there", answer)
            self.assertEqual(self.row(lines, "LD_PRELOAD"), gone)

    def test_library_that_is_none(self):
        os.makedirs(self.path("bad"), exist_ok=True)
        with self.started(self.plain, "wait", LD_PRELOAD=self.write("bad/librecvshim.so", "no library")) as pid:
            status, _, answer, _ = self.look(pid)
            self.assertEqual(status, 1)
            self.assertIn("but its loader has not loaded it", answer)

    def test_kinds(self):
        for name, options, compiler, phrase in (
                ("static-process", ["-static"], "gcc", "is statically linked"),
                ("class-process", ["-m32"], "gcc", "is for 32-bit x86"),
                ("musl-process", [], "musl-gcc", "uses musl")):
            path = self.build(name, *options, compiler=compiler)
            preload = {} if compiler == "musl-gcc" else {"LD_PRELOAD": self.library}
            with self.started(path, "wait", **preload) as pid:
                status, _, answer, _ = self.look(pid)
                self.assertEqual(status, 1)
                self.assertIn(f"is not traced: it {phrase}", answer)

    def test_setuid(self):
        path = self.copy("setuid-process", 0o4755)
        with self.started(*NOBODY, path, "wait", LD_PRELOAD=self.library) as pid:
            status, _, answer, _ = self.look(pid)
            self.assertEqual(status, 1)
            self.assertIn("is not traced: it gains privileges when it starts (setuid root)", answer)
            self.assertTrue(self.check_json("-p", str(pid))["process"]["secure"])
            done = self.command("check", "-p", str(pid), before=NOBODY)
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertEqual(done.stderr, f"recvshim: process {pid}: cannot be looked into: Permission denied; check it as "
                             "root, or as the user that it belongs to\n")

    def test_plugins(self):
        source = self.write("plugin.c", "#include <sys/socket.h>\nssize_t f(void);\n"
                            "ssize_t f(void) { return recvmsg(socket(1, 1, 0), 0, 0); }\n")
        plugin = self.build("plugin.so", "-shared", "-fPIC", source=source)
        path = self.build("loading", "-DPLUGINS")
        _, lines = self.check_text(path)
        self.assertEqual(self.row(lines, "plugins"), "may be loaded later (dlopen), and are not in this list: loading; "
                         "recvshim check -p PID has them")
        self.assertNotIn("recvmsg", "".join(lines))
        with self.under(path, "load", plugin) as pid:
            answer = self.check_json("-p", str(pid))
            self.assertEqual([item["imports"] for item in answer["objects"] if item["path"] == plugin], [["recvmsg"]])
            self.assertEqual(self.row(self.look(pid)[3], "recvmsg"), "plugin.so")
            self.assertNotIn(self.library, [item["path"] for item in answer["objects"]])

    def test_io_uring(self):
        path = self.build("ring-process", "-DRING", "-luring")
        with self.under(path, "wait") as pid:
            rings = [os.readlink(link) for link in glob.glob(f"/proc/{pid}/fd/*")].count("anon_inode:[io_uring]")
            if rings == 0:
                self.skipTest("no io_uring may be made here")
            self.assertEqual(self.check_json("-p", str(pid))["process"]["io_uring"], rings)
            self.assertTrue(any("the process has 1 open" in line for line in self.look(pid)[3]))

    def test_deleted_program(self):
        path = shutil.copy(self.plain, self.path("deleted"))
        with self.under(path, "wait") as pid:
            os.unlink(path)
            self.assertEqual(self.look(pid)[:3], (0, "deleted", "is traced"))
            self.assertEqual(self.check_json("-p", str(pid))["handled"], ["recv"])

    def test_replaced_library(self):
        """As by a new version of the package, while the process runs."""
        os.makedirs(self.path("replaced"), exist_ok=True)
        library = shutil.copy(self.library, self.path("replaced/librecvshim.so"))
        with self.started(self.plain, "wait", LD_PRELOAD=library) as pid:
            os.unlink(library)
            status, _, _, lines = self.look(pid)
            self.assertEqual((status, self.row(lines, "library")), (0, f"{library} (deleted)"))
            self.assertNotIn("recvshim", "".join(item["name"] for item in self.check_json("-p", str(pid))["objects"][1:]))

    def test_no_new_privileges(self):
        with self.under("setpriv", "--no-new-privs", self.plain, "wait") as pid:
            self.assertTrue(self.check_json("-p", str(pid))["process"]["no_new_privileges"])
            self.assertIn("can gain none", self.row(self.look(pid)[3], "privileges"))

    def test_filtered(self):
        with self.under(self.plain, "filter") as pid:
            self.assertIn("under a filter", self.row(self.look(pid)[3], "seccomp"))

    def test_privileges_that_are_gone(self):
        """It was setuid when it started: what its file is now tells nothing."""
        path = self.copy("once-setuid", 0o4755)
        with self.started(*NOBODY, path, "wait", LD_PRELOAD=self.library) as pid:
            os.chmod(path, 0o755)
            self.assertIn("gains privileges when it starts (by a security module)", self.look(pid)[2])

    def test_what_is_no_process(self):
        ended = subprocess.Popen(["true"])
        os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
        zombie = self.command("check", "-p", str(ended.pid))
        ended.wait()
        gone = self.command("check", "-p", str(ended.pid))
        self.assertEqual(zombie.stderr, f"recvshim: process {ended.pid}: has ended, and waits for its parent to notice\n")
        self.assertEqual(gone.stderr, f"recvshim: process {ended.pid}: does not exist\n")
        self.assertEqual((zombie.returncode, gone.returncode), (1, 1))


def main():
    global RECVSHIM, LIBRARY
    RECVSHIM, LIBRARY = (os.path.abspath(path) for path in sys.argv[1:3])
    unittest.main(argv=sys.argv[:1] + sys.argv[3:])


if __name__ == "__main__":
    main()
