"""Heartbeats that enter here while another member leads: gathered, carried to it at least once a second, acknowledged by its word.

Also how this member knows how old its view may be: each answer of the leader says up to which revision it has come. The lane lives as long
as the registry; it rests while this member leads.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from callboard.core.catalog.commands import ReportCheck
from callboard.core.liveness import CheckKey
from callboard.model.rows import Outcome, Revision
from callboard.model.time import MILLISECOND, Instant
from callboard.registry import messages as msg
from callboard.registry.door import Door
from callboard.registry.following import Following
from callboard.registry.leader import refusal_outcome
from callboard.registry.line import Line
from callboard.registry.means import Means
from callboard.registry.peers import UnreachableError
from callboard.registry.probing import Probing
from callboard.registry.submission import Submission


class _Beat(NamedTuple):
    """A heartbeat that waits to be acknowledged."""

    key: CheckKey
    heard: Instant
    submission: Submission | None
    """What it is if it is more than a heartbeat, and who waits for it. None: a command that says the same is on its way."""

    @property
    def told(self) -> bool:
        """Whether its caller has an answer."""
        return self.submission is not None and self.submission.outcome is not None


_SWEEP_EVERY_S: Final = 0.25
Submit = Callable[[ReportCheck], Submission]


class Beating:
    """The lane of heartbeats."""

    def __init__(self, means: Means, line: Line, following: Following, door: Door, probing: Probing, submit: Submit) -> None:
        self.fresh_at: Instant | None = None
        """Since when the view may be old: at this moment a leader confirmed that it was not. None before the first word."""
        self.touched_at: Instant | None = None
        """When a leader with a confirmed lead last answered."""
        self._settings = means.settings
        self._clock = means.clock
        self._stats = means.stats
        self._now = means.now
        self._line = line
        self._following = following
        self._door = door
        self._probing = probing
        self._submit = submit
        self._waiting: list[_Beat] = []
        self._flying: list[_Beat] = []
        """Those of the batch that is under way."""
        self._sweeping = False
        self._batch = 0
        self._after = 0
        self._something = asyncio.Event()

    def begin(self, fresh_at: Instant) -> None:
        """This member follows from now on, with a view that was the newest at `fresh_at`; a leader is to be heard from soon."""
        self.touched_at, self.fresh_at = self._clock.now(), fresh_at

    def hear(self, key: CheckKey, submission: Submission | None) -> None:
        """Carry a heartbeat to the leader; `submission` is released when it is acknowledged or refused.

        Without one it is the sign of life of a command that entered here: heartbeats say by what time all signs have arrived.
        """
        if len(self._waiting) >= self._settings.batch_beats_max_count:
            if submission is None:
                return
            submission.release(refusal_outcome(submission, "overloaded", "too many heartbeats wait for the leader; try again in a second"))
            return
        self._waiting.append(_Beat(key, self._clock.now(), submission))
        self._something.set()
        self._sweep_later()

    async def carry(self) -> None:
        """Batch after batch, one under way at a time."""
        while True:
            try:
                async with asyncio.timeout(self._settings.batch_interval_ms / 1_000):
                    await self._something.wait()
                await asyncio.sleep(self._settings.gather_ms / 1_000)
            except TimeoutError:
                pass
            self._something.clear()
            if not await self._round() and self._waiting:
                await asyncio.sleep(self._settings.exchange_retry_wait_ms / 1_000)
                self._something.set()

    async def _round(self) -> bool:
        """Bring what there is; False when it was not acknowledged."""
        if self._door.term is not None:
            self._note_here()
            return not self._waiting
        leading = self._line.leading()
        if leading is None:
            return False
        beats = self._flying = self._waiting
        self._waiting = []
        sent_at = self._clock.now()
        self._batch += 1
        heard = tuple(msg.Heard(beat.key, (sent_at - beat.heard) // MILLISECOND) for beat in beats)
        message = msg.Beats(self._door.nonce, leading.term, self._batch, self._after, heard, self._probing.share_count)
        self._stats.batches_sent += 1
        try:
            reply = await self._line.ask(leading, message)
        except UnreachableError:
            reply = None
        finally:
            self._flying = []
        if isinstance(reply, msg.BeatsTaken):
            self._after = self._batch
        if not isinstance(reply, msg.BeatsTaken) or not reply.confirmed:
            self._waiting = [beat for beat in beats if not beat.told] + self._waiting
            return False
        self._acknowledge(beats, frozenset(reply.more))
        self._fresh(reply.revision, sent_at)
        return True

    def _acknowledge(self, beats: list[_Beat], more: frozenset[int]) -> None:
        for place, beat in enumerate(beats):
            submission = beat.submission
            if submission is None:
                continue
            if place in more:
                self._turn(submission)
            else:
                submission.release(Outcome(submission.id, self._following.view.revision, node=beat.key[1]))

    def _turn(self, submission: Submission) -> None:
        """More than a heartbeat: a command like any other."""
        command = submission.command
        assert isinstance(command, ReportCheck)
        self._submit(command).then(submission.release)

    def _note_here(self) -> None:
        """This member leads now: what waits is noted here, once the lead is confirmed."""
        term = self._door.term
        if term is None or not term.open or not term.confirmed():
            return
        beats, self._waiting = self._waiting, []
        more = frozenset(place for place, beat in enumerate(beats) if not term.beat(beat.key, self._now()))
        if term.confirmed():
            self._acknowledge(beats, more)
        else:
            self._waiting = beats

    def _sweep(self) -> None:
        """Refuse those who waited too long, also those that are under way: they may be noted, but nobody says so."""
        self._sweeping = False
        held = self._clock.now() - self._settings.leader_wait_ms * MILLISECOND
        late = [beat for beat in (*self._flying, *self._waiting) if beat.heard <= held]
        if late:
            self._waiting = [beat for beat in self._waiting if beat.heard > held]
            self._refuse(late, "no leader has acknowledged the heartbeat in time; try again in a second")
        if self._waiting or self._flying:
            self._sweep_later()

    def _sweep_later(self) -> None:
        if not self._sweeping:
            self._sweeping = True
            asyncio.get_running_loop().call_later(_SWEEP_EVERY_S, self._sweep)

    @staticmethod
    def _refuse(beats: Iterable[_Beat], detail: str) -> None:
        for beat in beats:
            if beat.submission is not None:
                beat.submission.release(refusal_outcome(beat.submission, "unavailable", detail))

    def close(self) -> None:
        """Tell everybody who still waits."""
        self._refuse((*self._flying, *self._waiting), "this server is stopping")
        self._flying, self._waiting = [], []

    def _fresh(self, revision: Revision, sent_at: Instant) -> None:
        """The leader stood at `revision` after `sent_at`: once the view shows it, the view was fresh then."""
        self.touched_at = sent_at

        def shown(arrived: bool) -> None:  # noqa: FBT001  # the shape of a callback
            if arrived:
                self.fresh_at = max(self.fresh_at or sent_at, sent_at)

        self._following.reached(revision, self._settings.catch_up_ms).then(shown)
