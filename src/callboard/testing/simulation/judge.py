"""The judge: is told everything that happens at the engine and at the doors, and holds it against the truth as it happens.

Writes are judged here, ends of time limits in `simulation.ends`, members' views in `simulation.views`, watchers and readers where they are
(`simulation.watchers`). It lives for a run.
"""

from typing import Final

from callboard.model.check import Status
from callboard.model.members import Card
from callboard.model.rows import META_TERM, CommandId, Group, Key, Outcome, Position, Revision
from callboard.registry.messages import Beats, Relay, decode_message
from callboard.registry.submission import Submission
from callboard.testing.simulation.blame import Blame
from callboard.testing.simulation.ends import Ends
from callboard.testing.simulation.engine import Lease
from callboard.testing.simulation.process import Process
from callboard.testing.simulation.truth import VERSION, CheckRow, InstanceRow, State, Step, Truth
from callboard.testing.simulation.views import Views
from callboard.testing.simulation.wishes import Wish

SURELY_NOT: Final = frozenset({"unavailable", "deposed", "overloaded", "full", "too_large"})
OPEN: Final = "unknown_outcome"
SHOWN_WITHIN_S: Final = 2.0
ANSWERED_WITHIN_S: Final = 20.0


class Judge:
    """A witness of everything."""

    def __init__(self, blame: Blame) -> None:
        self.truth = Truth()
        self.ends = Ends(blame)
        self.views = Views(blame, self.truth)
        self.wishes: dict[CommandId, Wish] = {}
        self.waiting: list[Wish] = []
        self.disturbances: list[float] = []
        """Moments after which a dead instance may have its whole time again."""
        self.processes: dict[str, Process] = {}
        """By nonce."""
        self._blame = blame
        self._brought: dict[tuple[str, str], float] = {}
        """When a heartbeat of a check last came from a door to another member."""

    @property
    def now_s(self) -> float:
        """Since the run began."""
        return self._blame.elapsed_s

    # -- the engine

    def landed(self, group: Group, lease: Lease) -> None:
        """A group is durable."""
        blame, truth = self._blame, self.truth
        if blame.tracing:
            keys = " ".join(f"{key}{'' if row is not None else '-'}" for key, row in group.rows.items())
            blame.note("engine", f"{group.first}..{group.last} by {lease.card.name}: {keys}")
        if lease.over:
            blame.blame("Fenced", f"{group.first}..{group.last} of {lease.card.name}, whose lead is over")
        if not lease.opened and META_TERM not in group.rows:
            blame.blame("Opened", f"{lease.card.name} began with {list(group.rows)}")
        for outcome in group.outcomes:
            self._judge_applied(outcome)
        _, turns = truth.add(group, lease, self.now_s, self._steps(group))
        if META_TERM in group.rows:
            self.ends.opened()
            self.disturbances.append(self.now_s)
        by_revision = {outcome.revision: outcome.command for outcome in group.outcomes if outcome.changed}
        restores = self._restores(group)
        if restores:
            self.disturbances.append(self.now_s)
        for key, before, after in turns:
            if self._restored(key, after, group, restores):
                self.ends.restored(key, after)
            else:
                self._turned(key, before, after, group, by_revision, lease)

    def _turned(  # one row, and all there is to know of its group
        self, key: Key, before: State, after: State, group: Group, by_revision: dict[Revision, CommandId], lease: Lease
    ) -> None:
        if key.startswith("i/"):
            self._judge_instance(key, before, after, group, by_revision)
        elif isinstance(after, CheckRow):
            self.ends.turned(key, before, after, lease)

    def _restores(self, group: Group) -> dict[Revision, Wish]:
        """Those of its commands that replaced the catalog."""
        wishes = ((outcome.revision, self.wishes.get(outcome.command)) for outcome in group.outcomes if outcome.changed)
        return {revision: wish for revision, wish in wishes if wish is not None and wish.kind == "restore"}

    def _restored(self, key: Key, after: State, group: Group, restores: dict[Revision, Wish]) -> bool:
        """Whether a row is what a restore has made it: there as it was then, or gone because it was not there."""
        row = group.rows[key]
        if row is None:
            return any(key not in wish.rows for wish in restores.values())
        wish = restores.get(row.revision)
        if wish is not None and key.startswith("i/") and after != wish.rows.get(key) and isinstance(after, InstanceRow) and after.version:
            self._blame.blame("Restored", f"{key} became {after} by {wish}, which has {wish.rows.get(key)}")
        return wish is not None

    def _steps(self, group: Group) -> list[Step]:
        """What each command of a client did, also where a later one in the same group did away with it."""
        steps: list[Step] = []
        for outcome in group.outcomes:
            wish = self.wishes.get(outcome.command)
            if wish is None or not outcome.changed:
                continue
            at, check = outcome.revision, CheckRow(wish.name, wish.version)
            if wish.kind == "restore":
                steps += [(key, at, wish.rows.get(key)) for key in sorted({*self.truth.all_keys(), *wish.rows, *group.rows})]
            elif wish.kind == "register":
                steps.append((wish.instance, at, InstanceRow(wish.name, "", {VERSION: wish.version})))
                steps.append((wish.check, at, CheckRow(wish.name, Status.PASSING)))
            elif wish.kind == "deregister":
                steps += [(wish.instance, at, None), (wish.check, at, None)]
            else:
                steps.append((wish.check, at, check))
        return steps

    def _judge_applied(self, outcome: Outcome) -> None:
        if not outcome.changed:
            return
        if outcome.command in self.truth.applied:
            self._blame.blame("Once", f"{outcome.command} at {self.truth.applied[outcome.command]} and {outcome.revision}")
        wish = self.wishes.get(outcome.command)
        told = wish.outcome if wish is not None else None
        if told is not None and told.refusal is not None and told.refusal.reason in SURELY_NOT:
            self._blame.blame("Refused", f"{wish} is applied at {outcome.revision}")

    def _judge_instance(
        self, key: Key, before: State, after: State, group: Group, by_revision: dict[Revision, CommandId]
    ) -> None:  # fmt: skip
        if isinstance(after, InstanceRow):
            if not after.version:
                return
            row = group.rows[key]
            assert row is not None
            command = by_revision.get(row.revision)
            wish = self.wishes.get(command) if command is not None else None
            if wish is None or wish.instance != key or wish.version != after.version:
                self._blame.blame("Attributed", f"{key} became {after.version} at {row.revision} by {command}, which is {wish}")
        elif isinstance(before, InstanceRow) and before.version:
            owners = [self.wishes.get(command) for command in by_revision.values()]
            if not any(wish is not None and wish.kind == "deregister" and wish.instance == key for wish in owners):
                self.ends.removed(key, group, by_revision)

    def refused(self, group: Group, lease: Lease) -> None:
        """The holder of the lead follows another position than the head."""
        truth = self.truth
        if not self.ends.late(group, lease) and group.mark not in truth.marks and not truth.rewinds:
            self._blame.blame("CaughtUp", f"{lease.card.name} writes after {group.after}, which is not the head")

    def elected(self, lease: Lease) -> None:
        """Somebody has the lead."""
        self._blame.note("engine", f"{lease.card.name} is elected")

    def gone(self, card: Card) -> None:
        """A member is present no longer."""
        self._blame.note("engine", f"{card.name} is gone")
        self.disturbances.append(self.now_s)
        process = self.processes.get(card.nonce)
        if process is not None:
            process.left = self.now_s
        self.ends.gone()

    def rewound(self, to: Position) -> None:
        """The engine was put back."""
        self._blame.note("engine", f"put back to {to.revision}")
        self.truth.cut(to)
        self.ends.rewound()
        self.views.forget()
        self.disturbances.append(self.now_s)

    # -- the doors

    def enters(self, wish: Wish, submission: Submission) -> None:
        """A command has entered a door."""
        wish.id = submission.id
        wish.rewinds = self.truth.rewinds
        self.wishes[submission.id] = wish
        self.waiting.append(wish)
        self._blame.note(wish.process.name, f"takes {wish.kind} {wish.name} {wish.version} as {submission.id}")

    def heard(self, wish: Wish) -> None:
        """It is a sign of life."""
        signs = self.ends.signs.get(wish.check)
        if signs is not None:
            wish.sign = signs.heard(wish.process, self.now_s)

    def acknowledges_beat(self, wish: Wish, *, leading_unconfirmed: bool) -> None:
        """A heartbeat was noted at once."""
        if wish.sign is not None:
            wish.sign.acknowledged_s = self.now_s
        if leading_unconfirmed:
            self._blame.blame("Confirmed", f"{wish.process.name} acknowledges a heartbeat of {wish.name}")

    def brought(self, data: bytes) -> None:
        """A member is given a message: what heartbeats are in it?"""
        message = decode_message(data)
        if isinstance(message, Relay):
            message = decode_message(message.message)
        if isinstance(message, Beats):
            for heard in message.beats:
                self._brought[message.door, heard.key[2]] = self.now_s

    def _judge_acknowledged(self, wish: Wish) -> None:
        """Only after a leader has heard of it, or the member has come to lead itself."""
        registry = wish.process.registry
        if registry is not None and not registry.leading and self._brought.get((wish.process.nonce, wish.name), -1.0) < wish.entered_s:
            self._blame.blame("Confirmed", f"{wish} is acknowledged, and no other member has heard of it")

    def tells(self, wish: Wish, outcome: Outcome) -> None:
        """A door answers."""
        wish.outcome = outcome
        if wish in self.waiting:
            self.waiting.remove(wish)
        refusal = outcome.refusal
        if self._blame.tracing:
            said = (
                f"refused: {refusal.reason}"
                if refusal is not None
                else f"done at {outcome.revision}{'' if outcome.changed else ', nothing new'}"
            )
            self._blame.note(wish.process.name, f"tells {wish.kind} {wish.name} {wish.version} {wish.id}: {said}")
        if wish.sign is not None:
            if refusal is None:
                wish.sign.acknowledged_s = self.now_s
            else:
                wish.sign.refused_s = self.now_s
        if refusal is not None and refusal.reason == OPEN:
            return
        if refusal is not None and refusal.reason in SURELY_NOT:
            if wish.id in self.truth.applied:
                self._blame.blame("Refused", f"{wish} is applied at {self.truth.applied[wish.id]}")
            return
        if wish.kind != "beat":
            self._judge_told(wish, outcome)
        elif refusal is None:
            self._judge_acknowledged(wish)

    def _judge_told(self, wish: Wish, outcome: Outcome) -> None:
        truth = self.truth
        if wish.id in truth.undone or wish.rewinds != truth.rewinds:
            return
        if outcome.refusal is not None:
            self._judge_refusal(wish, outcome)
        elif outcome.changed:
            if truth.applied.get(outcome.command) != outcome.revision:
                self._blame.blame("Durable", f"{wish} is not in the history")
        else:
            self._judge_unchanged(wish, outcome)
        if outcome.revision < wish.floor:
            self._blame.blame("RealTime", f"{wish} is answered as of {outcome.revision}, {wish.floor} had been acknowledged before")
        if outcome.refusal is None:
            self._judge_shown(wish, outcome)
            truth.acknowledged = max(truth.acknowledged, outcome.revision)

    def _judge_refusal(self, wish: Wish, outcome: Outcome) -> None:
        assert outcome.refusal is not None
        there = self.truth.state(wish.instance, outcome.revision)
        if outcome.refusal.reason in {"unknown_instance", "unknown_check"} and there is not None:
            self._blame.blame("Answer", f"{wish} is refused, but at {outcome.revision} there is {there}")

    def _judge_unchanged(self, wish: Wish, outcome: Outcome) -> None:
        there = self.truth.state(wish.instance, outcome.revision)
        if wish.kind == "register" and not (isinstance(there, InstanceRow) and there.version == wish.version):
            self._blame.blame("Answer", f"{wish} changed nothing, but at {outcome.revision} there is {there}")
        check = self.truth.state(wish.check, outcome.revision)
        if wish.kind == "report" and not (isinstance(check, CheckRow) and check.status == wish.version):
            self._blame.blame("Answer", f"{wish} changed nothing, but at {outcome.revision} there is {check}")

    def _judge_shown(self, wish: Wish, outcome: Outcome) -> None:
        registry = wish.process.registry
        if registry is not None and registry.revision < outcome.revision and self.now_s < wish.entered_s + SHOWN_WITHIN_S:
            self._blame.blame("Shown", f"{wish} is done at {outcome.revision}, the view is at {registry.revision}")

    def judge_waiting(self, since_s: float) -> None:
        """Who entered before `since_s`, at a process that still lives, was answered."""
        for wish in self.waiting:
            if wish.process.alive and wish.entered_s < since_s:
                self._blame.blame("Answered", f"{wish} entered {self.now_s - wish.entered_s:.1f} s ago")
