"""What an older member would drop is not written before it has left; what it knows is never held back."""

import pytest

from callboard.core.catalog import commands as cmd
from callboard.core.catalog.levels import level_of
from callboard.model.check import (
    AliasCheck,
    CheckSpec,
    Definition,
    GrpcCheck,
    HttpCheck,
    MaintenanceCheck,
    ManualCheck,
    Status,
    TcpCheck,
    TlsOptions,
    TtlCheck,
)
from callboard.model.instance import InstanceSpec, NodeSpec
from callboard.model.service import Locality, NamedPort
from callboard.model.time import SECOND, Duration

NODE = NodeSpec(name="n", address="10.0.0.1")
SPAN = Duration(SECOND)


def registration(**fields: object) -> cmd.Register:
    return cmd.Register(nonce="r", node=NODE, instance=InstanceSpec(service="web", id="web", **fields))  # type: ignore[arg-type]  # as given


@pytest.mark.parametrize(
    ("fields", "level"),
    [
        ({"port": 80, "tags": ("a",), "enable_tag_override": True, "address": "x"}, 1),
        ({"ports": (NamedPort("a", 1, default=True),)}, 2),
        ({"socket_path": "/x"}, 2),
        ({"proxy": "{}"}, 2),
        ({"kind": "connect-proxy", "destination": "db"}, 2),
        ({"kind": "mesh-gateway"}, 2),
        ({"connect_native": True}, 2),
        ({"locality": Locality("eu")}, 2),
    ],
)
def test_fields_of_an_instance_need_the_level_that_brought_them(fields: dict[str, object], level: int) -> None:
    assert level_of(registration(**fields)) == level


@pytest.mark.parametrize(
    ("definition", "level"),
    [
        (TtlCheck(SPAN), 1), (HttpCheck("http://x/", SPAN), 1), (TcpCheck("x", 1, SPAN), 1), (ManualCheck(), 1), (MaintenanceCheck(), 1),
        (HttpCheck("https://x/", SPAN), 2), (HttpCheck("http://x/", SPAN, tls=TlsOptions(skip_verify=True)), 2),
        (TcpCheck("x", 1, SPAN, tls=TlsOptions()), 2), (GrpcCheck("x", 1, SPAN), 2), (AliasCheck(alias_service="a"), 2),
    ],
)  # fmt: skip
def test_checks_need_the_level_that_brought_their_kind(definition: Definition, level: int) -> None:
    check = CheckSpec(id="c", definition=definition)
    assert level_of(cmd.RegisterCheck(nonce="r", node=NODE, check=check)) == level
    assert level_of(cmd.Register(nonce="r", node=NODE, checks=(cmd.Attached("", check),))) == level


def test_other_commands_are_understood_by_everybody() -> None:
    assert level_of(cmd.ReportCheck(target=cmd.Target("n", "c"), status=Status.PASSING)) == 1
    assert level_of(cmd.DeregisterNode("n")) == 1
    sidecar = cmd.Sidecar(instance=InstanceSpec(service="p", id="p"), listens_at="x")
    assert level_of(cmd.Register(nonce="r", node=NODE, instance=InstanceSpec(service="w", id="w"), sidecar=sidecar)) == 2
