"""Where a case of the frontend suite is played: the frontend under test, all others, and how hard to try. It lives for one case."""

from collections.abc import Sequence
from dataclasses import dataclass

from callboard.testing.frontend_suite_kit import Ability, Harness, World


@dataclass(frozen=True)
class Stage:
    """`harness` is one of `harnesses`."""

    harness: Harness
    harnesses: Sequence[Harness]
    examples_count: int
    """Requests that are made up for each route."""

    def world(self, *, ready: bool = True) -> World:
        """A world with every frontend in it."""
        return World(self.harnesses, ready=ready)

    def all_that_can(self, ability: Ability) -> list[Harness]:
        """The frontends that have an ability."""
        return [harness for harness in self.harnesses if ability not in harness.cannot]

    def first_that_can(self, ability: Ability) -> Harness:
        """The frontend under test if it can, else another."""
        able = self.all_that_can(ability)
        return self.harness if self.harness in able else able[0]
