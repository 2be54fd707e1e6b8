"""When a turn to critical is taken for a fault of the member that reports it."""

import pytest

from callboard.core.liveness import CheckKey
from callboard.core.opinions import MassTurn, OpinionSettings
from callboard.model.time import SECOND, Instant, seconds


def key(number: int) -> CheckKey:
    return "public", f"n{number}", "c"


def among(*members: str, probing: int) -> MassTurn:
    """These members are present, and probe so many checks each."""
    mass = MassTurn(OpinionSettings())
    mass.present(members)
    for member in members:
        mass.probes(member, probing)
    return mass


def turns(mass: MassTurn, numbers: range, at_s: float = 0, member: str = "a") -> list[bool]:
    """What is said of these turns, one after the other."""
    return [mass.suspicious(member, key(number), Instant(100 * SECOND + seconds(at_s))) for number in numbers]


@pytest.mark.parametrize(("count", "probing"), [(1, 1), (4, 4), (4, 10), (15, 100), (150, 1_000)])
def test_single_turns_of_a_service_are_never_held(count: int, probing: int) -> None:
    assert not any(turns(among("a", "b", probing=probing), range(count)))


@pytest.mark.parametrize(("free", "probing"), [(4, 5), (4, 30), (15, 100), (150, 1_000)])
def test_when_too_many_turned_within_the_window_the_next_is_held(free: int, probing: int) -> None:
    assert turns(among("a", "b", probing=probing), range(free + 3)) == [False] * free + [True] * 3


def test_a_member_that_is_alone_is_never_held() -> None:
    mass = among("a", probing=10)
    assert not any(turns(mass, range(10)))
    mass.present(["a", "b"])
    assert turns(mass, range(5)) == [False] * 4 + [True]


def test_turns_that_are_further_apart_than_the_window_are_no_mass() -> None:
    mass = among("a", "b", probing=20)
    for batch in range(10):
        assert not any(turns(mass, range(4 * batch, 4 * batch + 4), at_s=30 * batch))


def test_a_check_that_turns_again_and_again_counts_once_and_from_its_last_turn() -> None:
    mass = among("a", "b", probing=20)
    for second in range(20):
        assert turns(mass, range(4), at_s=second) == [False] * 4
    assert turns(mass, range(4, 5), at_s=48) == [True]
    assert turns(mass, range(5, 6), at_s=50) == [False]


def test_what_another_member_confirmed_says_nothing_about_the_first() -> None:
    mass = among("a", "b", probing=20)
    assert turns(mass, range(5)) == [False] * 4 + [True]
    for number in range(5):
        mass.settled("a", key(number))
    assert turns(mass, range(5, 10), at_s=1) == [False] * 4 + [True]


def test_members_are_judged_one_by_one_and_forgotten_when_they_leave() -> None:
    mass = among(*"abcdef", probing=20)
    for member in "abcdef":
        assert turns(mass, range(4), member=member) == [False] * 4
    assert turns(mass, range(4, 5), member="a") == [True]
    mass.present("bc")
    assert turns(mass, range(5, 9), member="a") == [False] * 4, "who is not there is not judged"
    mass.present("abc")
    assert turns(mass, range(5, 9), member="a") == [False] * 4
    assert turns(mass, range(9, 10), member="a") == [True]


def test_of_a_member_that_has_not_said_how_many_it_probes_five_are_too_many() -> None:
    mass = MassTurn(OpinionSettings())
    mass.present("ab")
    mass.settled("a", key(0))
    assert turns(mass, range(5)) == [False] * 4 + [True]
    mass.probes("a", 1_000)
    assert turns(mass, range(5, 10)) == [False] * 5
