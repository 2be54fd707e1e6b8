"""The page in a real browser, headless Chromium: what people do with it, and how quick it is with a large catalog."""

import json
import shlex
import subprocess
from pathlib import Path

import pytest

from bench.lab import machine
from callboard.testing.server import Server
from tests.interop.browsers import PLAYWRIGHT, ROOT, story_command

STORIES = (
    "the_list_is_worst_first_and_says_why", "search_finds_by_name_tag_instance_node_and_address", "a_service_page_shows_its_instances",
    "why_something_is_critical_is_seen_without_a_click", "a_change_is_shown_as_it_happens", "a_removal_is_shown_as_it_happens",
    "a_cut_link_is_told_and_what_was_missed_is_caught_up", "the_list_does_not_wait_for_the_stream",
    "a_broken_event_is_survived_and_leaves_no_stream_behind", "a_page_that_nobody_looks_at_gives_its_stream_back",
    "an_address_leads_to_what_it_says", "the_keyboard_is_enough",
    "dark_and_light_follow_the_system_and_the_button", "an_empty_catalog_says_how_to_begin", "hostile_names_are_only_text",
    "narrow_windows_are_wide_enough", "the_parts_hold",
)  # fmt: skip
SETTINGS = {
    "CALLBOARD_TUNE_CONSOLE_STATUS_EVERY_MS": "500", "CALLBOARD_TUNE_CONSOLE_STATUS_TIME_MAX_MS": "2000",
    "CALLBOARD_TUNE_CONSOLE_HIDDEN_MAX_MS": "500",
}  # fmt: skip
"""A dead link is found out, and an unseen page falls asleep, sooner than people need it."""
RESULT = ROOT / "bench" / "results" / "ui.json"


def obey(server: Server, order: str) -> object:
    """Do to the server what a story wants."""
    word, _, rest = order.partition(" ")
    if word in {"cut", "refuse"}:
        server.partition(refuse=word == "refuse")
    elif word == "heal":
        server.heal()
    elif word == "stop":
        server.stop()
    elif word == "start":
        server.start()
    elif word == "lose":
        server.restart(lose_state=True)
    elif word == "shell":
        subprocess.run(shlex.split(rest), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    else:
        assert order == "direct", order
    return server.direct_url if word != "stop" else None


def play(story: str, folder: Path) -> dict[str, object]:
    """Play it against a fresh server; answers what it measured. Raises `AssertionError` with what it had to complain about."""
    with Server.running(folder, SETTINGS) as server, (folder / "story.log").open("w+") as log:
        command = story_command(story, server.url)
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, cwd=ROOT) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            told: dict[str, object] = {}
            try:
                for line in process.stdout:
                    told = json.loads(line)
                    if "control" in told:
                        process.stdin.write(json.dumps(obey(server, str(told["control"]))) + "\n")
                        process.stdin.flush()
                code = process.wait(60)
            finally:
                process.kill()
        log.seek(0)
        assert code == 0, log.read()[-6000:]
        return told


@pytest.mark.interop
@pytest.mark.timeout(300)
@pytest.mark.parametrize("story", STORIES)
def test_story(story: str, tmp_path: Path) -> None:
    play(story, tmp_path)


@pytest.mark.interop
@pytest.mark.timeout(600)
def test_a_large_catalog(tmp_path: Path) -> None:
    report("large_catalog", tmp_path)


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_a_minute_of_changes(tmp_path: Path) -> None:
    report("long_storm", tmp_path)


def report(story: str, folder: Path) -> None:
    """Play it, and write down what it measured. That the page ends in the right state is the test; how quick it was is a figure."""
    told = play(story, folder)
    known = json.loads(RESULT.read_text("utf-8")) if RESULT.exists() else {}
    runs = {**known.get("runs", {}), story: told["figures"]}
    text = json.dumps({"machine": machine(), "chromium": told["chromium"], "playwright": PLAYWRIGHT, "runs": runs}, indent=1)
    RESULT.write_text(text + "\n", encoding="utf-8")
