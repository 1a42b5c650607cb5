#!/usr/bin/env python3
"""Do what README.md's recipes say, with what they say: on this machine's own system, installed over it in a mount
namespace, where /usr and /etc are overlaid and the network is a namespace's own.

Usage: recipes.py README BUILD-DIRECTORY
"""
import glob
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time

STATUS_SKIPPED = 77
PATIENCE = 120
ARCHITECTURE_LIBRARY = "/usr/lib/x86_64-linux-gnu/librecvshim.so"
RUNTIME = "/run/user/0"
VICTIM = "/usr/bin/python3 /usr/local/bin/victim"
# Receives from itself: over TCP, so that there is something to look up.
VICTIM_SOURCE = """
import socket
listener = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(listener.getsockname())
server, _ = listener.accept()
server.sendall(b"some bytes")
server.close()
while client.recv(100): pass
"""
NOBODY = ["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups"]


def fail(problem):
    sys.exit(f"recipes: {problem}")


def run(command, **options):
    options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "timeout": PATIENCE,
               "check": False, **options}
    return subprocess.run(command, **options)


def write(path, text, mode=0o644):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, mode)


def until(condition, what):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    return fail(f"{what} did not happen within {PATIENCE} s")


def events_of(pattern):
    """All events in the traces of such a name."""
    shown = [run(["recvshim", "show", "--format", "json", trace], stderr=subprocess.DEVNULL).stdout for trace in glob.glob(pattern)]
    return [json.loads(line) for text in shown for line in text.splitlines()]


def expect_traced(pattern, what):
    """Wait for a receive in a trace of such a name, and the exit of who received. Returns all events."""
    def traced():
        events = events_of(pattern)
        receivers = {event["pid"] for event in events if event["event"] == "receive"}
        return events if receivers & {event["pid"] for event in events if event["event"] == "exit"} else None
    return until(traced, f"{what}: a receive in {pattern}")


def looked_up(events):
    return any(event["local_address"] for event in events)


def loaded(command, **options):
    """Whether a command (grep) finds the library in its own map."""
    ran = run([*command, "-c", "librecvshim", "/proc/self/maps"], stderr=subprocess.DEVNULL, **options)
    if not re.fullmatch(r"\d+\n", ran.stdout):
        fail(f"{command} ended with {ran.returncode}: {ran.stdout}")
    return ran.stdout != "0\n"


class Readme:
    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            section = file.read().split("\n## Recipes\n")[1].split("\n## ")[0]
        self.blocks = re.findall(r"^```(\w+)\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
        self.rows = dict(re.findall(r"^\| (.*?) \| (.*) \|$", section, re.MULTILINE))

    def block(self, language, word):
        return next(text for kind, text in self.blocks if kind == language and word in text)

    def code(self, row):
        """What stands in backquotes in a row of the table."""
        return re.findall(r"`([^`]+)`", self.rows[row])


def test_systemd(readme):
    drop_in = readme.block("ini", "[Service]")
    path = re.match(r"# (\S+)\n", drop_in)[1]
    hardening = ("PrivateTmp=yes", "ProtectSystem=strict", "NoNewPrivileges=yes", "MemoryDenyWriteExecute=yes",
                 "SystemCallFilter=@system-service", "RestrictAddressFamilies=AF_INET AF_UNIX")
    unit = os.path.dirname(path)[:-len(".d")]
    service = "\n".join(["[Service]", f"ExecStart={VICTIM}", *hardening]) + "\n"
    write(unit, service)
    write(path, drop_in)
    verified = run(["systemd-analyze", "verify", "--man=no", unit])
    if verified.returncode != 0 or verified.stdout:
        fail(f"systemd-analyze verify: {verified.stdout}")

    # Once as the recipe has it, once with look-ups.
    for line, expected in ("", False), ("Environment=RECVSHIM_LOOKUP=on\n", True):
        os.makedirs("/run/systemd/system", exist_ok=True) # by this, systemd knows itself
        for name, text in (unit, service), (path, drop_in), (path + ".conf", "[Service]\n" + line):
            write(name.replace("/etc/systemd/system", RUNTIME + "/systemd/user"), text)
        manager = subprocess.Popen(["/lib/systemd/systemd", "--user", "--unit=legacy.service", "--log-target=null"],
                                   env={"PATH": "/usr/bin:/bin", "XDG_RUNTIME_DIR": RUNTIME}, stdin=subprocess.DEVNULL)
        trace = RUNTIME + "/recvshim-legacy/trace"
        events = expect_traced(trace, "a service of systemd")
        if looked_up(events) != expected:
            fail(f"a service of systemd, look-ups expected: {expected}; {events}")
        manager.send_signal(signal.SIGTERM)
        manager.wait(PATIENCE)
        os.unlink(trace)

    capable = ["setpriv", *NOBODY[1:], "--inh-caps", "+net_bind_service", "--ambient-caps", "+net_bind_service"]
    if not loaded([*capable, "grep"], env={"PATH": "/usr/bin", "LD_PRELOAD": "/usr/$LIB/librecvshim.so"}):
        fail("ambient capabilities keep the library out")


def test_container(readme):
    lines = [line for line in readme.block("sh", "docker run").replace("\\\n", " ").splitlines() if line]
    run(["sh", "-c", lines[0]], check=True)
    words = shlex.split(lines[1])
    bwrap = ["bwrap", "--unshare-all", "--as-pid-1", "--die-with-parent", "--ro-bind", "/run/plain-usr", "/usr", "--symlink", "usr/lib", "/lib",
             "--symlink", "usr/lib64", "/lib64", "--symlink", "usr/bin", "/bin", "--proc", "/proc", "--dev", "/dev", "--clearenv"]
    for option, value in zip(words, words[1:]):
        if option == "--env":
            bwrap += ["--setenv", *value.split("=", 1)]
        elif option == "--volume":
            outside, inside, *rest = value.split(":")
            bwrap += ["--ro-bind" if rest == ["ro"] else "--bind", outside, inside]
    image = ["--ro-bind", "/usr/local/bin", "/image", "/usr/bin/python3", "/image/victim"]
    ran = run([*bwrap, *image])
    if ran.returncode != 0 or ran.stdout:
        fail(f"a container: {ran.returncode} {ran.stdout}")
    events = expect_traced(shlex.split(lines[2])[-1], "a container")
    if not looked_up(events) or not all(event["pid"] == 1 for event in events):
        fail(f"a container: {events}")

    # Looked at by the process's number of outside.
    with subprocess.Popen([*bwrap, "/usr/bin/cat"], stdin=subprocess.PIPE) as waiting:
        until(lambda: any("cat[" in run(["recvshim", "show", "-p", pid, "--event", "start"]).stdout
                          for pid in run(["pgrep", "-x", "cat"]).stdout.split()), "recvshim show -p of a container's process")
        waiting.stdin.close()

    environment = shlex.split(re.search(r"^ENV (.*)", readme.block("dockerfile", "ENV"), re.MULTILINE)[1])
    run(VICTIM.split(), env={"PATH": "/usr/bin", **dict(value.split("=", 1) for value in environment)}, check=True)
    expect_traced("/dev/shm/*", "an image of one's own")


def test_preload_of_all(readme):
    write_line, remove, rescue = readme.block("sh", "ld.so.preload").splitlines()
    privileged = "/run/privileged-grep"
    run(["cp", "/usr/bin/grep", privileged], check=True)
    os.chmod(privileged, 0o4755)
    if loaded(["env", "-i", "grep"]):
        fail("the library is loaded before the recipe says so")
    run(["sh", "-c", write_line], check=True)
    trace = "/dev/shm/privileged"
    if not loaded(["env", "-i", "grep"]) or not loaded([*NOBODY, "env", "RECVSHIM_TRACE=" + trace, privileged]):
        fail("/etc/ld.so.preload: not every program loads the library")
    if os.path.exists(trace):
        fail("a program that gained privileges has read settings")
    run([*NOBODY, "env", "RECVSHIM_TRACE=" + trace, "grep", "", "/dev/null"])
    if not os.path.exists(trace):
        fail("a program without privileges has read no settings")
    run(["sh", "-c", remove], check=True)
    if loaded(["env", "-i", "grep"]):
        fail("the library is loaded after it was removed")

    write("/run/crash.c", "#include <stdlib.h>\n__attribute__((constructor)) static void crash(void) { abort(); }\n")
    run(["cc", "-shared", "-fPIC", "-o", "/run/crash.so", "/run/crash.c"], check=True)
    write("/etc/ld.so.preload", "/run/crash.so\n")
    if run(["/bin/true"]).returncode == 0 or run(["/bin/rm", "/etc/ld.so.preload"]).returncode == 0:
        fail("this was to crash every program")
    run(shlex.split(rescue), check=True)
    run(["/bin/true"], check=True)


def test_sudo(readme):
    run_it, env_it, *_, keep = readme.code("`sudo`")
    write("/etc/sudoers.d/recipe", "nobody ALL = (ALL) NOPASSWD: ALL\n", 0o440)
    told = {"PATH": "/usr/bin:/bin", "LD_PRELOAD": "/usr/$LIB/librecvshim.so"}
    said = run([*NOBODY, *shlex.split(run_it.replace("COMMAND", VICTIM).replace("sudo", "sudo -n"))], env=told).stdout
    if " recv(" not in said:
        fail(f"{run_it}: {said}")
    as_nobody = [*NOBODY, "sudo", "-n"]
    if not loaded([*NOBODY, *shlex.split(env_it.replace("sudo", "sudo -n").replace("COMMAND", "grep"))]):
        fail(env_it)
    if loaded([*as_nobody, "-E", "grep"], env=told):
        fail("sudo -E keeps LD_PRELOAD")
    write("/etc/sudoers.d/kept", f'{keep}\nDefaults env_keep += "LD_PRELOAD"\n', 0o440)
    kept = run([*as_nobody, "env"], env={**told, "RECVSHIM_EINTR": "intent"}).stdout
    if "RECVSHIM_EINTR=intent" not in kept or "LD_PRELOAD=" in kept:
        fail(f"{keep}: {kept}")


def test_su(_):
    told = {"PATH": "/usr/bin:/bin:/usr/sbin", "LD_PRELOAD": "/usr/$LIB/librecvshim.so"}
    look = "grep -c librecvshim /proc/self/maps"
    by_root = run(["su", "-s", "/bin/sh", "nobody", "-c", look], env=told)
    by_login = run(["su", "-s", "/bin/sh", "-", "nobody", "-c", look], env=told, stderr=subprocess.DEVNULL)
    write("/etc/pam.d/su", "auth sufficient pam_permit.so\naccount sufficient pam_permit.so\nsession optional pam_permit.so\n")
    by_other = run([*NOBODY, "su", "root", "-c", look], env=told)
    said = [ran.stdout.strip() for ran in (by_root, by_login, by_other)]
    if said[0] in ("", "0") or said[1:] != ["0", "0"]:
        fail(f"su by root, su -, su by another: {said}")


def test_cron(readme):
    lines = readme.code("cron")
    write("/etc/cron.d/legacy", "\n".join(lines) + f"\n@reboot root {VICTIM}\n")
    daemon = subprocess.Popen(["cron", "-f"], stdin=subprocess.DEVNULL)
    expect_traced(lines[1].split("=")[1].replace("%p", "*"), "cron")
    daemon.kill()
    daemon.wait()


def test_sshd(readme):
    match, settings = readme.code("sshd")
    home = os.path.expanduser("~root")
    run(["mount", "-t", "tmpfs", "-o", "mode=700", "tmpfs", home], check=True)
    for key in home + "/.ssh/id", "/run/host-key":
        os.makedirs(os.path.dirname(key), mode=0o700, exist_ok=True)
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    os.rename(home + "/.ssh/id.pub", home + "/.ssh/authorized_keys")
    os.makedirs("/run/sshd")
    write("/run/sshd_config", "ListenAddress 127.0.0.1\nHostKey /run/host-key\nPermitRootLogin yes\nUsePAM no\n"
          f"{match} root\n    {settings}\n")
    daemon = subprocess.Popen(["/usr/sbin/sshd", "-D", "-q", "-f", "/run/sshd_config"], stdin=subprocess.DEVNULL)
    ssh = ["ssh", "-q", "-i", home + "/.ssh/id", "-o", "StrictHostKeyChecking=no", "-o", "BatchMode=yes", "root@127.0.0.1"]
    until(lambda: run([*ssh, "true"]).returncode == 0, "a login by ssh")
    ran = run([*ssh, VICTIM])
    if ran.returncode != 0:
        fail(f"ssh: {ran.stdout}")
    expect_traced(re.search(r"RECVSHIM_TRACE=(\S+)", settings)[1].replace("%p", "*"), "sshd")
    daemon.terminate()
    daemon.wait(PATIENCE)


def test_wrapper(readme):
    line, = readme.code("a program that clears or edits its environment")
    write("/usr/local/bin/worker", "#!/bin/sh\n" + line.replace("REAL-PROGRAM", "/usr/bin/python3") + "\n", 0o755)
    run(["env", "-i", "/usr/local/bin/worker", "/usr/local/bin/victim"], check=True)
    expect_traced("/dev/shm/*", "a program that clears its environment")


TESTS = (test_systemd, test_container, test_preload_of_all, test_sudo, test_su, test_cron, test_sshd, test_wrapper)


def mount(*arguments):
    ran = run(["mount", *arguments])
    if ran.returncode != 0:
        print(f"recipes: mount {' '.join(arguments)}: {ran.stdout}")
        sys.exit(STATUS_SKIPPED)


def mount_system(stage):
    """This machine's system with the installed files in it; what is written into it goes with the namespace."""
    work = stage + "/work"
    os.mkdir(work)
    mount("-t", "tmpfs", "tmpfs", work)
    mount("-t", "tmpfs", "tmpfs", "/run")
    os.mkdir("/run/plain-usr")
    mount("--bind", "/usr", "/run/plain-usr")
    for name, below in ("usr", f"{stage}/usr:/usr"), ("etc", "/etc"):
        upper, own = f"{work}/{name}", f"{work}/{name}-own"
        os.mkdir(upper)
        os.mkdir(own)
        mount("-t", "overlay", "-o", f"lowerdir={below},upperdir={upper},workdir={own}", "overlay", "/" + name)
    for place in "/dev/shm", "/tmp":
        mount("-t", "tmpfs", "-o", "mode=1777", "tmpfs", place)
    mount("-t", "cgroup2", "cgroup2", "/sys/fs/cgroup")


def inside(readme, stage):
    readme = Readme(readme)
    mount_system(stage)
    run(["ip", "link", "set", "lo", "up"], check=True)
    write("/usr/local/bin/victim", VICTIM_SOURCE)
    for test in TESTS:
        begun = time.monotonic()
        test(readme)
        run(["sh", "-c", "rm -rf /dev/shm/*"])
        print(f"{test.__name__[len('test_'):]}: {time.monotonic() - begun:.1f} s", flush=True)


# A control group for systemd to manage, the rest of the machine being none of its business.
BEGIN = """
mount -t cgroup2 cgroup2 "$1" && mkdir "$1/$2" && echo $$ >"$1/$2/cgroup.procs" || exit 77
shift 2
exec unshare --cgroup --net --pid --fork --kill-child --mount-proc "$@"
"""
END = 'mount -t cgroup2 cgroup2 "$1" && find "$1/$2" -depth -type d -exec rmdir {} +'


def outside(readme, build):
    if run(["unshare", "--mount", "--net", "--pid", "--fork", "true"]).returncode != 0:
        print("recipes: no namespaces may be made here")
        return STATUS_SKIPPED
    with tempfile.TemporaryDirectory() as stage:
        run(["cmake", "--install", build], env={**os.environ, "DESTDIR": stage}, check=True)
        if not os.path.exists(stage + ARCHITECTURE_LIBRARY):
            print(f"recipes: {build} is not to be installed below /usr on x86-64")
            return STATUS_SKIPPED
        groups, group = stage + "/groups", f"recvshim-recipes-{os.getpid()}"
        os.mkdir(groups)
        try:
            return subprocess.run(["unshare", "--mount", "sh", "-c", BEGIN, "sh", groups, group, sys.executable,
                                   os.path.abspath(__file__), "--inside", os.path.abspath(readme), stage], check=False).returncode
        finally:
            run(["unshare", "--mount", "sh", "-c", END, "sh", groups, group])


if __name__ == "__main__":
    if sys.argv[1] == "--inside":
        inside(*sys.argv[2:])
    else:
        sys.exit(outside(*sys.argv[1:]))
