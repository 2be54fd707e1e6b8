"""`snapshot`: the whole catalog as one file, and the catalog made what such a file says, while the server serves.

What is heavy about a restore (unpacking, sums, judging every row) is done in a thread of its own; the catalog changes by one command, so
by one group: whole, at one revision, at every member. While the leader plans it and members fold it they do nothing else, so its rows
are limited. What is larger than that, or than one group, is for `callboard restore` with all servers stopped.
"""

import asyncio
import contextlib
import hashlib
import io
import logging
import tempfile
from collections.abc import AsyncGenerator, Callable
from functools import partial
from typing import IO, Final

import msgspec

from callboard import __version__
from callboard.core.catalog.commands import Restore
from callboard.core.catalog.queries import placed_in
from callboard.core.catalog.restoring import KEPT, load, pack
from callboard.frontend.consul.blocking import check_common, fields_now, options_of
from callboard.frontend.consul.door import DONE, Answering, Door
from callboard.frontend.consul.enterprise import check_headers
from callboard.frontend.consul.errors import ConsulError, bad_request, refusal_answer, text_answer
from callboard.frontend.consul.servers import servers
from callboard.frontend.consul.settings import ConsulSettings
from callboard.model.errors import CallboardError, StoreError
from callboard.model.members import LEVEL
from callboard.model.rows import Outcome, Refusal, Row
from callboard.net import threads
from callboard.net.http.message import Answer, Later, Reply, Request, Route, Stream
from callboard.registry.itself import CHECK, SERVICE
from callboard.wire import backup
from callboard.wire import consul_archive as archive
from callboard.wire.consul_proxy import for_agent

RELAYED_MAX_BYTES: Final = 7 * 1024 * 1024
"""Of a packed restore that enters a member which does not lead: that is what members tell each other at once."""
_SPOOL_BYTES: Final = 8 * 1024 * 1024
"""What is made is held in memory up to here, then on the disk."""
_PART_BYTES: Final = 256 * 1024
_CONSULS: Final = b"\0"
"""What state.bin of Consul 1.22 begins with: the kind of its first message. Ours is text."""
_PATH: Final = "/v1/snapshot"
_log = logging.getLogger(__name__)


class _TooManyRowsError(CallboardError):
    """A snapshot that would keep everybody waiting for too long."""

    code = "too_large"


class _Judging:
    """An answer that is worked for from when somebody waits for it."""

    __slots__ = ("_begin",)

    def __init__(self, begin: Callable[[Callable[[Answer], None]], None]) -> None:
        self._begin = begin

    def then(self, callback: Callable[[Answer], None]) -> None:
        """Begin, and call back once with the answer."""
        self._begin(callback)


class Snapshots:
    """Handlers of `snapshot`."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._now_count = 0

    def routes(self) -> tuple[Route, ...]:
        """This subject's part of the table."""
        return (
            Route("GET", _PATH, self.save, quick=False),
            Route("PUT", _PATH, self.restore, quick=False, body_max_bytes=self._door.settings.snapshot_max_bytes),
        )

    def _require_room(self) -> None:
        limit = self._door.settings.snapshots_max_count
        if self._now_count >= limit:
            raise ConsulError(429, f"{limit} snapshots are being made or restored (snapshots_max_count); try again later")

    # -- saving

    def save(self, request: Request) -> Reply:
        """All of it, as of now or a moment later."""
        options = options_of(self._door, request.query)
        check_headers(request.headers)
        self._require_room()
        headers = (*fields_now(options, self._door.registry.revision), (b"cache-control", b"no-store"))
        return Stream(self._parts(), archive.CONTENT_TYPE, headers)

    async def _parts(self) -> AsyncGenerator[bytes, None]:
        """One that fails on the way ends too early, so that nobody takes it for a whole one."""
        self._now_count += 1
        try:
            with tempfile.SpooledTemporaryFile(max_size=_SPOOL_BYTES) as spool:
                meta, sha256 = await self._spool(spool)
                packer, time_s = archive.packer(), self._door.registry.clock.wall() // 1_000
                encoded = msgspec.json.encode(meta)
                yield packer.compress(archive.whole(archive.META, encoded, time_s) + archive.head(archive.STATE, meta.size, time_s))
                spool.seek(0)
                while part := spool.read(_PART_BYTES):
                    yield packer.compress(part)
                    await asyncio.sleep(0)
                last = archive.tail(meta.size) + archive.whole(archive.SUMS, archive.sums(encoded, sha256), time_s) + archive.END
                yield packer.compress(last) + packer.flush()
        except (StoreError, OSError) as error:
            _log.warning("a snapshot was broken off: %s", error)
        finally:
            self._now_count -= 1

    async def _spool(self, spool: IO[bytes]) -> tuple[archive.Meta, str]:
        registry, hashed, writer = self._door.registry, hashlib.sha256(), backup.Writer()

        def write(lines: bytes) -> None:
            spool.write(lines)
            hashed.update(lines)

        snapshot, epoch = await registry.load(), registry.view.epoch
        write(writer.header(backup.Header(
            program=__version__, store=epoch.store, datacenter=registry.settings.datacenter, revision=snapshot.position.revision,
            level=epoch.level, time=registry.clock.wall(),
        )))  # fmt: skip
        async for batch in snapshot.batches:
            write(writer.rows(batch))
            await asyncio.sleep(0)
        write(writer.trailer())
        revision, term = snapshot.position.revision, registry.view.term.number
        peers: list[dict[str, str | int]] = [{"Suffrage": 0, "ID": server.id, "Address": server.address} for server in servers(self._door)]
        meta = archive.Meta(
            id=f"{term}-{revision}-{registry.clock.wall()}", index=revision, term=term, configuration={"Servers": peers}, size=spool.tell(),
            callboard=__version__,
        )  # fmt: skip
        return meta, hashed.hexdigest()

    # -- restoring

    def restore(self, request: Request) -> Reply:
        """Judge all of it first; then replace the catalog."""
        door = self._door
        check_common(request.query, door.registry.settings.datacenter)
        check_headers(request.headers)
        if not request.body:
            raise bad_request("snapshot: the body is empty")
        self._require_room()
        return Later(_Judging(partial(self._judge, request.body)))

    def _judge(self, packed: bytes, tell: Callable[[Answer], None]) -> None:
        """In a thread; what it finds is acted upon on the loop."""
        self._now_count += 1
        loop = asyncio.get_running_loop()
        work = partial(_judged, packed, self._door.settings)

        def run() -> None:
            try:
                found: bytes | CallboardError = work()
            except CallboardError as error:
                found = error
            except Exception as error:  # noqa: BLE001  # whatever it is, somebody waits for an answer
                _log.exception("judging a snapshot failed")
                found = CallboardError(f"the snapshot could not be judged ({type(error).__name__}); the log says how")
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile, and everybody who waited with it
                loop.call_soon_threadsafe(self._replace, found, tell)

        threads.start(run, name="snapshot")

    def _replace(self, found: bytes | CallboardError, tell: Callable[[Answer], None]) -> None:
        registry = self._door.registry
        self._now_count -= 1
        if isinstance(found, CallboardError):
            status = 413 if isinstance(found, _TooManyRowsError) else 400
            return tell(text_answer(status, f"failed to restore snapshot: {found}"))
        if not registry.leading and len(found) > RELAYED_MAX_BYTES:
            text = f"this member does not lead, and a snapshot of this size is taken by the leader only: {_leader(self._door)}"
            return tell(text_answer(413, text))
        _log.warning("the catalog is being replaced by a snapshot (%d bytes packed)", len(found))
        submission = registry.submit(Restore(found, self._door.home, SERVICE, CHECK))
        return Answering(submission, _restored).then(tell)


def _leader(door: Door) -> str:
    return next((server.card.url or server.name for server in servers(door) if server.leader), "none is known now")


def _restored(outcome: Outcome) -> Answer:
    if outcome.refusal is None:
        return DONE
    refusal = outcome.refusal
    if refusal.reason == "too_large":
        detail = f"{refusal.detail}; restore it with all servers stopped (callboard restore), or raise the store's limits ([tune.*])"
        refusal = Refusal("too_large", refusal.subject, detail)
    return refusal_answer(refusal)


def _judged(packed: bytes, settings: ConsulSettings) -> bytes:
    """The rows of a snapshot as a command carries them. In a thread. Raises `CallboardError` for what cannot be restored."""
    reader, rows = backup.Reader(), list[Row]()
    state = archive.state_of(packed, settings.snapshot_unpacked_max_bytes)
    if state[:1].tobytes() == _CONSULS:
        raise archive.ArchiveError("this is a snapshot of Consul, which cannot be restored here; docs/from-consul.md: how to move over")
    for line in io.BytesIO(state):
        row = reader.take(line)
        if row is not None and row.key[:2] in KEPT:
            rows.append(row)
            if len(rows) > settings.snapshot_rows_max_count:
                raise _TooManyRowsError(
                    f"it has more than {settings.snapshot_rows_max_count} rows (snapshot_rows_max_count), and everything waits while they"
                    " are restored; restore it with all servers stopped (callboard restore)"
                )  # fmt: skip
    header = reader.finish()
    if header.level > LEVEL:
        raise archive.ArchiveError(f"it is of level {header.level}, this program knows up to {LEVEL}; use the newer Callboard that made it")
    try:
        view = load(rows)
        for namespace in view.spaces:
            for proxy in {placed.instance.proxy for placed in placed_in(view, namespace)}:
                for_agent(proxy)  # it is put into answers as it is
    except (ValueError, RecursionError, msgspec.MsgspecError, CallboardError) as error:
        raise archive.ArchiveError(str(error)) from None
    return pack(rows)
