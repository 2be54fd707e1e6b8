"""What the SQLite store keeps in memory for those who follow: nothing, as long as nobody does."""

from collections.abc import AsyncGenerator
from pathlib import Path

from callboard.model.rows import ORIGIN
from callboard.testing.store_suite_kit import Scribe, next_of
from tests.store.test_sqlite_file import opened
from tests.support import PATIENCE_S, run


def test_groups_are_kept_in_memory_only_while_somebody_follows(tmp_path: Path) -> None:
    async def scenario() -> None:
        store = await opened(tmp_path)
        scribe = await Scribe.elect(store)
        for _ in range(2):
            await scribe.write_many(3)
            feed = store.follow(ORIGIN)
            reads = store.stats.changelog_reads
            assert [await next_of(feed, PATIENCE_S) for _ in scribe.groups] == scribe.groups
            assert store.stats.changelog_reads == reads + 1, "what nobody waited for is in the file"
            await scribe.write_many(3)
            assert [await next_of(feed, PATIENCE_S) for _ in range(3)] == scribe.groups[-3:]
            assert store.stats.changelog_reads == reads + 1, "what somebody waits for is in memory"
            assert isinstance(feed, AsyncGenerator)
            await feed.aclose()
        await store.close()

    run(scenario())
