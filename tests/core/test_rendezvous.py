from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.core.rendezvous import owner

MEMBERS = st.lists(st.text(max_size=5), min_size=1, max_size=8, unique=True)
KEYS = [f"public/n{number % 20}/c{number}" for number in range(100)]


@given(MEMBERS, st.randoms(use_true_random=False), st.text(max_size=20))
def test_everybody_works_out_the_same_owner_whatever_the_order(members: list[str], random: "st.random.Random", key: str) -> None:  # type: ignore[name-defined]
    shuffled = list(members)
    random.shuffle(shuffled)
    assert owner(key, members) == owner(key, shuffled)
    assert owner(key, members) in members


@given(MEMBERS, st.text(min_size=6, max_size=9))
def test_when_a_member_comes_or_goes_only_what_it_owns_changes_hands(members: list[str], other: str) -> None:
    for key in KEYS:
        after = owner(key, [*members, other])
        assert after in {owner(key, members), other}


@pytest.mark.parametrize("count", [2, 3, 5])
def test_shares_are_about_equal(count: int) -> None:
    members = [f"member-{number}" for number in range(count)]
    shares = Counter(owner(f"public/n{number}/check", members) for number in range(5_000))
    assert all(abs(share * count / 5_000 - 1) < 0.1 for share in shares.values())
