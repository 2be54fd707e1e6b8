"""What many rows say alike is one object, however the rows came: that is what a million instances fit by."""

from collections.abc import Iterable

from callboard.core.catalog import commands as cmd
from callboard.core.catalog.loading import Loader
from callboard.core.catalog.view import View
from callboard.model.check import CheckSpec, Status, TtlCheck
from callboard.model.instance import InstanceSpec, NodeSpec, Placed
from callboard.model.rows import Row
from callboard.model.time import SECOND, Duration
from tests.core.histories import Maker, fixed
from tests.core.world import World, picture

NODE = NodeSpec(name="n1", address="10.0.0.1")


def registration(name: str, port: int = 8080) -> Maker:
    check = CheckSpec(id=f"check of {name}", name="alive", definition=TtlCheck(Duration(9 * SECOND)), status=Status.PASSING)
    spec = InstanceSpec(service="web", id=f"instance {name}", address="10.20.30.40", port=port, tags=("a", "b"), meta={"k": "v"})
    return fixed(cmd.Register(nonce=f"nonce {name}", node=NODE, instance=spec, checks=(cmd.Attached(spec.id, check),)))


def world() -> World:
    made = World()
    for name in ("one", "two"):
        made.do(registration(name))
    return made


def placed(view: View, name: str) -> Placed:
    found = view.placed("public", "n1", f"instance {name}")
    assert found is not None
    return found


def loaded(made: World, rows: Iterable[Row]) -> View:
    loader = Loader()
    loader.add(rows)
    view = loader.finish(made.view.position)
    assert picture(view) == picture(made.view)
    return view


def require_shared(view: View) -> None:
    """Parts of a check and its instance, and parts of two instances."""
    one, two = placed(view, "one"), placed(view, "two")
    for each in (one, two):
        instance, (check,) = each.instance, each.checks
        assert check.instance is instance.id
        assert check.nonce is instance.nonce
        assert check.parent is instance.nonce
        assert next(key for key in view.spaces["public"].by_node["n1"] if key == instance.id) is instance.id
        assert view.holders("public", "n1")[check.id] is instance.id
    for field in ("service", "node", "tags", "meta", "port"):
        assert getattr(one.instance, field) is getattr(two.instance, field), field
    for field in ("name", "definition", "node"):
        assert getattr(one.checks[0], field) is getattr(two.checks[0], field), field


def test_a_check_shares_with_its_instance_and_instances_with_each_other_in_whatever_order_their_rows_came() -> None:
    made = world()
    require_shared(made.view)
    require_shared(loaded(made, made.rows.values()))
    require_shared(loaded(made, sorted(made.rows.values())))
    require_shared(loaded(made, sorted(made.rows.values(), reverse=True)))


def test_a_row_that_is_written_again_shares_with_what_it_was() -> None:
    made = world()
    before = placed(made.view, "one")
    for name in ("one", "two"):
        made.do(registration(name, port=9090))
    made.do(fixed(cmd.ReportCheck(target=cmd.Target("n1", "check of one"), status=Status.WARNING, output="slow")))
    after = placed(made.view, "one")
    assert (after.instance.port, after.checks[0].status) == (9090, Status.WARNING)
    for field in ("id", "nonce", "address", "created"):
        assert getattr(after.instance, field) is getattr(before.instance, field), field
    for field in ("id", "nonce", "created", "instance", "parent"):
        assert getattr(after.checks[0], field) is getattr(before.checks[0], field), field
    require_shared(made.view)
