"""The quick door: the protocol in front of uvicorn's. It answers what it can and hands every other byte on.

A request is cut into its line and its header block. A known block needs no parsing, a known line no handler; what the door cannot answer
goes to uvicorn's own protocol object, which is made for the first request that needs it and is fed from that request's first byte.
Bytes are only looked at between two messages, so nothing inside a body is ever taken for a request.
"""

from typing import Any, Final

from callboard.model.time import MILLISECOND, Instant
from callboard.net.http.answers import Kept
from callboard.net.http.behind import TOO_LATE
from callboard.net.http.blocks import VERSION, VERSION_BYTES, Blocks, Facts
from callboard.net.http.connection import ASKING, FULL, IDLE, LATER, LINGERING, PARKED, PARTIAL, SLOW, Connection
from callboard.net.http.handling import Replying, at_once, failed, too_late
from callboard.net.http.message import After, Errors, Later, Reply
from callboard.net.http.quick import WAIT, Asker, Quick

_STARTS: Final = frozenset(verb[:length] for verb in (b"GET ", b"PUT ", b"POST", b"DELE") for length in (1, 2, 3, 4))

_LINE_FEED: Final = 0x0A


class Door(Connection):
    """One connection."""

    __slots__ = ("_errors", "_facts", "_need", "_quick", "_reply", "_strange", "_waited", "asker")

    def __init__(self, quick: Quick, blocks: Blocks | None = None) -> None:
        super().__init__(quick.hub, blocks or quick.hub.blocks)
        self._quick = quick
        self._need = 0
        """How long `_rest` must be before it is worth another look; 0 when that is not known."""
        self._facts: Facts | None = None
        """Of the request that is under way."""
        self._errors: Errors | None = None
        self._reply: Reply | None = None
        """What became known while it was asked for."""
        self._waited: Later | After[Any] | None = None
        self._strange = False
        """Its last block was not known; whoever sends another one each time sends the next one too."""
        self.asker: Asker | None = None

    # -- what arrives

    def data_received(self, data: bytes) -> None:
        """Bytes from the client."""
        state = self._state
        if state == IDLE:
            if self._strange or data[-1] != _LINE_FEED or len(data) > self._hub.alone_max_bytes:
                self._consume(data)
            else:
                self._alone(data)
        elif state == SLOW:
            if self._behind is not None:
                self._behind.data_received(data)
        elif state == PARTIAL:
            self._continue(self._rest + data)
        elif state < SLOW:
            self._rest += data
            if len(self._rest) > self._hub.settings.stash_max_bytes:
                self._choked = True
                self.transport.pause_reading()

    def _alone(self, data: bytes) -> None:
        """Answer `data`, which as a rule is one request without a body, whose block is known. What is written here is what a hot request
        costs: `_consume` finds out the same of all there are, with more steps.
        """
        line, _, fields = data.partition(VERSION)
        facts = self._blocks.known.get(fields)
        if facts is None or facts.length:
            self._consume(data)
            return
        hub = self._hub
        self._active = True
        if (
            (kept := hub.answers.lines.get(line)) is not None
            and kept.stamp is hub.dates.now
            and (wire := kept.gzip if facts.gzip else kept.plain)
        ):
            hub.stats.hits += 1
        elif not (wire := self._quick.answer(self, line, facts, b"")):
            if wire is None:
                self._slow(data)
            return
        if facts.close:
            self._last(wire)
        else:
            self.transport.write(wire)

    def _consume(self, data: bytes) -> None:
        """Answer the requests in `data`, which begins with one."""
        hub = self._hub
        known, lines, dates = self._blocks.known, hub.answers.lines, hub.dates
        self._active = True
        at, size = 0, len(data)
        while at < size:
            end = data.find(b"\r\n\r\n", at) + 4
            if end == 3:
                self._partial_head(data[at:])
                return
            cut = data.find(b"\r\n", at, end) - 9  # the block begins with " HTTP/1.1", or it is not one
            facts = known.get(data[cut + VERSION_BYTES : end]) if data.startswith(VERSION, cut) else None
            self._strange = facts is None
            if (
                facts is not None
                and not facts.length
                and (kept := lines.get(data[at:cut])) is not None
                and kept.stamp is dates.now
                and (wire := kept.gzip if facts.gzip else kept.plain)
            ):
                hub.stats.hits += 1
                at = end
                if facts.close:
                    self._last(wire)
                    return
                self.transport.write(wire)
            elif (at := self._ask(data, at, cut, end, facts)) < 0:
                return
            if self._state != IDLE or at > hub.settings.turn_max_bytes:
                break
        if at < size:
            self._put_off(data[at:])

    def _ask(self, data: bytes, at: int, cut: int, end: int, facts: Facts | None) -> int:
        """Answer the request at `at`, which is no hot one. Answers where the next begins; -1 when nothing more is to be looked at now."""
        if facts is None or facts.length or end - at > self._hub.settings.head_max_bytes:
            facts = self._judge(data, at, cut, end, facts)
            if facts is None or (facts.length and not self._body_is_there(data, at, end, facts)):
                return -1
        at_next = end + facts.length
        wire = self._quick.answer(self, data[at:cut], facts, data[end:at_next])
        if wire is None:
            return self._slow(data[at:])
        if wire == WAIT:
            self._rest = data[at_next:]
            return -1
        if facts.close:
            return self._last(wire)
        self.transport.write(wire)
        return at_next

    def _judge(self, data: bytes, at: int, cut: int, end: int, facts: Facts | None) -> Facts | None:
        """What the header block means, None when the request was refused or goes the long way."""
        judged, self._facts = self._facts, None
        if end - at > self._hub.settings.head_max_bytes:
            self._refuse_head()
            return None
        facts = facts or judged or self._blocks.judge(data[at:cut], data[cut:end])
        if facts is None or (facts.length and data.startswith(b"GET ", at)):
            self._slow(data[at:])
            return None
        return facts

    def _body_is_there(self, data: bytes, at: int, end: int, facts: Facts) -> bool:
        settings = self._hub.settings
        if facts.length > settings.body_max_bytes and facts.length > (limit := self._hub.body_max_bytes(*data[at:end].split(b" ", 2)[:2])):
            self.refuse(413, f"the body must have at most {limit} bytes", data[at:end].split(b" ", 2)[1])
        elif facts.length > settings.quick_body_max_bytes:
            self._slow(data[at:])
        elif end + facts.length > len(data):
            self._facts = facts
            self._partial(data[at:], end - at + facts.length, settings.body_time_max_ms)
        else:
            return True
        return False

    def _refuse_head(self) -> int:
        return self.refuse(431, f"the request line and header fields must have at most {self._hub.settings.head_max_bytes} bytes")

    def _partial_head(self, data: bytes) -> None:
        newline = data.find(b"\n")
        if len(data) > self._hub.settings.head_max_bytes:
            self._refuse_head()
        elif data[:4] not in _STARTS or (newline >= 0 and data[newline - 1 : newline] != b"\r"):
            self._slow(data)
        else:
            self._partial(data, 0, self._hub.settings.head_time_max_ms)

    def _partial(self, data: bytes, need: int, time_ms: int) -> None:
        self._state = PARTIAL
        self._rest = data
        self._need = need
        self._deadline(time_ms)

    def _continue(self, data: bytes) -> None:
        """More of a message of which some has come."""
        if len(data) < self._need:
            self._rest = data
            return
        need, due = self._need, self.due
        self._state = IDLE
        self._rest = b""
        self._need = 0
        self._consume(data)
        if self._state == PARTIAL and len(self._rest) == len(data) and self._need == need:
            self._hub.timers.put(self, due)  # still the same head: its time does not begin anew

    def _put_off(self, rest: bytes) -> None:
        """Others have their turn, or the client reads first."""
        self._rest = rest
        if self._state == IDLE:
            self._state = FULL
            self._hub.loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        """Look at what has come meanwhile."""
        if self._paused or self._state not in {IDLE, FULL}:
            return
        rest, self._rest = self._rest, b""
        self._state = IDLE
        self._choked = False
        if not self._ending:
            self.transport.resume_reading()
        if rest:
            self._consume(rest)
        if self._ending and self._state in {IDLE, PARTIAL, PARKED}:
            self._close()

    # -- what is answered later

    def park(self, wait: int, facts: Facts) -> None:
        """It waits for a change, `wait` nanoseconds at most."""
        self._state = PARKED
        self._facts = facts
        self._hub.timers.put(self, self._hub.timers.now() + wait)

    def answered(self, kept: Kept) -> None:
        """The change has come, or the time is over."""
        assert self._facts is not None, "kept as long as it waits"
        wire = self._quick.kept(self, kept, self._facts)
        if wire != WAIT:
            self._finish(wire)

    def wait_for(self, waited: Later | After[Any], facts: Facts, errors: Errors) -> Reply | None:
        """It waits until something is known; answers what that comes to when it is known already."""
        self._state = ASKING
        try:
            if isinstance(waited, Later):
                waited.pending.then(self._known)
            else:
                Replying(waited, errors, self._hub.stats).then(self._known)
        except Exception as error:  # noqa: BLE001  # as if the handler had raised it
            self._reply = failed(errors, error, self._hub.stats, "asking for an outcome")
        if self._reply is not None:
            reply, self._reply = self._reply, None
            self._state = IDLE
            return reply
        self._state = LATER
        self._facts = facts
        self._errors = errors
        self._waited = waited
        self._deadline(self._hub.settings.later_time_max_ms)
        return None

    def _known(self, reply: Reply) -> None:
        if self._state == ASKING:
            self._reply = reply
        elif self._state == LATER:
            self._tell(reply)

    def _tell(self, reply: Reply) -> None:
        """What was waited for is known. It may be that something else has to be waited for now."""
        facts, errors = self._facts, self._errors
        assert facts is not None, "kept as long as it waits"
        assert errors is not None, "the same"
        wire = self._quick.reply(self, at_once(reply) if self._ending else reply, facts, errors)
        if wire != WAIT:
            self._finish(wire)

    def _finish(self, wire: bytes) -> None:
        facts = self._facts
        self._facts = self._errors = self._waited = None
        self._state = FULL if self._paused else IDLE
        if facts is None or facts.close or self._ending:
            self._last(wire)
        else:
            self.transport.write(wire)
            if self._rest:
                self._go_on()

    def expired(self, now: Instant) -> None:
        """The deadline of its present state is over."""
        hub, behind = self._hub, self._behind
        idle = not self._active
        self._active = False
        if self.transport.is_closing():
            hub.stalled.add(self, now)  # something is left that nobody reads
        elif self._state == PARKED:
            hub.parked.expire(self)
        elif self._state == LATER:
            self._ending = True
            assert self._waited is not None, "kept as long as it waits"
            self._tell(too_late(self._waited, self._errors or hub.router.plain, hub.stats))
        elif self._state == PARTIAL:
            self.refuse(408, TOO_LATE)
        elif self._state == SLOW and behind is not None and not behind.between:
            behind.too_late()
        elif self._state == LINGERING:
            self.abort()
        elif idle and (self._state == IDLE or (behind is not None and self._state == SLOW and not behind.answering)):
            self._close()
        if self.slot == 0:
            hub.timers.put(self, now + hub.settings.idle_time_max_ms * MILLISECOND)
