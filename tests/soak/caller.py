"""The caller under test, a process of its own: so many calls a second through httpx and `svc://`, whatever happens.

Calls begin when they are due, whether those before have ended or not. Everything is told on stdout, a line of JSON each, with the time of
the clock that all processes of a machine share: calls, retries, what is known of the service whenever that changes, and how old it is.
"""

import asyncio
import json
import signal
import sys
import threading
import time

import httpx
import msgspec

import callboard.aio
from callboard.client.aio.service import Service
from callboard.client.board_settings import BoardSettings
from callboard.client.events import AttemptEnded, Event, SnapshotChanged
from callboard.integrations.httpx import async_client

LOOK_EVERY_S = 0.1


_telling = threading.Lock()


def tell(kind: str, **values: object) -> None:
    line = json.dumps({"kind": kind, "at": time.monotonic(), **values}) + "\n"
    with _telling:
        sys.stdout.write(line)


async def call(http: httpx.AsyncClient, url: str) -> None:
    begin, failed = time.monotonic(), ""
    try:
        answer = await http.get(url)
        if answer.status_code != 200:
            failed = str(answer.status_code)
    except Exception as error:  # noqa: BLE001  # whatever a user would get
        failed = f"{type(error).__name__}: {error}"
    tell("call", begin=begin, seconds=time.monotonic() - begin, failed=failed)


async def look(service: Service) -> None:
    """How old the picture is, all the time: no event tells that nothing comes."""
    while True:
        tell("age", age_s=service.age_s, stale=service.stale)
        with _telling:
            sys.stdout.flush()
        await asyncio.sleep(LOOK_EVERY_S)


async def main(settings: BoardSettings, name: str, rate: float) -> None:
    leaving = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, leaving.set)
    async with callboard.aio.connect(settings=settings) as board, async_client(board, timeout=settings.call_timeout_ms / 1000) as http:
        service = board.service(name)

        def observe(event: Event) -> None:
            match event:
                case SnapshotChanged():
                    tell_known(service)
                case AttemptEnded(number=number, outcome=outcome) if number > 1:
                    tell("retry", outcome=outcome)

        board.observe(observe)
        await service.wait(30)
        tell_known(service)
        looking = asyncio.create_task(look(service))
        calls: set[asyncio.Task[None]] = set()
        due = time.monotonic()
        while not leaving.is_set():
            task = asyncio.create_task(call(http, f"svc://{name}/"))
            calls.add(task)
            task.add_done_callback(calls.discard)
            due += 1 / rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
        await asyncio.gather(*calls)
        looking.cancel()


def tell_known(service: Service) -> None:
    known = service.snapshot
    states = {state.id: f"{state.status.value}/{state.phase.value}" for state in known.instances}
    tell("known", held=known.held, stale=known.stale, instances=states)


if __name__ == "__main__":
    asyncio.run(main(msgspec.json.decode(sys.argv[1], type=BoardSettings), sys.argv[2], float(sys.argv[3])))
