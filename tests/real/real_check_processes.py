#!/usr/bin/env python3
"""`recvshim check -p PID`: what is said of processes, with a specimen of each kind.

Usage: real_check_processes.py RECVSHIM LIBRARY [unittest arguments]
"""
import contextlib
import glob
import os
import shutil
import subprocess

from real_check import Check
from specimens import NOBODY, Running, children, main


class Processes(Check):
    @contextlib.contextmanager
    def started(self, *arguments, **environment):
        with Running(arguments, **self.environment, **environment) as running:
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
            pid, = children(recvshim)
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


if __name__ == "__main__":
    main()
