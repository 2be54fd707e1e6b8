"""The page of figures: what it makes of results, and that the one in docs is made of those in bench/results."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from bench import report
from bench.figures import FAMILIES, FIGURES, LARGE, chosen
from bench.report_parts import FOLDER, RESULTS, TITLES
from tests.bench.results import curve, pair, result

AGAIN = "made anew by `.venv/bin/python -m bench.report`"


def written(folder: Path, **results: dict[str, Any]) -> tuple[str, dict[str, str]]:
    for name, content in results.items():
        (folder / f"{name}.json").write_text(json.dumps(content), "utf-8")
    return report.page(folder)


def test_the_page_in_docs_is_what_the_results_say() -> None:
    text, plots = report.page(RESULTS)
    assert report.TARGET.read_text("utf-8") == text, f"docs/benchmarks.md must be {AGAIN}"
    folder = report.TARGET.parent / FOLDER
    assert {path.stem: path.read_text("utf-8") for path in folder.glob("*.svg")} == plots, f"docs/benchmarks must be {AGAIN}"


def test_figures_stand_in_their_family_with_their_plot(tmp_path: Path) -> None:
    text, plots = written(tmp_path, latest=result(pair(), pair("dns_srv"), curve()))
    reads, dns = text.index("## Reads over HTTP"), text.index("## DNS")
    assert reads < text.index("![hot_health_read") < dns < text.index("![dns_srv") < text.index("![cost_curve")
    assert {"hot_health_read", "dns_srv", "cost_curve", "overview"} == set(plots)
    assert "0.9 (0.8 to 0.95)" in text


def test_every_picture_and_anchor_of_the_page_is_there(tmp_path: Path) -> None:
    beside = {"name": "Consul", "http": "127.0.0.1:8500", "cpu_known": True, "version": "1.22"}
    peer_pair = pair(peer_per_second=900, peer_cpu_us=300.0, peer_over_ours=30.0, peer_over_ours_least=29.0, peer_over_ours_most=31.0)
    peer_pair["samples"]["peer"] = [{"per_second": 900.0, "cpu_us": 300.0}]
    text, plots = written(
        tmp_path, latest=result(pair(), curve()), scale_1m=result(pair("scale_1m")), peer=result(peer_pair, peer=beside), picks=result()
    )
    assert {f"benchmarks/{name}.svg" for name in plots} == set(re.findall(r"\]\((benchmarks/[^)]+)\)", text))
    headings = {heading.lower().replace(" ", "-").replace(",", "") for heading in re.findall(r"^## (.+)$", text, re.MULTILINE)}
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= headings
    assert "**Consul 1.22**" in text
    assert "30.0 (29.0 to 31.0)" in text


def test_what_falls_short_is_said(tmp_path: Path) -> None:
    short = pair()
    short["values"]["of_bare"] = 0.5
    text, _ = written(tmp_path, latest=result(short, curve()))
    assert "| of_bare | at least 0.85 | 0.5 | **no** |" in text
    assert "| change_us_growth | at most 2.0 | 1.0 | yes |" in text


def test_what_was_not_measured_is_said(tmp_path: Path) -> None:
    text, _ = written(tmp_path, latest=result(pair(), absent={"workers_2": "not built"}, failed={"dns_a": "OSError: no"}))
    assert "Not measured: workers_2 (not built); dns_a (OSError: no)." in text


def test_a_result_of_an_older_program_is_told_too(tmp_path: Path) -> None:
    old = {name: value for name, value in pair().items() if name not in {"goals", "shown", "unit"}}
    text, plots = written(tmp_path, latest=result(old))
    assert "hot_health_read" in plots
    assert "| bar |" not in text


def test_engines_stand_side_by_side(tmp_path: Path) -> None:
    figure = {
        "name": "engines_read", "what": "all 10 instances", "values": {"cpu_us_Callboard": 13.8, "cpu_us_etcd": 70.2},
        "samples": {"Callboard": [{"cpu_us": 13.8}], "etcd": [{"cpu_us": 70.2}]}, "shown": "cpu_us", "unit": "µs",
    }  # fmt: skip
    ways = {"Callboard": {"read": "a health read"}, "etcd": {"read": "a range"}}
    text, plots = written(tmp_path, latest=result(pair()), engines=result(figure, ways=ways))
    assert "| etcd | a range | 70.2 |" in text
    assert "engines_read" in plots


def test_names_of_figures_and_families() -> None:
    assert set(chosen([], peer=False)) == set(FIGURES)
    assert set(chosen(["dns", "restart"], peer=False)) == {*(make.__name__ for make in FAMILIES["dns"]), "restart"}
    assert set(chosen(["scale_1m"], peer=False)) == {"scale_1m"}
    assert set(chosen([], peer=True)) < set(FIGURES)
    assert not set(LARGE) & set(FIGURES)
    assert set(TITLES) < set(FAMILIES)
    with pytest.raises(KeyError, match="nonsense"):
        chosen(["nonsense"], peer=False)
