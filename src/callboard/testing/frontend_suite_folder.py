"""Cases of the frontend suite about the folder: its name, its settings, and a README that tells everything there is to set and ask."""

import importlib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from callboard.frontend.base import Plugin
from callboard.server.telemetry import fields_of, metric_name
from callboard.testing.frontend_suite_kit import Ability
from callboard.testing.frontend_suite_stage import Stage

HEADINGS: Final = ("Description", "Settings", "Metrics", "Deviations")
"""Every README has these, and `EXAMPLES`."""
EXAMPLES: Final = ("Routes", "Examples")
"""At least one of them."""


def its_name_is_its_folder(stage: Stage) -> None:
    """So that settings, metrics and code are found by one word."""
    plugin = stage.harness.plugin
    assert _folder(plugin).name == plugin.name


def its_defaults_work(stage: Stage) -> None:
    """Settings can be made without saying anything, and every field with a number says its unit."""
    settings = stage.harness.plugin.settings()
    for name in settings.__struct_fields__:
        value = getattr(settings, name)
        if isinstance(value, int) and not isinstance(value, bool) and not re.search(r"(^|_)(port|scale)$", name):
            assert re.search(r"_(ms|s|us|bytes|count|chars)(_|$)|_max$", name), f"{name} does not say its unit"


def what_it_cannot_do_is_declared(stage: Stage) -> None:
    """With a reason; and it has sites exactly when it speaks HTTP."""
    harness = stage.harness
    assert all(reason.strip() for reason in harness.cannot.values()), "say why"
    with stage.world() as world:
        sites = world.door(harness).frontend.sites
        assert bool(sites) is (Ability.HTTP not in harness.cannot), "it has sites if, and only if, it speaks HTTP"
        idle = Ability.HTTP not in harness.cannot and harness.cannot.keys() >= set(Ability) - {Ability.HTTP}
        assert idle is bool(harness.only_shows.strip()), "it can do nothing" if idle else "it can do more than show"


def its_readme_has_the_headings(stage: Stage) -> None:
    """A title, and the sections one looks for."""
    text = _readme(stage.harness.plugin)
    assert text.startswith("# "), "the README begins with its title"
    headings = {heading.strip() for line in re.findall(r"^#+ +(.+)$", text, re.MULTILINE) for heading in re.split(r"[/,]| and ", line)}
    assert not set(HEADINGS) - headings, f"the README has no heading {sorted(set(HEADINGS) - headings)}"
    assert headings & set(EXAMPLES), f"the README has none of the headings {EXAMPLES}"


def its_readme_names_every_setting(stage: Stage) -> None:
    """By field name."""
    _expect_named(stage, stage.harness.plugin.settings.__struct_fields__)


def its_readme_names_every_route(stage: Stage) -> None:
    """By path."""
    with stage.world() as world:
        sites = world.door(stage.harness).frontend.sites
        _expect_named(stage, {route.path.rstrip("/") for site in sites for route in site.routes})


def its_readme_names_every_counter(stage: Stage) -> None:
    """By the name of the metric."""
    with stage.world() as world:
        stats = world.door(stage.harness).frontend.stats
        names = [name for name, _ in fields_of(stats)] if stats is not None else []
        _expect_named(stage, [metric_name(stage.harness.plugin.name, name) for name in names])


def _expect_named(stage: Stage, names: Iterable[str]) -> None:
    text = _readme(stage.harness.plugin)
    missing = [name for name in names if not re.search(rf"(?<![\w/-]){re.escape(name)}(?![\w-])", text)]
    assert not missing, f"the README does not name {missing}"


def _folder(plugin: "Plugin[object]") -> Path:  # type: ignore[type-var]  # whatever its settings are
    file = importlib.import_module(plugin.build.__module__).__file__
    assert file is not None
    return Path(file).parent


def _readme(plugin: "Plugin[object]") -> str:  # type: ignore[type-var]  # whatever its settings are
    return (_folder(plugin) / "README.md").read_text("utf-8")
