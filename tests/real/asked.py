"""What the command itself says of its subcommands, their options, and what these accept: what documents are held against."""
import re
import subprocess


class Command:
    def __init__(self, recvshim):
        self.path = recvshim

    def say(self, *arguments):
        ran = subprocess.run([self.path, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True, timeout=240, check=False)
        return ran.stdout

    def subcommands(self):
        return re.findall(r"^  (\w+) +\S", self.say("--help"), re.MULTILINE)

    def options(self, subcommand):
        """A set of ("-o", "--output", "FILE"); "" for what an option does not have."""
        found = re.findall(r"^ {2,6}(?:(-\S), )?(--[\w-]+)(?:=(\S+))?(?: |$)", self.say(subcommand, "--help"), re.MULTILINE)
        return set(found)

    def refusal(self, *arguments):
        """What would have been accepted instead of a question mark, as the message has it."""
        said = self.say(*arguments)
        match = re.search(r"(?:must be|expected) (.*)", said)
        if not match:
            raise SystemExit(f"recvshim {' '.join(arguments)} was expected to be refused, with what is accepted:\n{said}")
        return match[1]

    def words(self, *arguments):
        """The single words among what would have been accepted."""
        items = re.split(r", or a list of |, with a | or |[,|] ?", self.refusal(*arguments))
        return [item for item in items if re.fullmatch(r"[a-z][a-z-]*", item)]

    # Values of other kinds than words: files, numbers, times, addresses, signals.
    FREE = {"FILE", "BYTES", "NUMBER", "SIGNALS", "RULE", "PID", "TIME", "SECONDS", "N", "ADDRESS[/BITS]"}

    def values(self, subcommand, option, name):
        return [] if name in self.FREE else self.words(subcommand, f"{option}=?")

    def actions(self):
        return re.findall(r"(\w+)(?:=[^,]*)?(?:, |$)", self.refusal("run", "--fault=*:?"))

    def rule_options(self):
        return re.findall(r"(\w+)=\S+?(?:, |$)", self.refusal("run", "--fault=*:eof:?"))
