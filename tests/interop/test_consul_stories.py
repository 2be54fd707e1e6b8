"""Stories of discovery, told by programs that are written with the clients people use, against a real server.

What each client asked of which route, and how it was answered, goes to docs/compatibility.md.
"""

import os
import subprocess
from pathlib import Path

import msgspec
import pytest

from tests.certificates import Authority
from tests.interop.environments import ROOT
from tests.interop.exercised import keep, keep_stories
from tests.interop.foreign import FOREIGN
from tests.interop.recording import recorded
from tests.servers import running_server

pytestmark = [pytest.mark.interop, pytest.mark.timeout(900)]

STORIES_TIMEOUT_S = 300


class Story(msgspec.Struct, forbid_unknown_fields=True):
    """What a program says of one story; `failed` is empty when it held."""

    story: str
    failed: str


def told(command: list[str], url: str, stories_count: int, **environment: str) -> list[str]:
    """The stories of a program, all of which must hold."""
    done = subprocess.run(
        [*command, url], capture_output=True, text=True, timeout=STORIES_TIMEOUT_S, cwd=ROOT, check=False, env={**os.environ, **environment}
    )  # fmt: skip
    stories = [msgspec.json.decode(line, type=Story) for line in done.stdout.splitlines()]
    assert not [f"{story.story}: {story.failed}" for story in stories if story.failed]
    assert (done.returncode, len(stories)) == (0, stories_count), done.stderr
    return [story.story for story in stories]


@pytest.mark.parametrize("client", FOREIGN)
def test_every_story_holds(client: str, figures: dict[str, object]) -> None:
    foreign = FOREIGN[client]
    command = foreign.command()
    with running_server("--dev", "--enable-script-checks") as server, recorded(*server.http) as recorder:
        stories = told(command, recorder.url, foreign.stories_count)
    keep(client, foreign.version, recorder.noted)
    keep_stories(client, foreign.version, stories)
    figures[f"stories {client} {foreign.version}"] = {"held_count": len(stories)}


def test_every_story_holds_over_tls(tmp_path: Path) -> None:
    """As told by Consul's own client, which shows a certificate."""
    foreign = FOREIGN["hashicorp/consul/api (Go)"]
    command, authority = foreign.command(), Authority(tmp_path)
    own, client = authority.issue("server"), authority.issue("client", "client.example")
    flags = ("--https", "127.0.0.1:0", "--tls-cert", own.cert, "--tls-key", own.key, "--tls-client-ca", authority.ca)
    with running_server("--dev", "--enable-script-checks", *flags) as server:
        (url,) = server.ready["https"]
        told(command, url, foreign.stories_count, CONSUL_CACERT=authority.ca, CONSUL_CLIENT_CERT=client.cert, CONSUL_CLIENT_KEY=client.key)
