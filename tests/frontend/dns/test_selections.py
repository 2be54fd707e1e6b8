"""Tags and named ports of large services: told as by a walk through all instances, and made-up ones cost no such walk."""

from collections.abc import Iterator, Mapping
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from callboard.core.catalog import commands as cmd
from callboard.core.catalog.view import Place
from callboard.frontend.dns.selections import Selections
from callboard.model.instance import Placed
from callboard.model.service import NamedPort
from tests.frontend.dns.world import World, a_world, data, registration

COUNT = 100
NUMBERS = st.integers(0, COUNT - 1)
STEP = st.tuples(st.sampled_from(["tag", "port", "leave", "move", "gone"]), NUMBERS, st.sampled_from(["V1", "v2"]))


def fill(world: World) -> None:
    world.do(*(registration("web", f"w{n}", address=f"10.0.0.{n + 1}", tags=["V1" if n % 2 else "v2"]) for n in range(COUNT)))


def step(world: World, what: str, number: int, word: str) -> None:
    name, address = f"w{number}", f"10.0.0.{number + 1}"
    if what == "gone":
        world.do(registration("web", name), cmd.DeregisterInstance(cmd.Target("n1", name)))
    else:
        specs: dict[str, dict[str, Any]] = {"tag": {"tags": [word]}, "port": {"ports": [NamedPort(word, 80, default=True)]}}
        spec = specs.get(what, {})
        world.register({"move": "Other", "leave": "WEB"}.get(what, "web"), name, address=address, **spec)


@settings(max_examples=20)
@given(st.lists(STEP, max_size=6))
def test_a_large_service_is_told_by_tag_and_port_as_a_new_look_tells_it(steps: list[tuple[str, int, str]]) -> None:
    with a_world() as world:
        fill(world)
        asked = world.asked()
        for what, number, word in [("tag", 0, "V1"), *steps]:
            step(world, what, number, word)
            for name in ("v1.web", "v2.web", "v3.web", "v2.port.web"):
                question = f"{name}.service.consul"
                assert sorted(data(asked.ask(question, tcp=True))) == sorted(data(world.asked().ask(question, tcp=True)))


class Counted(dict[Place, Placed]):
    """Counts how often somebody walks through it."""

    walks = 0

    def items(self) -> Any:
        self.walks += 1
        return super().items()

    def values(self) -> Any:
        self.walks += 1
        return super().values()

    def __iter__(self) -> Iterator[Place]:
        self.walks += 1
        return super().__iter__()


def test_a_stream_of_tags_that_nobody_has_is_one_walk() -> None:
    with a_world() as world:
        fill(world)
        there: Mapping[Place, Placed] = world.registry.view.of_service("public", "web")
        members, selections = Counted(there), Selections()
        for number in range(1_000):
            assert selections.with_tag("web", members, f"x{number}") == []
            assert selections.with_port("Web", members, f"x{number}") == []
        assert members.walks == 1
        assert len(selections.with_tag("web", members, "v1")) == COUNT // 2
