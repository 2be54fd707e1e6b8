"""The engine as the process has it that holds it: what is kept for the workers has a limit."""

from callboard.model.rows import Group, Key, Position, Revision, Row
from callboard.store.memory.engine import MemoryEngine
from callboard.store.memory.store import MemoryStore
from callboard.store.unix.holding import HeldStore
from callboard.store.unix.settings import UnixSettings
from tests.support import run


def group(number: int, size_bytes: int) -> Group:
    """One row."""
    key, revision = Key("k"), Revision(number)
    return Group(
        Position(Revision(number - 1), b"%d" % (number - 1)),
        revision,
        revision,
        b"%d" % number,
        {key: Row(key, bytes(size_bytes), revision)},
    )


def test_groups_kept_as_bytes_take_no_more_than_their_limit() -> None:
    async def test() -> None:
        held = HeldStore(MemoryStore(MemoryEngine()), UnixSettings(groups_encoded_max_bytes=1_000))
        first, second, third, huge = group(1, 300), group(2, 300), group(3, 600), group(4, 5_000)
        once = held.encoded(first)
        assert held.encoded(first) is once
        again = held.encoded(second)
        assert held.encoded(first) is once
        held.encoded(third)
        assert held.encoded(second) is again, "there was room for it"
        assert held.encoded(first) is not once, "more is kept than the limit allows"
        assert held.encoded(huge) is held.encoded(huge), "each worker has the newest group put together anew"

    run(test())
