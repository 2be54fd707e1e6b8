"""How checks are asked, as it is told to people: enough to find the cause, and no secret."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.frontend.native.translate_asked import asked
from callboard.model.check import (
    AliasCheck,
    Definition,
    GrpcCheck,
    H2pingCheck,
    HttpCheck,
    MaintenanceCheck,
    ManualCheck,
    OsServiceCheck,
    ScriptCheck,
    TcpCheck,
    TtlCheck,
    UdpCheck,
)
from callboard.model.time import MILLISECOND, SECOND, Duration

S = Duration(SECOND)
SAFE = st.text("abcdefgh0123456789", min_size=8, max_size=8)


@dataclass
class Told:
    """What is told of a definition."""

    definition: Definition
    target: str
    interval_ms: int = 1000


@pytest.mark.parametrize(
    "told",
    [
        Told(HttpCheck(url="http://10.0.0.7:8080/health", interval=S, method="HEAD"), "HEAD http://10.0.0.7:8080/health"),
        Told(TcpCheck(host="10.0.0.7", port=80, interval=S), "10.0.0.7:80"),
        Told(UdpCheck(host="::1", port=53, interval=S), "[::1]:53"),
        Told(GrpcCheck(host="web", port=1, interval=S), "web:1"),
        Told(H2pingCheck(host="web", port=1, interval=S), "web:1"),
        Told(OsServiceCheck(service="nginx", interval=S), "nginx"),
        Told(ScriptCheck(args=("/bin/check", "--password", "x"), interval=S), "/bin/check"),
        Told(AliasCheck(alias_node="host-1", alias_service="web"), "web on host-1", 0),
        Told(ManualCheck(), "", 0),
        Told(MaintenanceCheck(), "", 0),
        Told(TtlCheck(S), "", 0),
    ],
    ids=lambda told: type(told.definition).__name__,
)
def test_every_kind_tells_whom_it_asks_and_how_often(told: Told) -> None:
    found = asked(told.definition)
    assert (found.target, found.interval_ms) == (told.target, told.interval_ms)


def test_lengths_are_whole_milliseconds() -> None:
    found = asked(HttpCheck(url="http://h/", interval=S, timeout=Duration(250 * MILLISECOND)))
    assert (found.interval_ms, found.timeout_ms, found.ttl_ms) == (1000, 250, 0)
    assert asked(TtlCheck(Duration(30 * SECOND))).ttl_ms == 30_000


@given(user=SAFE, word=SAFE, token=SAFE)
def test_a_url_tells_neither_password_nor_parameters(user: str, word: str, token: str) -> None:
    check = HttpCheck(url=f"http://{user}:{word}@host/path?token={token}", interval=S, headers=(("authorization", word),), body=token)
    assert asked(check).target == "GET http://host/path?..."
