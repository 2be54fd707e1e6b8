"""Follow a page to the letter: write its files, run its programs and commands, and hold what they print against what the page shows.

How a page is written, so that this can be done, stands in docs/guides/README.md. A page is followed in a folder of its own, beside a fresh
server, and with ports that nobody else uses in place of those it names.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from tests.servers import free_port

AGAIN_S = 60.0
"""A command may have to wait for what was started before it: it is tried again for so long."""
STARTED_S = 60.0
ENDED_S = 60.0
_FENCE = re.compile(r"^( *)```([\w-]*)([^\n]*)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"\A(?:#|//|<!--) file: ([\w./-]+)[^\n]*\n")
_PORT = re.compile(r"(?<![\d.])8[0-4]\d\d(?!\d)")
_REGISTRY = re.compile(r"(?<!\d)(8500|8600)(?!\d)")
_KILL = re.compile(r"kill (?:-(\w+) )?%(\d+)")
_SETTING = ("cd ", "export ")
_CURL = """\
#!{python}
import argparse, sys, urllib.error, urllib.request
parser = argparse.ArgumentParser()
parser.add_argument("url")
parser.add_argument("-s", action="store_true")
parser.add_argument("-X", default=None)
parser.add_argument("-d", default=None)
parser.add_argument("-H", action="append", default=[])
asked = parser.parse_args()
headers = dict(one.split(": ", 1) for one in asked.H)
url = asked.url if "://" in asked.url else "http://" + asked.url
try:
    with urllib.request.urlopen(urllib.request.Request(url, asked.d and asked.d.encode(), headers, method=asked.X), timeout=30) as answer:
        print(answer.read().decode())
except urllib.error.HTTPError as error:
    print(error.read().decode())
except OSError as error:
    sys.exit(f"curl: {{error}}")
"""


class Step(NamedTuple):
    """One thing to do. `kind`: `file`, `program`, `command` or `background`; `shown` is what the page says it prints."""

    place: str
    kind: str
    name: str
    text: str
    shown: tuple[str, ...] = ()


def steps_of(text: str, page: str) -> list[Step]:
    """What a page says, in order."""
    found: list[Step] = []
    for fence in _FENCE.finditer(text):
        _, language, info, body = fence.groups()
        place = f"{page}:{text.count(chr(10), 0, fence.start()) + 1}"
        if named := _FILE.match(body):
            found.append(Step(place, "file", named[1], body[named.end() :]))
        elif language == "python" and "no-run" not in info:
            found.append(Step(place, "program", "the program", body))
        elif language == "console":
            found += _commands(body, place)
        elif language == "text" and found and found[-1].kind != "file":
            found[-1] = found[-1]._replace(shown=(*found[-1].shown, *body.splitlines()))
    return found


def _commands(body: str, place: str) -> list[Step]:
    found: list[Step] = []
    for line in body.splitlines():
        if line.startswith("$ "):
            command = line[2:].split("  #", 1)[0].strip()
            background = command.endswith("&")
            found.append(Step(place, "background" if background else "command", command, command.rstrip("& ")))
        elif found and found[-1].text.endswith("\\"):
            found[-1] = found[-1]._replace(name=f"{found[-1].name}\n{line}", text=f"{found[-1].text}\n{line}")
        elif found:
            found[-1] = found[-1]._replace(shown=(*found[-1].shown, line))
    return found


@dataclass
class Background:
    """A command that goes on."""

    step: Step
    process: subprocess.Popen[bytes]
    output: Path

    def said(self) -> str:
        return self.output.read_text("utf-8", errors="replace")

    def end(self, number: int = signal.SIGTERM) -> None:
        """Send a signal, and wait for the end if that is what the signal means."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        if number not in {signal.SIGSTOP, signal.SIGCONT}:
            try:
                self.process.wait(ENDED_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise AssertionError(f"{self.step.place}: {self.step.name} did not end within {ENDED_S:.0f} s:\n{self.said()}") from None


@dataclass
class World:
    """Where a page happens."""

    folder: Path
    binaries: Path = Path(sys.executable).parent
    http_port: int = 0
    dns_port: int = 0
    ports: dict[str, int] = field(default_factory=dict)
    settings: list[str] = field(default_factory=list)
    """`cd` and `export` so far: they hold for every later command."""
    backgrounds: list[Background] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.http_port = self.http_port or free_port()
        self.dns_port = self.dns_port or free_port()
        tools = self.folder.parent / f"{self.folder.name}-tools"
        tools.mkdir(parents=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        curl = tools / "curl"
        curl.write_text(_CURL.format(python=sys.executable), "utf-8")
        curl.chmod(0o755)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("CALLBOARD_", "CONSUL_", "PYTEST_"))}
        # Unbuffered, as lines are on the terminal of who reads the page.
        self.environment = {**inherited, "PYTHONUNBUFFERED": "1", "HOME": str(tools), "XDG_CACHE_HOME": str(tools / "cache")}
        self.environment["PATH"] = os.pathsep.join((str(tools), str(self.binaries), inherited["PATH"]))
        self.environment["CALLBOARD_URL"] = f"http://127.0.0.1:{self.http_port}"

    def follow(self, steps: list[Step]) -> None:
        """Do all of it; whatever was started is ended."""
        self.prepare(steps)
        try:
            for step in steps:
                self.do(step)
            self.end()
        finally:
            self.close()

    def close(self) -> None:
        """Kill what still runs, with its children."""
        for background in self.backgrounds:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(background.process.pid, signal.SIGKILL)
            background.process.wait()

    def do(self, step: Step) -> None:
        """One step."""
        match step.kind:
            case "file":
                path = self.folder / step.name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(self.here(step.text), "utf-8")
            case "program":
                path = self.folder / f"_{step.place.rpartition(':')[2]}.py"
                path.write_text(self.here(step.text), "utf-8")
                self.run(step, f"python {path.name}")
            case "background":
                self.start(step)
            case _ if killed := _KILL.fullmatch(step.text):
                number = signal.Signals[f"SIG{killed[1] or 'TERM'}"] if not (killed[1] or "").isdigit() else signal.Signals(int(killed[1]))
                self.backgrounds[int(killed[2]) - 1].end(number)
            case _ if step.text.startswith(_SETTING):
                self.settings.append(self.here(step.text))
            case _ if not step.text.startswith("pip install"):
                self.run(step, self.here(step.text))

    def run(self, step: Step, command: str) -> None:
        """Run it to its end, again and again until it does what the page says."""
        until = time.monotonic() + AGAIN_S
        wanted = re.compile("\n".join(self.pattern(line) for line in step.shown)) if step.shown else None
        while True:
            done = subprocess.run(
                ["bash", "-c", "\n".join((*self.settings, command))],
                cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=60, check=False,
            )  # fmt: skip
            said = "\n".join(line.rstrip() for line in done.stdout.strip("\n").splitlines())
            if done.returncode == 0 and (wanted is None or wanted.fullmatch(said)):
                return
            if time.monotonic() > until:
                others = "".join(f"\n--- {other.step.name}:\n{other.said()}" for other in self.backgrounds)
                ended = f"exit code {done.returncode}\n{done.stderr}"
                raise AssertionError(_unlike(step, f"{said}\n{ended}{others}"))
            time.sleep(0.2)

    def start(self, step: Step) -> None:
        """Start it, and wait for the lines that the page shows."""
        output = self.folder.parent / f"{self.folder.name}-{len(self.backgrounds) + 1}.out"
        environment = dict(self.environment)
        if "callboard serve" in step.text:
            environment |= {"CALLBOARD_HTTP": f"127.0.0.1:{self.http_port}", "CALLBOARD_DNS": f"127.0.0.1:{self.dns_port}"}
        command = "\n".join((*self.settings, f"exec {self.here(step.text)}"))
        with output.open("wb") as file:
            process = subprocess.Popen(
                ["bash", "-c", command], cwd=self.folder, env=environment, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
            )
        started = Background(step, process, output)
        self.backgrounds.append(started)
        wanted = re.compile(r"[\s\S]*?".join(self.pattern(line) for line in step.shown))
        until = time.monotonic() + STARTED_S
        while not wanted.search(started.said()):
            ended = process.poll()
            if ended is not None or time.monotonic() > until:
                raise AssertionError(_unlike(step, f"{started.said()}\n{'it goes on' if ended is None else f'exit code {ended}'}"))
            time.sleep(0.02)

    def end(self) -> None:
        """End what runs in the background, the last one first."""
        for background in reversed(self.backgrounds):
            background.end()

    def here(self, text: str) -> str:
        """The text with the ports of this world."""
        usual = {"8500": self.http_port, "8600": self.dns_port}
        text = _REGISTRY.sub(lambda found: str(usual[found[1]]), text)
        return _PORT.sub(lambda found: str(self.ports[found[0]]), text)

    def prepare(self, steps: list[Step]) -> None:
        """A free port for each that the page names, in the same order: output may be sorted."""
        text = "\n".join(part for step in steps for part in (step.text, *step.shown))
        named = sorted(set(_PORT.findall(text)))
        free: set[int] = set()
        while len(free) < len(named):
            free.add(free_port())
        self.ports = dict(zip(named, sorted(free), strict=True))

    def pattern(self, line: str) -> str:
        """What a shown line stands for: `...` for anything, alone on a line for any number of lines."""
        if line.strip() == "...":
            return r"[\s\S]*?"
        return re.escape(self.here(line).rstrip()).replace(r"\.\.\.", ".*")


def _unlike(step: Step, said: str) -> str:
    shown = "\n".join(step.shown)
    return f"{step.place}: {step.name}\n--- the page says:\n{shown}\n--- it said:\n{said}"
