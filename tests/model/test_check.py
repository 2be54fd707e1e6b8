import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.model.check import CheckSpec, Definition, HttpCheck, Status, TcpCheck, Thresholds, TtlCheck, clip_output, validate, worst
from callboard.model.errors import InvalidError
from callboard.model.time import MILLISECOND, SECOND, Duration

URL = "http://127.0.0.1:8080/health"


@pytest.mark.parametrize(
    ("definition", "field"),
    [
        (TtlCheck(Duration(0)), "ttl"),
        (TtlCheck(Duration(10**20)), "ttl"),
        (TtlCheck(SECOND, deregister_after=MILLISECOND), "deregister_after"),
        (HttpCheck(URL, Duration(SECOND - 1)), "interval"),
        (HttpCheck(URL, SECOND, timeout=Duration(0)), "timeout"),
        (HttpCheck(URL, SECOND, output_max_bytes=0), "output_max_bytes"),
        (HttpCheck(URL, SECOND, output_max_bytes=4097), "output_max_bytes"),
        (HttpCheck(URL, SECOND, thresholds=Thresholds(failures_before_warning=-1)), "thresholds"),
        (HttpCheck(URL, SECOND, thresholds=Thresholds(failures_before_warning=3, failures_before_critical=2)), "failures_before_warning"),
        (HttpCheck("https://127.0.0.1/", SECOND), "http url"),
        (HttpCheck("http://", SECOND), "http url"),
        (HttpCheck("http://h:0/", SECOND), "http url"),
        (HttpCheck("http://h:99999/", SECOND), "http url"),
        (HttpCheck("http://[::1/", SECOND), "http url"),
        (HttpCheck("http://h/a b", SECOND), "http url"),
        (HttpCheck("http://h/\r\nX: y", SECOND), "http url"),
        (HttpCheck("http://h/" + "x" * 3000, SECOND), "http url"),
        (HttpCheck(URL, SECOND, method="GET /"), "http method"),
        (HttpCheck(URL, SECOND, method=""), "http method"),
        (HttpCheck(URL, SECOND, headers=(("X", "a\r\nY: b"),)), "http headers"),
        (HttpCheck(URL, SECOND, headers=(("X:", "a"),)), "http headers"),
        (HttpCheck(URL, SECOND, headers=(("", "a"),)), "http headers"),
        (HttpCheck(URL, SECOND, headers=(("X", "a"),) * 65), "http headers"),
        (HttpCheck(URL, SECOND, body="x" * 70_000), "http body"),
        (TcpCheck("", 80, SECOND), "tcp host"),
        (TcpCheck("h", 0, SECOND), "tcp port"),
        (TcpCheck("h", 65536, SECOND), "tcp port"),
    ],
)
def test_a_definition_nobody_could_run_is_refused_with_its_field(definition: Definition, field: str) -> None:
    with pytest.raises(InvalidError) as refused:
        validate(definition)
    assert refused.value.field == field
    assert str(refused.value).startswith(field)
    with pytest.raises(InvalidError):
        CheckSpec(id="c", definition=definition)


@pytest.mark.parametrize(
    "definition",
    [
        TtlCheck(MILLISECOND),
        TtlCheck(SECOND, deregister_after=SECOND),
        HttpCheck(
            "http://user:pass@[::1]:80/x?y=%20#z", SECOND, timeout=MILLISECOND, method="PROPFIND", headers=(("X-Y", "ä"),), body="{}"
        ),
        TcpCheck("::1", 65535, SECOND),
    ],
)
def test_the_smallest_and_oddest_that_can_be_run_are_taken(definition: Definition) -> None:
    validate(definition)


@given(st.text(st.characters(codec="utf-8"), max_size=60), st.integers(1, 80))
def test_an_output_is_clipped_to_bytes_and_says_how_many_there_were(output: str, limit: int) -> None:
    clipped = clip_output(output, limit)
    size = len(output.encode())
    if size <= limit:
        assert clipped == output
    else:
        kept, _, note = clipped.rpartition(" ... (captured ")
        assert note == f"{limit} of {size} bytes)"
        assert output.startswith(kept)
        assert limit - 3 <= len(kept.encode()) <= limit


@given(st.lists(st.sampled_from(Status)))
def test_the_worst_status_wins_and_nothing_is_passing(statuses: list[Status]) -> None:
    order = [Status.PASSING, Status.WARNING, Status.CRITICAL, Status.MAINTENANCE]
    assert worst(statuses) is order[max((order.index(status) for status in statuses), default=0)]


@given(st.sampled_from([TtlCheck(SECOND), HttpCheck(URL, SECOND, headers=(("a", "b"),)), TcpCheck("h", 1, SECOND)]))
def test_definitions_survive_json_and_can_be_keys(definition: Definition) -> None:
    again = msgspec.json.decode(msgspec.json.encode(definition), type=HttpCheck | TcpCheck | TtlCheck)
    assert again == definition
    assert len({again, definition}) == 1
