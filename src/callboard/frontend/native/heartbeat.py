"""`/api/v1/heartbeat`, `/api/v1/heartbeats`: signs of life. The one hot write: as a rule it changes a deadline and nothing else.

Where another member leads, the heartbeat is acknowledged when that one has it.

What is more than that (a check that was critical, a new output) is a turn: a command like any other, and answered when it is durable. A
check that went between the two went with its instance, as a rule, so the caller is told that this is unknown and registers again.
"""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Final, NamedTuple

from callboard.core.catalog.commands import ReportCheck, Target
from callboard.frontend.native import asking, table
from callboard.frontend.native.answering import Outcomes, json_answer, spelled
from callboard.frontend.native.asking import Asking
from callboard.frontend.native.beats import Beats, Meant, Where, written
from callboard.frontend.native.errors import forgotten_answer, refusal_answer
from callboard.frontend.native.operations import Served
from callboard.frontend.native.settings import NativeStats
from callboard.frontend.native.translate import locate
from callboard.model import names
from callboard.model.check import Status, TtlCheck, clip_output
from callboard.model.errors import InvalidError
from callboard.model.instance import Instance, Placed
from callboard.model.rows import Outcome, Refusal, Revision
from callboard.net.http.message import Answer, Later, Reply, Request, after
from callboard.registry.submission import Submission
from callboard.wire import native
from callboard.wire import native_decoding as decoding

_PLAIN: Final = native.Beat()


class _Heard(NamedTuple):
    """An instance that was heard from, and what has to be waited for; nothing when only deadlines moved, and moved here."""

    instance: Instance
    turns: list[Submission]


class Heartbeats:
    """Its handlers; lives as long as the server."""

    def __init__(self, ask: Asking, stats: NativeStats) -> None:
        self._ask = ask
        self._stats = stats
        self._beats = Beats(ask, stats)

    def operations(self) -> tuple[Served, ...]:
        """Its lines of the table."""
        return (Served(table.HEARTBEAT, self.one, self._beats.brief), Served(table.HEARTBEATS, self.many))

    def one(self, request: Request) -> Reply:
        """Renew every TTL check of an instance."""
        beat = decoding.decode(request.body, native.Beat) if request.body else _PLAIN
        self._beats.remember(request.body, beat)
        target = self._ask.target(request)
        heard = self._hear(target, beat)
        if isinstance(heard, Refusal):
            return after(self._ask.registry.fresh(), partial(self._once_fresh, target, beat))
        return self._acknowledged(heard)

    def _once_fresh(self, target: Target, beat: native.Beat, refusal: Refusal | None) -> Reply:
        """It is unknown here. Now the view shows all that was acknowledged elsewhere; or nobody can tell, and then it is not unknown."""
        heard = refusal if refusal is not None else self._hear(target, beat)
        if isinstance(heard, Refusal):
            self._stats.heartbeats_unknown += 1
            return forgotten_answer(heard)
        return self._acknowledged(heard)

    def _acknowledged(self, heard: _Heard) -> Reply:
        self._stats.heartbeats += 1
        if not heard.turns:
            return self._written(heard.instance, self._ask.registry.revision, changed=False)
        return Later(Outcomes(heard.turns, partial(self._turned, heard.instance)))

    def many(self, request: Request) -> Reply:
        """Renew the TTL checks of several instances; turns among them go the long way and are waited for."""
        beats = decoding.decode(request.body, native.Beats).beats
        limit = self._ask.settings.beats_max_count
        if len(beats) > limit:
            raise InvalidError("beats", f"must have at most {limit} entries, has {len(beats)}")
        where = self._beats.where(request)
        meant = Meant(self._ask.view, where)
        found = [meant.find(beat) for beat in beats]
        elsewhere = not request.query.get(asking.NODE)
        others = {
            place: _target(place, beats[place], where, elsewhere=elsewhere) for place, placed in enumerate(found) if placed is None
        }  # judged before the first of them counts
        left = sorted(self._beats.hear_all(found))
        targets = [others.get(place) or _target(place, beats[place], where, elsewhere=elsewhere) for place in left]
        return self._many_others(len(beats) - len(left), targets)

    def _many_others(self, renewed: int, others: Iterable[Target]) -> Reply:
        """Those of a batch that take more than a look-up and a deadline."""
        heard: list[_Heard] = []
        missed = [target for target in others if not self._hear_among(target, heard)]
        if missed:
            return after(self._ask.registry.fresh(), partial(self._many_once_fresh, renewed, heard, missed))
        return self._many_acknowledged(renewed, heard, [])

    def _hear_among(self, target: Target, heard: list[_Heard]) -> bool:
        one = self._hear(target, _PLAIN)
        if isinstance(one, Refusal):
            return False
        heard.append(one)
        return True

    def _many_once_fresh(self, renewed: int, heard: list[_Heard], missed: Sequence[Target], refusal: Refusal | None) -> Reply:
        if refusal is not None:
            return refusal_answer(refusal)
        unknown: list[native.UnknownBeat] = []
        for target in missed:
            one = self._hear(target, _PLAIN)
            if isinstance(one, Refusal):
                unknown.append(self._unknown(target.id, target.namespace, target.node, one))
            else:
                heard.append(one)
        return self._many_acknowledged(renewed, heard, unknown)

    def _many_acknowledged(self, renewed: int, heard: Sequence[_Heard], unknown: list[native.UnknownBeat]) -> Reply:
        self._stats.heartbeats += renewed + len(heard)
        self._stats.heartbeats_unknown += len(unknown)
        turns = [turn for one in heard for turn in one.turns]
        if not turns:
            return json_answer(native.Renewed(renewed + len(heard), tuple(unknown)))
        return Later(Outcomes(turns, partial(self._summary, renewed, heard, unknown)))

    def _hear(self, target: Target, beat: native.Beat) -> _Heard | Refusal:
        placed = locate(self._ask.view, target)
        return placed if isinstance(placed, Refusal) else self._renew(placed, beat)

    def _renew(self, placed: Placed, beat: native.Beat) -> _Heard | Refusal:
        instance, registry = placed.instance, self._ask.registry
        status = Status(beat.status)
        turns: list[Submission] = []
        ttl = False
        for check in placed.checks:
            if isinstance(check.definition, TtlCheck):
                ttl = True
                kept = check.output if check.status is status else ""
                output = kept if beat.output is None else clip_output(beat.output)
                heard = registry.beat(instance.namespace, instance.node, check.id, status, output)
                if isinstance(heard, Submission):
                    turns.append(heard)
                elif not heard:
                    target = Target(instance.node, check.id, instance.namespace)
                    turns.append(registry.submit(ReportCheck(target=target, status=status, output=output)))
        return _Heard(instance, turns) if ttl else Refusal("not_ttl", instance.id)

    def _written(self, instance: Instance, revision: Revision, *, changed: bool) -> Answer:
        return Answer(200, written(self._ask.view, instance, revision, changed=changed))

    def _turned(self, instance: Instance, outcomes: Sequence[Outcome]) -> Answer:
        refusal = _first_refusal(outcomes)
        if refusal is not None:
            return forgotten_answer(Refusal("unknown_instance", instance.id) if refusal.reason == "unknown_check" else refusal)
        revision = max(outcome.revision for outcome in outcomes)
        return self._written(instance, revision, changed=any(outcome.changed for outcome in outcomes))

    def _summary(
        self, renewed: int, heard: Sequence[_Heard], unknown: list[native.UnknownBeat], _outcomes: Sequence[Outcome]
    ) -> Answer:  # fmt: skip
        for instance, turns in heard:
            refusal = _first_refusal(turn.outcome for turn in turns if turn.outcome is not None)
            if refusal is None:
                renewed += 1
            elif refusal.reason == "unknown_check":
                unknown.append(
                    self._unknown(instance.id, instance.namespace, instance.node, Refusal("unknown_instance", instance.id))
                )  # fmt: skip
            else:
                return refusal_answer(refusal)
        return json_answer(native.Renewed(renewed, tuple(unknown)))

    def _unknown(self, instance: str, namespace: str, node: str, refusal: Refusal) -> native.UnknownBeat:
        return native.UnknownBeat(id=instance, namespace=namespace, node=spelled(self._ask.view, node), reason=refusal.reason)


def _target(number: int, beat: native.BeatTarget, where: Where, *, elsewhere: bool) -> Target:
    """Where an entry of a batch aims. With `elsewhere` an id that is not on the caller's node may be on another."""
    return Target(
        _node_of(number, beat, where.node), names.name(f"beats[{number}].id", beat.id),
        _namespace_of(number, beat) or where.namespace, anywhere=elsewhere and not beat.node,
    )  # fmt: skip


def _node_of(number: int, beat: native.BeatTarget, otherwise: str) -> str:
    return (names.name(f"beats[{number}].node", beat.node) if beat.node else otherwise).lower()


def _namespace_of(number: int, beat: native.BeatTarget) -> str:
    try:
        return names.namespace(beat.namespace) if beat.namespace else ""
    except InvalidError as error:
        raise InvalidError(f"beats[{number}].namespace", error.problem) from None


def _first_refusal(outcomes: Iterable[Outcome]) -> Refusal | None:
    return next((outcome.refusal for outcome in outcomes if outcome.refusal is not None), None)
