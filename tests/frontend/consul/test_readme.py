"""The README names every route, setting and metric there is, and no other."""

import re
from pathlib import Path

from callboard import frontend
from callboard.frontend.consul.settings import ConsulSettings, ConsulStats
from tests.frontend.consul.harness import consul
from tests.support import run

README = (Path(frontend.__file__).parent / "consul" / "README.md").read_text("utf-8")


def test_the_routes_are_those_of_the_table() -> None:
    async def scenario() -> None:
        async with consul(ConsulSettings(get_writes=False), opened=False) as door:
            named = re.findall(r"^\| (GET|PUT|POST|DELETE) \| `([^`]+)` \|", README, re.MULTILINE)
            assert sorted(named) == sorted((route.method, route.path) for route in door.site.routes)

    run(scenario())


def test_the_settings_are_those_of_the_struct() -> None:
    settings = README.partition("\n## Settings\n")[2].partition("\n## ")[0]
    named = dict(re.findall(r"^\| `(\w+)` \| (\w+) \|", settings, re.MULTILINE))
    defaults = {name: str(getattr(ConsulSettings(), name)).lower() for name in ConsulSettings.__struct_fields__}
    assert named == defaults


def test_the_metrics_are_those_that_are_counted() -> None:
    named = re.findall(r"`callboard_consul_(\w+)_total`", README)
    assert named == list(ConsulStats.__slots__)
