"""The log as a feed: readers get what they asked for, stderr what was set, and the loggers are as before when nobody reads."""

import asyncio
import logging
from collections.abc import Iterator

import pytest

from callboard.frontend.base import LogEntry
from callboard.net import threads
from callboard.server import logs
from callboard.server.log_feed import LogFeed
from tests.support import run


class Reader:
    def __init__(self) -> None:
        self.entries: list[LogEntry] = []

    def take(self, entry: LogEntry) -> None:
        self.entries.append(entry)

    def messages(self) -> list[str]:
        return [entry.message for entry in self.entries if entry.logger == "callboard.test"]


@pytest.fixture
def _root() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level, uvicorn = root.handlers[:], root.level, logging.getLogger("uvicorn").level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.getLogger("uvicorn").setLevel(uvicorn)


log = logging.getLogger("callboard.test")


@pytest.mark.usefixtures("_root")
def test_a_reader_gets_more_than_stderr_is_sent(capsys: pytest.CaptureFixture[str]) -> None:
    async def scenario() -> None:
        logs.set_up("warning", "text")
        feed = LogFeed(asyncio.get_running_loop())
        low, high = Reader(), Reader()
        log.debug("nobody reads")
        ends = [feed.read(logging.DEBUG, low), feed.read(logging.ERROR, high)]
        log.debug("details")
        log.error("it burns")
        await asyncio.sleep(0.01)
        assert (low.messages(), high.messages()) == (["details", "it burns"], ["it burns"])
        ends[0]()
        log.debug("not any more")
        ends[1]()
        log.error("nor this")
        await asyncio.sleep(0.01)
        assert (low.messages(), high.messages()) == (["details", "it burns"], ["it burns"])
        assert logging.getLogger().level == logging.WARNING
        assert feed not in logging.getLogger().handlers

    run(scenario())
    err = capsys.readouterr().err
    assert "it burns" in err
    assert "details" not in err


@pytest.mark.usefixtures("_root")
def test_the_level_of_stderr_changes_while_somebody_reads(capsys: pytest.CaptureFixture[str]) -> None:
    async def scenario() -> None:
        logs.set_up("error", "json")
        reader = Reader()
        end = LogFeed(asyncio.get_running_loop()).read(logging.WARNING, reader)
        logs.set_level("debug")
        log.debug("now shown")
        logs.set_level("error")
        log.warning("only read")
        await asyncio.sleep(0.01)
        end()
        assert reader.messages() == ["only read"]

    run(scenario())
    assert '"now shown"' in (err := capsys.readouterr().err)
    assert "only read" not in err


@pytest.mark.usefixtures("_root")
def test_what_other_threads_log_is_told_on_the_loop_with_its_traceback() -> None:
    async def scenario() -> None:
        logs.set_up("critical", "text")
        reader = Reader()
        end = LogFeed(asyncio.get_running_loop()).read(logging.INFO, reader)

        def work() -> None:
            try:
                int("broken")
            except ValueError:
                log.exception("in a thread")

        thread = threads.start(work, name="logs")
        thread.join()
        await asyncio.sleep(0)  # what the thread has put there is the loop's next work
        await asyncio.sleep(0)
        end()
        assert reader.messages()[0].startswith("in a thread\nTraceback")

    run(scenario())


@pytest.mark.usefixtures("_root")
def test_what_is_logged_after_the_loop_goes_nowhere() -> None:
    async def scenario() -> None:
        logs.set_up("critical", "text")
        LogFeed(asyncio.get_running_loop()).read(logging.INFO, Reader())

    run(scenario())
    log.error("nobody is there")


@pytest.mark.usefixtures("_root")
def test_a_line_that_cannot_be_put_together_fails_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    async def scenario() -> None:
        logging.getLogger().handlers[:] = []
        reader = Reader()
        end = LogFeed(asyncio.get_running_loop()).read(logging.INFO, reader)
        log.error("%d of them", "some")
        log.error("after it")
        await asyncio.sleep(0.01)
        end()
        assert reader.messages() == ["after it"]

    run(scenario())
    assert "%d of them" in capsys.readouterr().err
