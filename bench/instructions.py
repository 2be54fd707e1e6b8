"""`python -m bench.instructions [NAME...] [--write] [-o json]`: count the instructions of fixed work, and judge them.

A guard against slowness that no clock can deceive: callgrind runs the program on a CPU of its own making and counts what it executes,
so neither neighbours nor the machine's speed matter, and two runs differ by less than one per cent. It shows every CPU with AVX2 to the
program as the same one (and those without it as another), hence libraries choose the same variants of their functions on all of them.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zlib
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Final

import msgspec

from bench.instructions_judge import Taken, conclusions, judge, table
from bench.instructions_work import WHAT
from bench.lab import machine

ROOT: Final = Path(__file__).resolve().parents[1]
EXPECTED: Final = ROOT / "bench" / "results" / "instructions.json"
TIME_MAX_S: Final = 900
_LIBRARIES: Final = ("httptools", "msgspec", "starlette", "uvicorn", "uvloop")
_BUILT_WITH: Final = ("--enable-optimizations", "--with-lto", "--enable-shared", "--with-pydebug")


class CannotCountError(Exception):
    """There is no callgrind here, or what it ran has failed."""


def conditions() -> dict[str, str]:
    """What the number of instructions depends on, beside our own code."""
    built_with = [flag for flag in _BUILT_WITH if flag in (sysconfig.get_config_var("CONFIG_ARGS") or "")]
    libc, libc_version = platform.libc_ver()
    cpu = Path("/proc/cpuinfo")
    flags = cpu.read_text(encoding="utf-8").split() if cpu.exists() else []
    return {
        "python": " ".join([platform.python_implementation(), platform.python_version(), platform.python_compiler(), *built_with]),
        "machine": f"{platform.machine()} with{'' if 'avx2' in flags else 'out'} AVX2",
        "libc": f"{libc} {libc_version}",
        "zlib": zlib.ZLIB_RUNTIME_VERSION,
        "valgrind": _valgrind("--version").removeprefix("valgrind-"),
        **{name: version(name) for name in _LIBRARIES},
    }


def _valgrind(*words: str) -> str:
    program = shutil.which("valgrind")
    if program is None:
        raise CannotCountError("valgrind is missing: tools/install-valgrind installs it (Debian, Ubuntu: apt-get install valgrind)")
    return subprocess.run([program, *words], capture_output=True, text=True, check=True).stdout.strip()


def count(words: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None) -> dict[str, list[float]]:
    """Run a Python program as `bench.instructions_work` is: instructions per piece of work, for each slice it tells of.

    Raises `CannotCountError`.
    """
    out = folder / "callgrind"
    callgrind = ["valgrind", "--tool=callgrind", "--dump-before=getppid", f"--callgrind-out-file={out}"]
    fixed = {"PYTHONHASHSEED": "0", "PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8"}
    try:
        done = subprocess.run(
            [*callgrind, sys.executable, *words],
            capture_output=True, text=True, check=False, cwd=ROOT, env={**fixed, **(environment or {})}, timeout=TIME_MAX_S,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise CannotCountError(f"the work was not done within {TIME_MAX_S} s") from None
    if done.returncode:
        raise CannotCountError(f"the work failed with {done.returncode}:\n{done.stderr[-4000:]}")
    counted: dict[str, list[float]] = {}
    for line in done.stdout.splitlines():
        told = json.loads(line)
        counted.setdefault(told["work"], []).append(_total(Path(f"{out}.{told['part']}")) / told["count"])
    return counted


def _total(part: Path) -> int:
    """All instructions of one part that callgrind wrote down."""
    with part.open(encoding="utf-8") as lines:
        for line in lines:
            if line.startswith("totals: "):
                return int(line.split()[1])
    raise CannotCountError(f"{part} has no total")


def take(names: Sequence[str], keep: Path | None = None) -> Taken:
    """Count them all, or only those named. Raises `CannotCountError`."""
    here, commit = conditions(), machine()
    with tempfile.TemporaryDirectory(prefix="callboard-instructions-") as directory:
        folder = keep or Path(directory)
        folder.mkdir(parents=True, exist_ok=True)
        counted = count(["-m", "bench.instructions_work", *names], folder)
    least = {name: round(min(slices)) for name, slices in counted.items()}
    return Taken(here, least, commit["commit"] + (" and changes" if commit["dirty"] else ""))


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.instructions", description="Instructions of fixed work, against those expected.")
    parser.add_argument("names", nargs="*", choices=[*WHAT, []], help="kinds of work (default: all)")
    parser.add_argument("--write", action="store_true", help="what is counted now is what is expected from now on")
    parser.add_argument("-o", "--output", choices=["table", "json"], default="table")
    parser.add_argument("--expected", type=Path, default=EXPECTED, help="file with the expected figures")
    parser.add_argument("--keep", type=Path, help="folder for what callgrind writes (callgrind_annotate reads it)")
    arguments = parser.parse_args()
    file: Path = arguments.expected
    if not file.exists() and not arguments.write:
        sys.stderr.write(f"guard: there are no expected figures in {file}; take them: make guard ARGS=--write\n")
        return 1
    try:
        found = take(arguments.names, arguments.keep)
    except CannotCountError as error:
        sys.stderr.write(f"guard: {error}\n")
        return 1
    expected = msgspec.json.decode(file.read_bytes(), type=Taken) if file.exists() else found
    judgement = judge(expected, found, arguments.names)
    if not arguments.write and (slower := [verdict.name for verdict in judgement.failed if verdict.state == "slower"]):
        found = _least(
            found, take(slower, arguments.keep)
        )  # on a machine without any rest, what is done once a second falls into all slices
        judgement = judge(expected, found, arguments.names)
    if arguments.output == "json":
        verdicts = [{**verdict._asdict(), "change_percent": verdict.change_percent} for verdict in judgement.verdicts]
        document = {**msgspec.to_builtins(found), "verdicts": verdicts, "conclusions": conclusions(judgement)}
        print(json.dumps(document, indent=1))
    else:
        print(table(judgement, WHAT))
    if arguments.write:
        _write(file, found, expected, arguments.names)
        return 0
    return 1 if judgement.failed else 0


def _least(once: Taken, again: Taken) -> Taken:
    """Of what was counted twice the lower figure."""
    lower = {name: min(figure, once.instructions[name]) for name, figure in again.instructions.items()}
    return msgspec.structs.replace(once, instructions={**once.instructions, **lower})


def _write(file: Path, found: Taken, before: Taken, names: Sequence[str]) -> None:
    """Keep what was not counted now, where it was taken under the same conditions."""
    kept = before.instructions if names and before.conditions == found.conditions else {}
    whole = msgspec.structs.replace(found, instructions={**kept, **found.instructions})
    file.write_bytes(msgspec.json.format(msgspec.json.encode(whole), indent=1) + b"\n")
    sys.stderr.write(f"written to {file}\n")


if __name__ == "__main__":
    raise SystemExit(main())
