#!/usr/bin/env python3
"""`recvshim check` of programs, and what `recvshim run` says of those that cannot be traced, with a real specimen of each
kind.

Usage: real_check.py RECVSHIM LIBRARY [unittest arguments]
"""
import glob
import json
import os
import re
import shutil
import subprocess

from finished import run
from services import served
from specimens import HERE, NOBODY, Running, Specimens, children, main


class Check(Specimens):
    """What is said by `recvshim check`."""

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
        ended = [run([path], LD_PRELOAD=self.library), self.run_quiet("sh", "-c", path)[0]]
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
        recvshim, library = self.built
        if not os.path.exists(library.replace("x86_64-linux-gnu", "i386-linux-gnu")):
            self.skipTest("no 32-bit library was built")
        path = self.build("other-class-traced", "-m32")
        done = run([recvshim, "check", path])
        self.assertEqual((done.returncode, done.stderr, done.stdout.splitlines()[0]), (0, "", f"{path} can be traced"))
        with Running([recvshim, "run", "-q", path, "wait"]) as running:
            status, _, answer, lines = self.look(*children(running.pid))
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
        done = self.command("check", self.plain, RECVSHIM_LIBRARY=self.path("nowhere.so"))
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


if __name__ == "__main__":
    main()
