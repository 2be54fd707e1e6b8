from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from callboard.balance.endpoint import Endpoint, Locality
from callboard.balance.selector import Selection, Selector, select, select_or_panic
from callboard.balance.zones import in_zone, zone_aware
from callboard.model.check import Status
from callboard.model.errors import InvalidError
from callboard.model.instance import Phase


def make(
    name: str, version: str = "", *, status: str = "passing", phase: str = "serving", zone: str = "", tags: Sequence[str] = (),
    weight: int = 1, **labels: str,
) -> Endpoint:  # fmt: skip
    known = {"version": version, "zone": zone, **labels}
    return Endpoint(
        key=f"n/{name}", id=name, node="n", address="127.0.0.1", port=8000, weight=weight, status=Status(status), phase=Phase(phase),
        tags=tuple(tags), labels={label: value for label, value in known.items() if value},
    )  # fmt: skip


def kept(selection: Selection) -> str:
    return "".join(endpoint.id for endpoint in selection.kept)


def reasons(selection: Selection) -> dict[str, str]:
    return {judged.endpoint.id: judged.reason for judged in selection.considered}


def test_an_endpoint_tells_its_version_and_place() -> None:
    endpoint = make("a", "2.1.0", zone="b", region="eu", sub_zone="r7")
    assert endpoint.version == "2.1.0"
    assert endpoint.locality == Locality("eu", "b", "r7")
    assert make("a").version == ""
    assert make("a").locality == Locality()


# -- health


def test_who_serves_and_passes_or_warns_is_kept_and_everyone_has_a_reason() -> None:
    everyone = [
        make("a"), make("b", status="warning"), make("c", status="critical"), make("d", status="maintenance"), make("e", phase="draining"),
        make("f", phase="starting"),
    ]  # fmt: skip
    selection = select(Selector(), everyone)
    assert kept(selection) == "ab"
    assert reasons(selection) == {"a": "passing", "b": "warning", "c": "critical", "d": "maintenance", "e": "draining", "f": "starting"}
    assert [judged.kept for judged in selection.considered] == [True, True, False, False, False, False]
    assert kept(select(Selector(passing_only=True), everyone)) == "a"
    assert not selection.panic
    assert not selection.fell_back


def test_without_panic_nobody_is_kept_when_nobody_is_fit() -> None:
    assert kept(select(Selector(), [make("a", status="critical")])) == ""


@pytest.mark.parametrize(
    ("statuses", "expected", "panic"),
    [
        ("pppp", "abcd", False),
        ("ppcc", "ab", False),  # half pass: enough
        ("ppww", "ab", False),
        ("pwcc", "ab", False),  # a quarter passes: warnings too
        ("pccc", "abcd", True),  # still a quarter: all that serve
        ("cccc", "abcd", True),
        ("wwww", "abcd", False),
        ("pcmm", "a", False),  # who is in maintenance does not count
        ("mmmm", "", False),
        ("c", "a", True),
    ],
)
def test_panic(statuses: str, expected: str, panic: bool) -> None:
    words = {"p": "passing", "w": "warning", "c": "critical", "m": "maintenance"}
    everyone = [make(chr(ord("a") + place), status=words[letter]) for place, letter in enumerate(statuses)]
    selection = select_or_panic(Selector(), everyone)
    assert kept(selection) == expected
    assert selection.panic == panic


def test_panic_never_calls_who_drains_starts_or_is_in_maintenance() -> None:
    away = [make("a", phase="draining"), make("b", phase="starting"), make("c", status="maintenance")]
    assert kept(select_or_panic(Selector(), away)) == ""
    assert kept(select_or_panic(Selector(), [*away, make("d", status="critical")])) == "d"


def test_the_share_of_a_panic_can_be_chosen() -> None:
    everyone = [make("a"), make("b", status="critical"), make("c", status="critical")]
    assert kept(select_or_panic(Selector(), everyone, 0.3)) == "a"
    assert kept(select_or_panic(Selector(), everyone, 0.0)) == "a"
    assert kept(select_or_panic(Selector(), everyone, 0.5)) == "abc"


def test_passing_only_leaves_warnings_out_until_there_is_panic() -> None:
    everyone = [make("a"), make("b", status="warning"), make("c", status="warning"), make("d", status="critical")]
    assert kept(select_or_panic(Selector(), everyone)) == "abc"
    assert kept(select_or_panic(Selector(passing_only=True), everyone)) == "abcd"


# -- tags, labels, versions


def test_all_tags_and_labels_are_needed() -> None:
    everyone = [make("a", tags=["x", "y"], env="prod"), make("b", tags=["x"], env="prod"), make("c", tags=["x", "y"], env="test")]
    selection = select(Selector(tags=("x", "y"), labels={"env": "prod"}), everyone)
    assert kept(selection) == "a"
    assert reasons(selection) == {"a": "passing", "b": "tag y missing", "c": "lacks label env=prod"}


VERSIONS = [make("a", "1.9.0"), make("b", "2.1.0"), make("c", "2.2.0"), make("d", "v2.2"), make("e"), make("f", "2.3.0-rc.1")]


def test_a_range_of_versions() -> None:
    selection = select(Selector(version="^2.1"), VERSIONS)
    assert kept(selection) == "bcd"
    assert reasons(selection) == {
        "a": "version 1.9.0 is not ^2.1", "b": "passing", "c": "passing", "d": "passing", "e": "has no version, ^2.1 is wanted",
        "f": "version 2.3.0-rc.1 is not ^2.1",
    }  # fmt: skip


def test_the_latest_and_the_oldest() -> None:
    latest = select(Selector(version="^2", prefer="latest"), VERSIONS)
    assert kept(latest) == "cd"
    assert reasons(latest)["b"] == "version 2.1.0 is not the latest, 2.2.0"
    assert kept(select(Selector(version="^2", prefer="oldest"), VERSIONS)) == "b"
    assert kept(select(Selector(prefer="latest"), VERSIONS)) == "f"
    assert kept(select(Selector(prefer="latest"), [make("a"), make("b", "dev")])) == "ab", "without versions none is preferred"


def test_a_new_version_that_is_not_fit_yet_takes_nobody_away() -> None:
    for fresh in (make("c", "3.0.0", phase="starting"), make("c", "3.0.0", status="critical")):
        everyone = [make("a", "2.0.0"), make("b", "1.0.0"), fresh]
        assert kept(select(Selector(prefer="latest"), everyone)) == "a"
        assert kept(select_or_panic(Selector(prefer="latest"), everyone)) == "a"
        assert reasons(select(Selector(prefer="latest"), everyone))["c"] in {"starting", "critical"}


def test_fallbacks() -> None:
    old = [make("a", "1.9.0"), make("b", "1.2.0"), make("c", "0.9.0"), make("d")]
    assert kept(select(Selector(version="^2"), old)) == ""
    anybody = select(Selector(version="^2", fallback="any"), old)
    assert (kept(anybody), anybody.fell_back) == ("abcd", True)
    range_ = select(Selector(version="^2", fallback="^1", prefer="latest"), old)
    assert (kept(range_), range_.fell_back) == ("a", True)
    assert reasons(range_)["c"] == "version 0.9.0 is not ^2 or ^1"


def test_no_fallback_is_needed_while_the_range_has_somebody_fit() -> None:
    everyone = [make("a", "2.0.0"), make("b", "1.0.0")]
    selection = select(Selector(version="^2", fallback="any"), everyone)
    assert (kept(selection), selection.fell_back) == ("a", False)


def test_the_fallback_also_steps_in_for_versions_that_are_not_fit() -> None:
    everyone = [make("a", "2.0.0", status="critical"), make("b", "1.0.0"), make("c", "2.0.0", phase="draining")]
    for function in (select, select_or_panic):
        selection = function(Selector(version="^2", fallback="^1"), everyone)
        assert (kept(selection), selection.fell_back, selection.panic) == ("b", True, False)
        assert reasons(selection) == {"a": "critical", "b": "passing", "c": "draining"}


def test_panic_stays_with_the_range_when_the_fallback_is_not_fit_either() -> None:
    everyone = [make("a", "2.0.0", status="critical"), make("b", "1.0.0", status="critical")]
    selection = select_or_panic(Selector(version="^2", fallback="^1"), everyone)
    assert (kept(selection), selection.fell_back, selection.panic) == ("a", False, True)


@pytest.mark.parametrize(
    ("selector", "field"), [(Selector(version=">>1"), "version"), (Selector(version="^9", fallback="newest"), "fallback")]
)
def test_a_range_that_is_none_is_refused_by_its_name(selector: Selector, field: str) -> None:
    with pytest.raises(InvalidError) as caught:
        select(selector, VERSIONS)
    assert caught.value.field == field


# -- zones


def spread(**zones: int) -> list[Endpoint]:
    return [make(f"{zone}{number}", zone=zone) for zone, count in zones.items() for number in range(count)]


def shares(endpoints: Sequence[Endpoint]) -> dict[str, float]:
    total = sum(endpoint.weight for endpoint in endpoints)
    zones = {endpoint.locality.zone for endpoint in endpoints}
    return {zone: round(sum(e.weight for e in endpoints if e.locality.zone == zone) / total, 3) for zone in sorted(zones)}


def test_a_zone_that_carries_its_part_keeps_its_callers() -> None:
    selection = select(Selector(zone="a"), spread(a=3, b=3, c=3))
    assert {endpoint.locality.zone for endpoint in selection.kept} == {"a"}
    assert reasons(selection)["b0"] == "zone b: a has enough"


@pytest.mark.parametrize(("counts", "expected"), [
    ({"a": 7, "b": 13}, {"a": 1.0}),  # 70 % of an even share of 10
    ({"a": 6, "b": 14}, {"a": 0.6, "b": 0.4}),  # the zone serves 6 of the 10 its callers need
    ({"a": 3, "b": 9, "c": 12}, {"a": 0.375, "b": 0.268, "c": 0.357}),  # 3 of 8; the rest in proportion to b and c
    ({"a": 2, "b": 2}, {"a": 0.5, "b": 0.5}),  # too few to rely on
    ({"a": 1, "b": 9}, {"a": 0.1, "b": 0.9}),
    ({"b": 5, "c": 5}, {"b": 0.5, "c": 0.5}),  # nobody there
    ({"a": 4}, {"a": 1.0}),
])  # fmt: skip
def test_a_zone_serves_what_it_can_carry(counts: dict[str, int], expected: dict[str, float]) -> None:
    assert shares(zone_aware(spread(**counts), "a").endpoints) == expected


def test_without_a_zone_of_the_caller_nothing_changes() -> None:
    everyone = spread(a=3, b=9)
    assert zone_aware(everyone, "").endpoints == tuple(everyone)


def test_unhealthy_endpoints_do_not_carry() -> None:
    everyone = [*spread(a=1, b=4), *(make(f"x{number}", zone="a", status="critical") for number in range(3))]
    assert len(select(Selector(zone="a"), everyone).kept) == 5


def test_weight_0_stays_0_when_calls_are_handed_on() -> None:
    everyone = [*spread(a=3, b=12), make("z", zone="b", weight=0)]
    assert [endpoint.weight for endpoint in zone_aware(everyone, "a").endpoints][-1] == 0


@pytest.mark.parametrize(
    ("zone", "found"), [("z1", True), ("eu/z1", True), ("eu/z1/r7", True), ("us/z1", False), ("z2", False), ("eu", False)]
)
def test_zones_are_named_with_or_without_their_region(zone: str, found: bool) -> None:
    assert in_zone(make("a", zone="z1", region="eu", sub_zone="r7"), zone) == found


# -- all together

fleets = st.lists(
    st.builds(
        make,
        st.just(""),
        st.sampled_from(["", "1.0.0", "2.0.0", "2.1.0", "dev"]),
        status=st.sampled_from([status.value for status in Status]),
        phase=st.sampled_from([phase.value for phase in Phase]),
        zone=st.sampled_from(["", "a", "b"]),
        tags=st.sampled_from([[], ["x"]]),
    ),
    max_size=12,
)
selectors = st.builds(
    Selector,
    tags=st.sampled_from([(), ("x",)]),
    version=st.sampled_from(["", "^2", "^3", "*"]),
    prefer=st.sampled_from(["any", "latest", "oldest"]),
    fallback=st.sampled_from(["none", "any", "^1"]),
    passing_only=st.booleans(),
    zone=st.sampled_from(["", "a"]),
)


@given(fleets, selectors)
def test_what_is_kept_is_what_is_judged_so_and_panic_only_adds(fleet: list[Endpoint], selector: Selector) -> None:
    everyone = [replace(endpoint, key=f"n/{number}", id=str(number)) for number, endpoint in enumerate(fleet)]
    plain, panicked = select(selector, everyone), select_or_panic(selector, everyone)
    for selection in (plain, panicked):
        assert [endpoint.key for endpoint in selection.kept] == [judged.endpoint.key for judged in selection.considered if judged.kept]
        assert [judged.endpoint for judged in selection.considered] == everyone
        assert all(endpoint.phase is Phase.SERVING and endpoint.status is not Status.MAINTENANCE for endpoint in selection.kept)
    assert bool(panicked.kept) >= bool(plain.kept)
    assert all(judged.endpoint.status is not Status.CRITICAL for judged in plain.considered if judged.kept)
    if panicked.kept:
        assert select_or_panic(selector, everyone) == panicked
