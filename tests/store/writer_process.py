"""A process for the crash tests: it opens the data directory and commits group after group, telling each acknowledged one on stdout.

Group n gives five keys the value n, so half a group would be seen; `hold` only opens, says so, and waits to be killed.
"""

import asyncio
import os
import sys
import time

from callboard.model.rows import Group, Key, Revision, Row
from callboard.model.time import Timestamp
from callboard.store.sqlite.settings import SqliteSettings
from callboard.store.sqlite.store import SqliteStore

KEYS = tuple(Key(f"k/{number}") for number in range(5))


def tell(line: str) -> None:
    os.write(1, f"{line}\n".encode())


async def main(directory: str, mode: str) -> None:
    store = SqliteStore(SqliteSettings(path=directory, wal_checkpoint_bytes=64 * 1024), lambda: Timestamp(time.time_ns() // 1_000_000))
    await store.open()
    position = await store.head()
    tell(f"open {position.revision}")
    if mode == "hold":
        await asyncio.Event().wait()
    leadership = await store.campaign("writer")
    while True:
        revision = Revision(position.revision + 1)
        rows = {key: Row(key, b"%d" % revision + b" " * 500, revision) for key in KEYS}
        position = await store.commit(Group(position, revision, revision, b"m%d" % revision, rows), leadership)
        tell(f"acknowledged {revision}")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
