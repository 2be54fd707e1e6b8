"""One instance of the service under test, a process of its own: a small asyncio HTTP server that signs in with `callboard.aio`.

It prints one line of JSON when it is signed in. SIGTERM drains it. `GET /block/S` blocks its event loop for S seconds, as a bug would.
"""

import asyncio
import json
import random
import signal
import sys
import time

import msgspec

import callboard.aio
from callboard.client.aio.registered import Registered
from callboard.client.board_settings import BoardSettings

WORK_S = 0.002
LONG_OF_TIMEOUT = 0.1
LONG_SHARE = 0.005
"""So many of its answers take long: at a drain, there is work under way."""


async def main(settings: BoardSettings, service: str, seed: int) -> None:
    chance = random.Random(seed)
    held: list[Registered] = []
    open_ones: set[asyncio.StreamWriter] = set()
    nobody = asyncio.Event()
    long_work_s = settings.call_timeout_ms / 1000 * LONG_OF_TIMEOUT

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_ones.add(writer)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                path = head.split(b" ", 2)[1]
                with held[0].working():
                    if path.startswith(b"/block/"):
                        time.sleep(float(path.rpartition(b"/")[2]))  # noqa: ASYNC251  # this is the fault
                    else:
                        await asyncio.sleep(long_work_s if chance.random() < LONG_SHARE else WORK_S)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                await writer.drain()
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            writer.close()
            open_ones.discard(writer)
            nobody.set()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    leaving = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, leaving.set)
    async with callboard.aio.connect(settings=settings) as board, board.register(service, port=port) as registered:
        held.append(registered)
        await registered.wait(60)
        sys.stdout.write(json.dumps({"id": registered.id, "port": port}) + "\n")
        sys.stdout.flush()
        await leaving.wait()
        await registered.drain()
    # Drained: whatever is still connected has nothing under way.
    server.close()
    while open_ones:
        for writer in open_ones:
            writer.close()
        nobody.clear()
        await nobody.wait()


if __name__ == "__main__":
    asyncio.run(main(msgspec.json.decode(sys.argv[1], type=BoardSettings), sys.argv[2], int(sys.argv[3])))
