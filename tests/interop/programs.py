"""Which programs of the system the tests of this folder run, and what they were seen to do.

A test named `test_PROGRAM_does_this` is a story of that program; those whose stories all held in a run that left none out are told of in
docs/compatibility.md, with their version.
"""

import re
import subprocess
from collections import defaultdict

import pytest

from tests.interop.environments import need
from tests.interop.exercised import keep_stories

PROGRAMS = {
    "dig": ("dig", "-v"),
    "kdig": ("kdig", "--version"),
    "unbound": ("unbound", "-V"),
    "dnsmasq": ("dnsmasq", "--version"),
    "haproxy": ("haproxy", "-v"),
    "dnsperf": ("dnsperf", "-h"),
    "prometheus": ("prometheus", "--version"),
    "promtool": ("promtool", "--version"),
    "victoria-metrics": ("victoria-metrics", "--version"),
}
"""How each tells its version."""
VERSION = re.compile(r"(?<![\d.])\d+\.\d+(?:\.\d+)?(?![\d.])")
"""Two or three numbers, so that an address is none."""


def version_of(program: str) -> str:
    """What it says of itself, else what the system's package says: Debian's VictoriaMetrics does not know its own."""
    command, argument = PROGRAMS[program]
    asked = ([need(command), argument], ["dpkg-query", "--show", "--showformat=${Version}", program])
    for words in asked:
        try:
            done = subprocess.run(words, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            continue
        if found := VERSION.search(done.stdout + done.stderr):
            return found[0]
    return "of the system"


class Witness:
    """Lives as long as a session of pytest."""

    def __init__(self) -> None:
        self.held: dict[str, dict[str, bool]] = defaultdict(dict)

    def saw(self, test: str, *, held: bool) -> None:
        """The end of a test; one with parameters ends several times."""
        words = test.removeprefix("test_").replace("_", "-") + "-"
        for program in PROGRAMS:
            if words.startswith(program + "-"):
                story = words.removeprefix(program + "-").rstrip("-").replace("-", " ")
                self.held[program][story] = held and self.held[program].get(story, True)

    def tell(self) -> None:
        """Write down whose stories all held."""
        for program, stories in self.held.items():
            if all(stories.values()):
                keep_stories(program, version_of(program), list(stories))


WITNESS = pytest.StashKey[Witness]()
