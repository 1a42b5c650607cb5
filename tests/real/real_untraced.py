#!/usr/bin/env python3
"""What `recvshim run` tells of its processes that were not traced, or of whose receives none was seen.

Usage: real_untraced.py RECVSHIM LIBRARY [unittest arguments]
"""
import contextlib
import os
import re
import shutil
import subprocess
import time

from services import served
from specimens import NOBODY, Running, Specimens, children, main, wait_for

# Reads of one look into a process: 45 of the plain specimen. Its environment is read twice, a kilobyte at a time.
READS = 60 + sum(len(name) + len(value) for name, value in os.environ.items()) // 500
JOINING = 0.1  # seconds from the loading of the library to its constructor that recvshim waits


def count_processes(pid):
    return 1 + sum(map(count_processes, children(pid)))


class Watched(Running):
    """A program under recvshim."""

    def reads(self):
        with open(f"/proc/{self.pid}/io", encoding="ascii") as file:
            return int(re.search(r"syscr: (\d+)", file.read())[1])

    def wait_for_look(self, orphans=0):
        """Until recvshim, which does nothing else that reads, has looked at all its processes, from beginning to end: the
        look that it was about has been ended then as well. `orphans`: how many are nobody's children any more."""
        end = self.reads() + 2 * READS * (count_processes(self.pid) + orphans)
        wait_for(lambda: self.reads() >= end)


class Untraced(Specimens):
    @contextlib.contextmanager
    def watched(self, *arguments, before=(), options=()):
        command = [*before, self.recvshim, "run", "-o", "/dev/null", *options, "--", *arguments]
        with Watched(command, **self.environment) as running:
            yield running


class Seen(Untraced):
    """What is said where no receive was seen."""

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
        with served(b"x" * 5000) as port, self.watched("sh", "-c", f"{path} wait; {path} get {port}") as running:
            running.wait_for_look()
            out, remarks = running.end()
            self.assertEqual(out, "ready\nbye\n5000\n")
            self.assertEqual(remarks, ["recvshim: sh: no recv or recvfrom was seen; reader imports read, handled with "
                                       "--calls all only"])


class Children(Untraced):
    """run names those of its processes that were not traced."""

    def lose(self, *arguments, before=(), pause=0.0, orphans=0):
        """What is said of a program that waits, and is looked at twice meanwhile."""
        with self.watched(*arguments, before=before) as running:
            running.wait_for_look(orphans)
            time.sleep(pause)
            running.wait_for_look(orphans)
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
        with self.watched("sh", "-c", f"exec 3<&0; {others} echo ready; wait") as running:
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

        wait_for(are_ready)
        running.wait_for_look()

    def test_several(self):
        """Like each other, and traced until they lose the library: nothing is said of their end."""
        remarks = self.lose_several([f"env -i {self.plain} wait"] * 3)
        self.assertEqual(len(remarks), 1, remarks)
        self.assertRegex(remarks[0], r"process \d+ \(.*plain\) and 2 more like it was not traced")

    def test_child_of_a_daemon(self):
        """The daemon's own parent is gone before anybody can look at it; but it has said hello."""
        remarks = self.lose("sh", "-c", f"exec 3<&0; (sh -c 'env -i {self.plain} wait <&3; true' &); cat <&3", orphans=2)
        remarks = [line for line in remarks if "run on under this trace" not in line]  # for a moment, or not
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
        self.expect_lost(self.lose("sh", "-c", f"unset RECVSHIM_TRACE; {self.plain} wait; true", pause=JOINING), self.plain,
                         "has the library, but not this trace")

    def test_another_user(self):
        """Whose processes may not join: a file that they see would not help."""
        if os.geteuid() != 0:
            self.skipTest("only root can become another user")
        remarks = self.lose("sh", "-c", f"{' '.join(NOBODY)} {self.plain} wait; true", pause=JOINING)
        self.assertIn("cannot be opened: Permission denied; nothing is traced", remarks[0])  # the library says
        self.expect_lost(remarks[1:], self.plain, "by another user, whose processes join no trace of yours")

    def test_hidden(self):
        """One that was traced from the first, and then has itself protected."""
        python = ("import ctypes, sys; ctypes.CDLL(None).prctl(4, 0); "  # PR_SET_DUMPABLE
                  "print('ready', flush=True); sys.stdin.read(); print('bye')")
        # Once more with a look that is slow: it began before there was anything to see.
        slowly = ["strace", "-D", "-qq", "-o", "/dev/null", "-e", "inject=getdents64:delay_enter=100000:when=1..12"]
        for before in NOBODY, [*slowly, *NOBODY]:
            remarks = self.lose("sh", "-c", f'sleep 0.1; /usr/bin/python3 -c "{python}"; true', before=before)
            self.assertEqual([line for line in remarks if " was seen" not in line], [])

    def test_gone_while_it_is_looked_at(self):
        """Its program cannot be opened any more: that does not tell how it was run. As of one that ends just then."""
        fifo = self.path("gone")
        os.mkfifo(fifo)
        with self.watched("sh", "-c", f"exec 3<&0; echo ready; read line <{fifo}; {self.plain} wait <&3; true") as running:
            with subprocess.Popen(["strace", "--quiet=all", "-o", "/dev/null", "-e", "trace=newfstatat", "-e",
                                   "inject=newfstatat:error=ENOENT", "-p", str(running.pid)]) as strace:
                def is_attached():
                    if strace.poll() is not None:
                        self.skipTest("no program may be attached to here")
                    with open(f"/proc/{running.pid}/status", encoding="ascii") as file:
                        return f"TracerPid:\t{strace.pid}\n" in file.read()

                wait_for(is_attached)
                with open(fifo, "w", encoding="ascii") as file:
                    file.write("\n")
                self.assertEqual(running.process.stdout.readline(), "ready\n")
                running.wait_for_look()
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
        vanished = (r"process \d+ \(env\) ended and did not tell: killed by a signal, by daemon\(3\), quick_exit or a raw system "
                    r"call, or having become another program")
        # By nobody: recvshim, which is this shell's parent, is stopped meanwhile.
        done, remarks = self.run_quiet("sh", "-c", f"kill -STOP $PPID; env -i {self.plain}; kill -CONT $PPID")
        self.assertEqual((done.stdout, len(remarks)), ("hi\n", 1), remarks)
        self.assertRegex(remarks[0], vanished)
        # Whatever a look happens to see of it: where two saw env, whose end is then told as that of one that was killed
        # (not at all), and none what became of it, there is nothing to say.
        for _ in range(30):
            done, remarks = self.run_quiet("sh", "-c", f"env -i {self.plain}; true")
            self.assertEqual((done.stdout, len(remarks)), ("hi\n", 1), remarks)
            self.assertRegex(remarks[0], vanished + r"|plain\) was not traced: it was started| was seen")

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
        forever = "$| = 1; print qq(ready\\n); sleep"
        killed = f"exec 3<&0; perl -e '{forever}' & cat <&3; kill -9 $!; wait; echo bye"
        for command in ((self.plain, "wait"), ("sh", "-c", f"{self.plain} wait; true"), ("sh", "-c", killed)):
            self.assertEqual([line for line in self.lose(*command) if " was seen" not in line], [], command)

    def test_ends_while_looked_into(self):
        """Between what is read of a process and what is read next, it ends or becomes another program."""
        slowly = ["strace", "-qq", "-o", "/dev/null", "-e", "trace=getdents64", "-e", "inject=getdents64:delay_exit=500"]
        loop = "i=0; while [ $i -lt 1000 ]; do /bin/true; i=$((i + 1)); done"
        done, remarks = self.run_quiet("sh", "-c", loop, before=slowly)
        self.assertEqual(done.returncode, 0)
        self.assertEqual([line for line in remarks if " was seen" not in line], [])

    def test_others_in_the_trace(self):
        """Who else writes to a trace with a name is none of ours, however they end."""
        trace = self.path("shared")
        self.addCleanup(lambda: os.unlink(trace))
        with self.watched(self.plain, "wait", options=["--trace", trace]) as running:
            with Running([self.plain, "wait"], LD_PRELOAD=self.library, RECVSHIM_TRACE=trace) as other:
                other.process.kill()
            _, remarks = running.end()
        self.assertEqual([line for line in remarks if " was seen" not in line], [])

    def test_quiet(self):
        done = self.command("run", "-q", "-o", "/dev/null", "env", "-i", self.plain)
        self.assertEqual((done.stdout, done.stderr), ("hi\n", ""))


if __name__ == "__main__":
    main()
