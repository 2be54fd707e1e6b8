"""The guard of instruction counts: what it calls slower, quicker and unmatched, where it is lenient, and that it finds what became slow."""

import json
import sys
from pathlib import Path

import msgspec
import pytest

from bench import instructions
from bench.instructions_judge import ELSEWHERE_PERCENT, TOLERANCE_PERCENT, Taken, conclusions, judge, table
from bench.instructions_work import WHAT

HERE = {"python": "CPython 3.11.7", "libc": "glibc 2.36"}
EXPECTED = Taken(HERE, {"read": 10_000, "write": 200_000})


def states(found: dict[str, int], conditions: dict[str, str] | None = None, *names: str) -> dict[str, str]:
    judgement = judge(EXPECTED, Taken(conditions or HERE, found), names)
    return {verdict.name: verdict.state for verdict in judgement.verdicts}


@pytest.mark.parametrize(
    ("found", "state"), [(10_000, "same"), (11_500, "same"), (11_501, "slower"), (8_500, "same"), (8_499, "quicker"), (60_000, "slower")]
)
def test_a_few_per_cent_are_chance_and_more_are_not(found: int, state: str) -> None:
    assert states({"read": found, "write": 200_000}) == {"read": state, "write": "same"}


@pytest.mark.parametrize(("found", "state"), [(13_999, "same"), (14_001, "slower"), (6_001, "same"), (5_999, "quicker")])
@pytest.mark.parametrize("other", [{"python": "CPython 3.13.1"}, {"libc": "glibc 2.41"}, {"zlib": "1.3"}])
def test_elsewhere_only_what_falls_off_a_path_is_slower(other: dict[str, str], found: int, state: str) -> None:
    assert states({"read": found, "write": 200_000}, {**HERE, **other}) == {"read": state, "write": "same"}


def test_what_differs_is_told() -> None:
    judgement = judge(EXPECTED, Taken({"python": "CPython 3.13.1", "libc": "glibc 2.36", "zlib": "1.3"}, EXPECTED.instructions))
    assert judgement.differences == ("python was CPython 3.11.7, is CPython 3.13.1", "zlib was absent, is 1.3")
    told = "\n".join(conclusions(judgement))
    assert f"{ELSEWHERE_PERCENT:.0f} % may differ instead of {TOLERANCE_PERCENT:.0f} %" in told
    assert "CPython 3.13.1" in told


def test_work_without_a_figure_and_a_figure_without_work_fail() -> None:
    judgement = judge(EXPECTED, Taken(HERE, {"read": 10_000, "other": 5}))
    assert {verdict.name: verdict.state for verdict in judgement.failed} == {"other": "new", "write": "gone"}
    assert "take the figures anew: make guard ARGS=--write" in "\n".join(conclusions(judgement))


def test_only_what_was_asked_for_is_judged() -> None:
    assert states({"read": 10_000}, HERE, "read") == {"read": "same"}


def test_being_quicker_is_no_failure_but_said() -> None:
    judgement = judge(EXPECTED, Taken(HERE, {"read": 5_000, "write": 200_000}))
    assert judgement.failed == ()
    assert conclusions(judgement) == [
        "quicker than expected: read; hold what was gained, take the figures anew: make guard ARGS=--write",
        "guard: ok, 2 kinds of work within 15 %",
    ]


def test_the_table_names_the_work_what_was_counted_and_what_to_do() -> None:
    shown = table(judge(EXPECTED, Taken(HERE, {"read": 12_500, "write": 200_001, "other": 5})), {"read": "a kept answer"})
    lines = shown.splitlines()
    assert lines[1].split() == ["read", "10,000", "12,500", "+25.0", "%", "SLOWER:", "a", "kept", "answer"]
    assert lines[2].split() == ["write", "200,000", "200,001", "+0.0", "%"]
    assert lines[3].split() == ["other", "-", "5", "NEW:"]
    assert "slower than expected: read;" in shown
    assert lines[-1] == "guard: 2 of 3 FAILED"


def test_without_expected_figures_it_says_how_to_take_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["guard", "--expected", str(tmp_path / "none.json")])
    assert instructions.main() == 1
    assert "take them: make guard ARGS=--write" in capsys.readouterr().err


def test_without_valgrind_it_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["guard", "--write", "--expected", str(tmp_path / "none.json")])
    assert instructions.main() == 1
    assert "tools/install-valgrind installs it" in capsys.readouterr().err


def test_figures_are_written_read_and_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    found = Taken(HERE, dict.fromkeys(WHAT, 1_000), "abc")
    monkeypatch.setattr(instructions, "take", lambda names, _keep: found if not names else Taken(HERE, dict.fromkeys(names, 3_000)))
    file = tmp_path / "expected.json"

    def guard(*words: str) -> int:
        monkeypatch.setattr(sys, "argv", ["guard", "--expected", str(file), *words])
        return instructions.main()

    assert guard("--write") == 0
    assert msgspec.json.decode(file.read_bytes(), type=Taken) == found
    assert guard() == 0
    assert guard("register") == 1
    assert guard("--write", "register") == 0
    capsys.readouterr()
    assert guard("-o", "json") == 0
    document = json.loads(capsys.readouterr().out)
    assert [verdict["state"] for verdict in document["verdicts"] if verdict["name"] == "register"] == ["quicker"]
    assert document["conclusions"][-1].startswith("guard:")


@pytest.mark.parametrize(("again", "code"), [(1_050, 0), (1_200, 1)])
def test_what_is_slower_is_counted_once_more(again: int, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "expected.json"
    file.write_bytes(msgspec.json.encode(Taken(HERE, {"register": 1_000, "deregister": 1_000})))
    counts = iter([{"register": 1_300, "deregister": 990}, {"register": again}])
    asked: list[list[str]] = []

    def take(names: list[str], _keep: Path | None) -> Taken:
        asked.append(names)
        return Taken(HERE, next(counts))

    monkeypatch.setattr(instructions, "take", take)
    monkeypatch.setattr(sys, "argv", ["guard", "--expected", str(file)])
    assert instructions.main() == code
    assert asked == [[], ["register"]]


@pytest.mark.interop
def test_what_became_slower_is_found_and_chance_is_not(tmp_path: Path) -> None:
    """Really counted: the same work twice, then a fifth more of it."""
    program = str(Path(__file__).with_name("counted.py"))
    first, again, slower = (
        Taken(instructions.conditions(), {"sum": round(min(instructions.count([program, amount], tmp_path)["sum"]))})
        for amount in ("1000", "1000", "1200")
    )
    verdict = judge(first, again).verdicts[0]
    assert verdict.state == "same"
    assert verdict.change_percent is not None
    assert abs(verdict.change_percent) < 0.5
    assert [verdict.name for verdict in judge(first, slower).failed] == ["sum"]


@pytest.mark.interop
def test_a_program_that_fails_is_told_with_what_it_said(tmp_path: Path) -> None:
    with pytest.raises(instructions.CannotCountError, match="ZeroDivisionError"):
        instructions.count(["-c", "1 / 0"], tmp_path)
