"""A real server says on its card where the others reach it, and takes messages of nobody who cannot read the card."""

import json
import urllib.error
import urllib.request
from typing import Any

import pytest

from tests.servers import running_server


def members(url: str) -> Any:
    with urllib.request.urlopen(f"{url}/api/v1/members", timeout=60) as response:
        return json.load(response)["members"]


def test_its_place_is_its_advertised_host_with_the_port_it_listens_at() -> None:
    with running_server("--dev", "--advertise", "::1", "--member", "m1") as server:
        (member,) = members(server.url)
        assert (member["name"], member["url"], member["leading"]) == ("m1", f"http://[::1]:{server.http[1]}", True)
        with pytest.raises(urllib.error.HTTPError) as raised:
            urllib.request.urlopen(urllib.request.Request(f"{server.url}/peer/v1/exchange", b"x", method="POST"), timeout=60)
        assert (raised.value.code, raised.value.read()) == (401, b"denied\n")
        with urllib.request.urlopen(f"{server.url}/metrics", timeout=60) as response:
            page = response.read().decode()
        assert "callboard_peer_refused_total 1.0" in page
        assert "callboard_leading 1.0" in page
        assert "callboard_members_count 1.0" in page


def test_its_place_can_be_said() -> None:
    with running_server("--dev", environment={"CALLBOARD_TUNE_PEER_URL": "http://192.0.2.1:1"}) as server:
        (member,) = members(server.url)
        assert member["url"] == "http://192.0.2.1:1"
