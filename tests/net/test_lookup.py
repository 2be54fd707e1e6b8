"""Names that nobody answers for: they must keep neither other names waiting, nor the process from ending."""

import asyncio
import errno
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from callboard.net.lookup import DialError, Lookups
from tests.support import run

SILENT = """
import asyncio, contextlib, time, uvloop
from callboard.net.lookup import DialError, Lookups
async def main():
    lookups = Lookups(64, lambda host: time.sleep(60))
    for number in range(8):
        with contextlib.suppress(DialError):
            await lookups.addresses(f"silent{number}", 0.01)
with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
    runner.run(main())
print("over")
"""


class Names:
    """A resolver that answers for `known` at once, and for all others when it is let go."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.go = threading.Event()

    def __call__(self, host: str) -> list[str]:
        self.asked.append(host)
        if host == "unknown":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        if host == "odd":
            raise UnicodeError("label too long")
        if host != "known":
            self.go.wait(100)
        return ["10.0.0.1"]


@pytest.fixture
def names() -> Iterator[Names]:
    made = Names()
    yield made
    made.go.set()


def test_a_silent_name_is_a_timeout_and_keeps_no_other_waiting(names: Names) -> None:
    async def play() -> None:
        lookups = Lookups(40, names)
        silent = [lookups.addresses(f"silent{number}", 0.05) for number in range(30)]
        problems = await asyncio.gather(*silent, return_exceptions=True)
        assert {type(problem) for problem in problems} == {DialError}
        assert str(problems[7]) == "dial tcp: lookup silent7: timeout"
        assert await lookups.addresses("known", 60) == ["10.0.0.1"]

    run(play())


def test_a_name_is_asked_for_once_at_a_time(names: Names) -> None:
    async def play() -> None:
        lookups = Lookups(2, names)
        for _ in range(5):
            with pytest.raises(DialError):
                await lookups.addresses("silent", 0.01)
        waiting = [asyncio.ensure_future(lookups.addresses("silent", 60)) for _ in range(5)]
        await asyncio.sleep(0)
        names.go.set()
        assert await asyncio.gather(*waiting) == [["10.0.0.1"]] * 5
        assert names.asked == ["silent"]

    run(play())


def test_a_name_there_was_no_room_to_ask_for_is_no_evidence(names: Names) -> None:
    async def play() -> None:
        lookups = Lookups(1, names)
        with pytest.raises(DialError):
            await lookups.addresses("silent", 0.01)
        with pytest.raises(OSError, match="too many names are being looked up to ask for known") as caught:
            await lookups.addresses("known", 0.01)
        assert caught.value.errno == errno.EAGAIN
        names.go.set()
        assert await lookups.addresses("known", 60) == ["10.0.0.1"]

    run(play())


@pytest.mark.parametrize(("host", "said"), [("unknown", "name or service not known"), ("odd", "no such host")])
def test_a_name_without_addresses_is_told_in_plain_words(names: Names, host: str, said: str) -> None:
    async def play() -> None:
        with pytest.raises(DialError, match=f"^dial tcp: lookup {host}: {said}$"):
            await Lookups(1, names).addresses(host, 60)

    run(play())


def test_loopback_needs_nobody_to_ask(names: Names) -> None:
    assert run(Lookups(1, names).addresses("localhost", 5)) == ["127.0.0.1", "::1"]
    assert names.asked == []


def test_silent_names_keep_no_process_from_ending() -> None:
    ended = subprocess.run([sys.executable, "-c", SILENT], capture_output=True, text=True, timeout=90, check=True)
    assert ended.stdout == "over\n"
