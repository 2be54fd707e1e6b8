import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.model.check import (
    AliasCheck,
    CheckSpec,
    Definition,
    GrpcCheck,
    H2pingCheck,
    HttpCheck,
    MaintenanceCheck,
    ManualCheck,
    OsServiceCheck,
    ScriptCheck,
    Status,
    TcpCheck,
    Thresholds,
    TlsOptions,
    TtlCheck,
    UdpCheck,
    clip_output,
    validate,
    worst,
)
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
        (HttpCheck("ftp://127.0.0.1/", SECOND), "http url"),
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
        (HttpCheck(URL, SECOND, tls=TlsOptions("a\n")), "tls_server_name"),
        (UdpCheck("", 80, SECOND), "udp host"),
        (UdpCheck("h", 80, Duration(1)), "interval"),
        (GrpcCheck("h", 0, SECOND), "grpc port"),
        (GrpcCheck("h", 1, SECOND, "x" * 5000), "grpc service"),
        (H2pingCheck("h", 65536, SECOND), "h2ping port"),
        (H2pingCheck("h", 1, SECOND, tls=TlsOptions("ä")), "tls_server_name"),
        (ScriptCheck((), SECOND), "script args"),
        (ScriptCheck(("", "x"), SECOND), "script args"),
        (ScriptCheck(("x", "a\0b"), SECOND), "script args"),
        (ScriptCheck(("x",) * 65, SECOND), "script args"),
        (ScriptCheck(("x", "y" * 4096), SECOND), "script args"),
        (ScriptCheck(("x",), SECOND, timeout=Duration(0)), "timeout"),
        (OsServiceCheck("", SECOND), "os_service"),
        (OsServiceCheck("--help", SECOND), "os_service"),
        (OsServiceCheck("a b", SECOND), "os_service"),
        (AliasCheck(), "alias_service"),
        (AliasCheck("n\n"), "alias_node"),
        (AliasCheck("", "x" * 300), "alias_service"),
        (AliasCheck("n", deregister_after=MILLISECOND), "deregister_after"),
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
        UdpCheck("::1", 1, SECOND),
        GrpcCheck("h", 1, SECOND, "a.b/C", tls=TlsOptions("xn--4ca.example", skip_verify=True)),
        ScriptCheck(("/bin/sh", "-c", "echo ä\n"), SECOND),
        OsServiceCheck("user@1000.service", SECOND),
        AliasCheck("N1", ""),
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


@pytest.mark.parametrize(
    "definition",
    [
        TtlCheck(SECOND), HttpCheck(URL, SECOND, headers=(("a", "b"),)), HttpCheck(URL, SECOND, tls=TlsOptions("x")),
        TcpCheck("h", 1, SECOND), TcpCheck("h", 1, SECOND, tls=TlsOptions()), UdpCheck("h", 1, SECOND), GrpcCheck("h", 1, SECOND, "s"),
        H2pingCheck("h", 1, SECOND, tls=TlsOptions(skip_verify=True)), ScriptCheck(("a", "b"), SECOND), OsServiceCheck("x", SECOND),
        AliasCheck("n", "s"), ManualCheck("k"), MaintenanceCheck(),
    ],
)  # fmt: skip
def test_definitions_survive_json_and_can_be_keys(definition: Definition) -> None:
    again = msgspec.json.decode(msgspec.json.encode(definition), type=Definition)
    assert again == definition
    assert len({again, definition}) == 1
