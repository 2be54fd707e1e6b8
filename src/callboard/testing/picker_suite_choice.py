"""Cases of the picker suite: who may be picked, and how often."""

from math import nextafter

from callboard.testing.picker_suite_kit import Make, Play, endpoints, unlike

DRAWS_COUNT = 100_000


def only_given_endpoints_are_picked(make: Make) -> None:
    """What comes out is what went in."""
    given = endpoints([1, 5, 2, 0])
    play = Play(make(given))
    for _ in range(500):
        picked = play.must_pick()
        assert any(picked.endpoint is endpoint for endpoint in given), f"{picked.endpoint.key} was not given"
        picked.done(play.now)


def every_endpoint_is_picked(make: Make) -> None:
    """Nobody is left waiting."""
    given = endpoints([1] * 7)
    assert set(Play(make(given)).shares(1_000)) == {endpoint.key for endpoint in given}


def of_none_nobody_is_picked(make: Make) -> None:
    """No endpoints, no pick, no error."""
    picker = make([])
    assert picker.endpoints == ()
    assert Play(picker).pick() is None


def of_one_that_one_is_picked(make: Make) -> None:
    """However much it has to do."""
    play = Play(make(endpoints([3])))
    assert {play.must_pick().endpoint.id for _ in range(100)} == {"a"}


def of_thousands_many_are_picked(make: Make) -> None:
    """Two thousand calls at once to five thousand endpoints do not meet at a few."""
    play = Play(make(endpoints([1] * 5_000)))
    busy = {play.must_pick().endpoint.key for _ in range(2_000)}
    assert len(busy) > 1_400, f"only {len(busy)} endpoints are busy"


def any_chance_and_any_moment_will_do(make: Make) -> None:
    """The ends of chance, and clocks read in another order than the calls are made."""
    for weights in ([1] * 3, [1, 3], [2, 0, 1], [65_535, 1, 1], [1], [0, 0]):
        picker = make(endpoints(weights))
        for chance in (0.0, 5e-324, 2**-53, 1 / 3, 0.5, nextafter(1, 0)):
            for start, end in ((0, 0), (10**18, 10**18 + 1), (5, 10**9), (10**9, 5)):
                picked = picker.pick(start, chance)
                assert picked is not None
                picked.done(end)


def nobody_avoided_is_picked(make: Make) -> None:
    """Whether one or all but one are avoided."""
    for weights in ([1] * 5, [1, 7, 2, 2, 3]):
        given = endpoints(weights)
        play = Play(make(given))
        keys = [endpoint.key for endpoint in given]
        for avoided in (keys[:1], keys[1:3], keys[:4]):
            assert not set(play.shares(300, frozenset(avoided))) & set(avoided)


def when_all_are_avoided_nobody_is_picked(make: Make) -> None:
    """A retry that has tried everybody is told so."""
    for weights in ([1], [1, 1], [1, 2, 3], [0, 1]):
        given = endpoints(weights)
        assert Play(make(given)).pick({endpoint.key for endpoint in given}) is None


def the_share_of_who_is_avoided_goes_to_all_others(make: Make) -> None:
    """And not to the neighbour in the list."""
    given = endpoints([1] * 6)
    avoid = {given[2].key, given[3].key}
    shares = Play(make(given)).shares(4_000, avoid)
    assert all(500 < shares[endpoint.key] < 1_600 for endpoint in given if endpoint.key not in avoid), dict(shares)


def shares_follow_the_weights(make: Make) -> None:
    """Chi-squared at p > .001 over 100,000 calls of which each ends before the next begins."""
    for weights in ([1, 2, 3, 4], [1, 1, 1, 1, 1], [90, 9, 1, 0]):
        given = endpoints(weights)
        shares = Play(make(given)).shares(DRAWS_COUNT)
        expected = {endpoint.key: float(endpoint.weight) for endpoint in given if endpoint.weight}
        assert unlike(shares, expected) < 1, dict(shares)


def who_weighs_more_is_picked_more(make: Make) -> None:
    """Also by policies that look at something else first."""
    given = endpoints([1, 10])
    light, heavy = (endpoint.key for endpoint in given)
    shares = Play(make(given)).shares(2_000)
    assert shares[heavy] > shares[light]


def weight_0_waits_until_nobody_else_is_left(make: Make) -> None:
    """It takes no call while another endpoint may; then it does."""
    given = endpoints([0, 1, 1])
    zero, *others = (endpoint.key for endpoint in given)
    play = Play(make(given))
    assert zero not in play.shares(500)
    assert zero not in play.shares(500, {others[0]})
    assert set(play.shares(10, set(others))) == {zero}


def when_all_weigh_0_all_are_picked(make: Make) -> None:
    """Somebody has to."""
    assert len(Play(make(endpoints([0] * 4))).shares(500)) == 4


def the_set_does_not_change_with_the_list_it_was_made_of(make: Make) -> None:
    """A list may be used again."""
    given = endpoints([1, 1, 1])
    kept = tuple(given)
    picker = make(given)
    given[:] = endpoints([1] * 9)[6:]
    assert picker.endpoints == kept
    assert set(Play(picker).shares(300)) == {endpoint.key for endpoint in kept}


def a_successor_does_not_change_its_predecessor(make: Make) -> None:
    """Threads that still hold the old one go on."""
    picker = make(endpoints([1, 1]))
    picker.successor(endpoints([1] * 5)[2:])
    assert set(Play(picker).shares(200)) == {"n/a", "n/b"}
