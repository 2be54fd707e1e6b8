import msgspec
import pytest

from callboard.client.board_settings import BoardSettings, board_settings
from callboard.client.settings import ClientSettings
from callboard.model.errors import InvalidError
from tests.house.documents import ROOT

REFERENCE = (ROOT / "docs" / "reference.md").read_text("utf-8")


def test_what_is_said_comes_first_then_the_settings_then_the_environment() -> None:
    environment = {"CALLBOARD_URL": "http://e:1", "CALLBOARD_TOKEN": "e", "CALLBOARD_NAMESPACE": "e", "CALLBOARD_ZONE": "e"}
    own = BoardSettings(client=ClientSettings(urls=("http://s:1",), token="s"), namespace="s")
    assert board_settings({}) == BoardSettings()
    only = board_settings(environment)
    assert (only.client.urls, only.client.token, only.namespace, only.zone) == (("http://e:1",), "e", "e", "e")
    both = board_settings(environment, settings=own)
    assert (both.client.urls, both.client.token, both.namespace, both.zone) == (("http://s:1",), "s", "s", "e")
    said = board_settings(environment, "http://a:1,http://b:2", "t", settings=own, namespace="n", zone="z")
    assert (said.client.urls, said.client.token, said.namespace, said.zone) == (("http://a:1", "http://b:2"), "t", "n", "z")


@pytest.mark.parametrize(
    ("url", "urls"),
    [
        ("consul://10.0.0.1", ("http://10.0.0.1:8500",)),
        ("consul://10.0.0.1:85", ("http://10.0.0.1:85",)),
        ("consul://[::1]/below", ("http://[::1]:8500/below",)),
        ("consul://a,consul://b:1", ("http://a:8500", "http://b:1")),
        ("consul://a,b:1", ("http://a:8500", "http://b:1")),
    ],
)
def test_consul_is_a_scheme(url: str, urls: tuple[str, ...]) -> None:
    settings = board_settings({}, url)
    assert (settings.protocol, settings.client.urls) == ("consul", urls)


def test_a_board_speaks_one_protocol() -> None:
    with pytest.raises(InvalidError, match="one protocol"):
        board_settings({}, "consul://a,http://b:1")


def test_consul_s_token_is_for_consul_alone() -> None:
    environment = {"CONSUL_HTTP_TOKEN": "c"}
    assert board_settings(environment, "consul://a").client.token == "c"
    assert board_settings(environment, "http://a").client.token == ""
    assert board_settings({**environment, "CALLBOARD_TOKEN": "t"}, "consul://a").client.token == "t"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *((name, 0) for name in ("lease_ms", "port_wait_ms", "blocked_after_ms", "takeover_ms", "attempts_max_count", "call_timeout_ms")),
        *(
            (name, -1)
            for name in ("drain_notice_ms", "drain_finish_ms", "first_wait_ms", "snapshot_max_age_ms", "shrink_hold_ms", "digest_ms")
        ),
        ("shrink_share", 1.1),
        ("panic_share", -0.1),
        ("retry_share", 11.0),
        ("retry_floor_per_s", -1.0),
    ],
)
def test_a_value_that_breaks_its_rule_is_named(field: str, value: float) -> None:
    with pytest.raises(InvalidError, match=field):
        msgspec.structs.replace(BoardSettings(), **{field: value})


@pytest.mark.parametrize("struct", [BoardSettings, ClientSettings])
def test_every_setting_is_documented(struct: type[msgspec.Struct]) -> None:
    names = {field.name for field in msgspec.structs.fields(struct)} - {"client"}
    assert {name for name in names if f"{name}` |" not in REFERENCE} == set()
