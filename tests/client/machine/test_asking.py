import itertools

from hypothesis import given
from hypothesis import strategies as st

from callboard.client.machine.asking import fits, portions

NAMES = st.lists(st.text(min_size=1, max_size=255), unique=True, max_size=200) | st.lists(
    st.text("ab", min_size=1, max_size=8), unique=True
)


@given(NAMES)
def test_portions_are_all_of_them_and_each_fits(services: list[str]) -> None:
    found = portions(services)
    assert [service for portion in found for service in portion] == services
    assert all(portion and fits(portion) for portion in found)
    assert (len(found) <= 1) == fits(services)
    assert not any(fits((*portion, after[0])) for portion, after in itertools.pairwise(found)), "none is smaller than need be"


def test_long_names_make_more_portions() -> None:
    assert [len(portion) for portion in portions([f"{number:0200}" for number in range(60)])] == [19, 19, 19, 3]
