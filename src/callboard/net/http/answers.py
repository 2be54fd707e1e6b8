"""Answers that are encoded once: complete response bytes, shared by everybody who asks the same, until one of their topics changes.

An answer is kept under its read's key from its first rendering until the bytes of all answers pass the limit; it then goes, oldest first,
unless somebody waits for it. A change only marks it stale: it is rendered again when somebody asks, or at once when somebody waits.
A body that did not change keeps its bytes and its index, so nobody is woken for nothing.
"""

from collections.abc import Callable, Collection
from functools import partial
from typing import Final, Protocol

from callboard.core.watches import Watches
from callboard.model.rows import ZERO
from callboard.model.topics import Topic
from callboard.net.http import coding
from callboard.net.http.blocks import Sights
from callboard.net.http.coding import Dates
from callboard.net.http.handling import failed
from callboard.net.http.message import Answer, Content, Errors, Fields, Read
from callboard.net.http.packing import OnPacked, Packing
from callboard.net.http.settings import HttpSettings, HttpStats

_OVERHEAD_BYTES: Final = 1_024
"""What an answer takes beside its bytes: key, topics, renderer, lines."""
_END_OF_HEAD: Final = b"\r\n\r\n"
_EVICTIONS_MAX_COUNT: Final = 64
"""Answers looked at when room is wanted, so that one request never pays for many."""

Pack = Callable[[Answer, memoryview, OnPacked], Packing]


class Waiter(Protocol):
    """Somebody who waits for a newer answer: a connection at the quick door, or a request on the long way."""

    kept: "Kept | None"
    """What it waits for; None when it waits for nothing."""
    after: int
    """The index it has seen."""

    def answered(self, kept: "Kept") -> None:
        """The wait is over, `kept` is the answer."""
        ...


class Kept:
    """One distinct answer and who waits for a newer one.

    `plain` and `gzip` are complete responses, right while `stamp` is the present date. `index` is that of the body; `newest` the topic
    index when it was last rendered, which is higher when the body did not change. Everybody in `waiters` has seen at least `told`.
    """

    __slots__ = (
        "_bare", "_head_bytes", "_standing", "errors",
        "failed", "fresh", "gzip", "index", "index_field", "key", "live", "newest", "packing", "paused", "plain",
        "quiet_until", "render", "stamp", "standing", "told", "topics", "waiters", "wants_gzip",
    )  # fmt: skip

    def __init__(self, read: Read, errors: Errors) -> None:
        self.key = read.key
        self.topics = read.topics
        self.render: Callable[[], Content] = read.render
        self.index_field = read.index_field
        self.errors = errors
        self.index = self.newest = self.told = ZERO
        self.plain = b""
        self.gzip: bytes | None = None
        self.packing: Packing | None = None
        """Of its present body, while that is under way."""
        self.wants_gzip = False
        """Somebody has wanted it compressed."""
        self.stamp: bytes | None = None
        self.fresh = False
        """Rendered since the last change."""
        self.failed = False
        """The last rendering raised, and the answer tells so."""
        self.live = False
        """Held by the cache, so that changes reach it."""
        self.waiters: set[Waiter] = set()
        self.quiet_until = 0
        self.paused = False
        """A wake-up is due when `quiet_until` has passed."""
        self.standing: Callable[[], Fields] | None = read.standing
        self._standing: Fields = ()
        """What it told when the answer was last dated."""
        self._bare: Answer | None = None
        self._head_bytes = 0

    @property
    def weight(self) -> int:
        """Bytes it takes."""
        second = 0 if self.gzip is None or self.gzip is self.plain else len(self.gzip)
        return len(self.plain) + second + len(self.key) + _OVERHEAD_BYTES

    def shown(self) -> Answer:
        """The answer as it is sent, but for its body."""
        bare = self._bare
        assert bare is not None, "refreshed before"
        if self.failed:
            return bare
        index: Fields = ((self.index_field, b"%d" % self.index),) if self.index_field else ()
        return Answer(bare.status, b"", bare.content_type, (*bare.headers, *index, *self._standing))

    def body(self) -> memoryview:
        """The body, not compressed."""
        return memoryview(self.plain)[self._head_bytes :]

    def take(self, content: Content, dates: Dates) -> None:
        """What was rendered. Raises `ValueError` for a malformed header field."""
        answer, index = content.answer, content.index
        body = coding.sendable(answer)
        bare = Answer(answer.status, b"", answer.content_type, answer.headers)
        self.newest = index
        if bare != self._bare or len(self.plain) != self._head_bytes + len(body) or not self.plain.endswith(body):
            self._bare, self.index, self.packing = bare, index, None
            self._stand()
            self._put_head(dates, body)

    def _stand(self) -> bool:
        """Look how the server stands now; answers whether that is another thing to tell."""
        before, self._standing = self._standing, self.standing() if self.standing is not None else ()
        return self._standing != before

    def _put_head(self, dates: Dates, body: bytes | memoryview) -> None:
        shown = self.shown()
        head = dates.prefix(shown.status) + coding.head(shown, len(body))
        self.plain, self.gzip, self.stamp, self._head_bytes = b"".join((head, body)), None, dates.now, len(head)

    def compress(self, dates: Dates, min_bytes: int) -> bytes:
        """Make the other coding; the same bytes when it is not worth it."""
        shown, body = self.shown(), self.body()
        if coding.compressible(shown, len(body), min_bytes):
            return self.take_packed(dates, coding.gzip(body))
        self.gzip = self.plain
        return self.gzip

    def take_packed(self, dates: Dates, packed: bytes | memoryview) -> bytes:
        """The present body was compressed."""
        shown = self.shown()
        self.gzip = dates.prefix(shown.status) + coding.head(shown, len(packed), gzipped=True) + packed
        return self.gzip

    def restamp(self, dates: Dates) -> None:
        """Put the present date, and how the server stands."""
        if self._stand():
            plain, coded = self.plain, self.gzip
            self._put_head(dates, self.body())
            if coded is not None and coded is not plain:  # the same body has another head
                self.take_packed(dates, memoryview(coded)[coded.index(_END_OF_HEAD) + len(_END_OF_HEAD) :])
        else:
            prefix = dates.prefix(self.shown().status)
            second = self.gzip is not None and self.gzip is not self.plain
            self.plain = prefix + self.plain[len(prefix) :]
            if self.gzip is not None:
                self.gzip = prefix + self.gzip[len(prefix) :] if second else self.plain
            self.stamp = dates.now


class Answers:
    """The kept answers, by key and by the request lines that lead to them."""

    def __init__(self, settings: HttpSettings, stats: HttpStats, dates: Dates, pack: Pack) -> None:
        """`pack` begins to compress what is large."""
        self._pack = pack
        self.lines: dict[bytes, Kept] = {}
        self._by_key: dict[str, Kept] = {}
        self._watches: Watches[Kept] = Watches()
        self.sights = Sights()
        """Request lines that were seen before."""
        self._bytes = 0
        self._settings = settings
        self._stats = stats
        self._dates = dates

    def get(self, read: Read, errors: Errors) -> Kept:
        """The answer to a read, rendered; kept unless it failed or there is no room."""
        kept = self._by_key.get(read.key)
        if kept is None:
            kept = Kept(read, errors)
            self.refresh(kept)
            if not kept.failed:
                self._admit(kept)
        else:
            self.refresh(kept)
        return kept

    def find(self, read: Read) -> Kept | None:
        """The answer to a read if it is kept, as it is, perhaps stale."""
        return self._by_key.get(read.key)

    def refresh(self, kept: Kept) -> None:
        """Render what is stale. When that fails the answer tells the failure, and is not kept."""
        if kept.fresh:
            return
        before = kept.weight
        self._stats.renders += 1
        try:
            kept.take(kept.render(), self._dates)
        except Exception as error:  # noqa: BLE001  # a renderer's error is this request's, not the server's
            self._drop(kept)
            kept.failed = True
            kept.take(Content(failed(kept.errors, error, self._stats, f"rendering {kept.key}"), kept.newest), self._dates)
        else:
            self._account(kept, kept.weight - before)
        kept.fresh = True

    def wire(self, kept: Kept, *, gzip: bool) -> bytes:
        """The complete response, rendered, coded and dated as of now. One that is `packing` is compressed here all the same."""
        self.refresh(kept)
        if kept.stamp is not self._dates.now:
            before = kept.weight
            kept.restamp(self._dates)
            self._account(kept, kept.weight - before)
        if not gzip:
            return kept.plain
        if kept.gzip is not None:
            return kept.gzip
        before = kept.weight
        wire = kept.compress(self._dates, self._settings.gzip_min_bytes)
        self._account(kept, kept.weight - before)
        return wire

    def packing(self, kept: Kept) -> Packing | None:
        """What comes to the compressed answer, rendered as of now, where that takes long; None when `wire` can give it at once."""
        self.refresh(kept)
        kept.wants_gzip = True
        if kept.gzip is not None or len(kept.plain) < self._settings.gzip_beside_min_bytes:
            return None
        if kept.packing is None:
            shown, body = kept.shown(), kept.body()
            if not coding.compressible(shown, len(body), self._settings.gzip_beside_min_bytes):
                return None
            kept.packing = self._pack(shown, body, partial(self._packed, kept))
        return kept.packing

    def _packed(self, kept: Kept, packing: Packing, packed: bytes | Exception) -> None:
        if kept.packing is not packing:
            return  # it has another body by now
        kept.packing = None
        if isinstance(packed, bytes):
            before = kept.weight
            kept.take_packed(self._dates, packed)
            self._account(kept, kept.weight - before)

    def changed(self, topics: Collection[Topic]) -> list[Kept]:
        """Mark what depends on these topics as stale; answers those that somebody waits for."""
        waited = []
        for kept in self._watches.touched(topics):
            kept.fresh = False
            kept.stamp = None
            if kept.waiters:
                waited.append(kept)
        return waited

    def waited(self) -> list[Kept]:
        """Every answer that somebody waits for."""
        return [kept for kept in self._by_key.values() if kept.waiters]

    def remember(self, line: bytes, kept: Kept) -> None:
        """From the second sight on, `line` leads to this answer without asking a handler."""
        if kept.live and len(line) <= self._settings.line_max_bytes and self.sights.again(line):
            if len(self.lines) >= self._settings.lines_max_count:
                self.lines.clear()
            self.lines[line] = kept

    def _admit(self, kept: Kept) -> None:
        self._evict(kept.weight)
        if self._bytes + kept.weight <= self._settings.answers_max_bytes:
            kept.live = True
            self._by_key[kept.key] = kept
            self._watches.subscribe(kept, kept.topics)
            self._account(kept, kept.weight)

    def _evict(self, wanted: int) -> None:
        for _ in range(min(_EVICTIONS_MAX_COUNT, len(self._by_key))):
            if self._bytes + wanted <= self._settings.answers_max_bytes:
                return
            key = next(iter(self._by_key))
            oldest = self._by_key[key]
            if oldest.waiters:
                self._by_key[key] = self._by_key.pop(key)
            else:
                self._drop(oldest)

    def _drop(self, kept: Kept) -> None:
        """Lines may still lead here, and some may still be on their way to be answered: it can be rendered again."""
        if kept.live:
            del self._by_key[kept.key]
            self._watches.unsubscribe(kept, kept.topics)
            self._account(kept, -kept.weight)
            kept.live = kept.fresh = False
            kept.plain, kept.gzip, kept.stamp, kept.packing = b"", None, None, None

    def _account(self, kept: Kept, weight: int) -> None:
        if kept.live:
            self._bytes += weight
            self._stats.answers_bytes = self._bytes
            self._stats.answers_now = len(self._by_key)
