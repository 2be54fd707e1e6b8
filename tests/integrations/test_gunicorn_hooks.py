"""What gunicorn's listeners say about the place of an instance, and what is said instead."""

import socket
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from callboard.client.board_settings import BoardSettings
from callboard.integrations.gunicorn import Hooks, hooks, placed
from callboard.model.errors import InvalidError


class Listener(NamedTuple):
    """As gunicorn wraps its sockets."""

    sock: socket.socket


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("POD_IP", raising=False)


@pytest.fixture
def listeners() -> Iterator[dict[str, Any]]:
    with (
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("0.0.0.0", 0)) as every,
        socket.socket(socket.AF_UNIX) as unix,
    ):
        yield {"one": Listener(one), "every": Listener(every), "unix": Listener(unix)}


def test_port_and_address_are_those_of_the_first_tcp_listener(listeners: dict[str, Any]) -> None:
    port = listeners["one"].sock.getsockname()[1]
    assert placed({"version": "1"}, [listeners["unix"], listeners["one"]], BoardSettings()) == {
        "version": "1",
        "port": port,
        "address": "127.0.0.1",
    }


def test_a_listener_on_every_address_says_none(listeners: dict[str, Any]) -> None:
    assert placed({}, [listeners["every"]], BoardSettings()) == {"port": listeners["every"].sock.getsockname()[1]}


def test_what_was_said_is_said(listeners: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    port = listeners["one"].sock.getsockname()[1]
    assert placed({"port": 80, "address": "10.0.0.7"}, [listeners["one"]], BoardSettings()) == {"port": 80, "address": "10.0.0.7"}
    assert placed({"address": "10.0.0.7"}, [listeners["one"]], BoardSettings()) == {"port": port, "address": "10.0.0.7"}
    assert placed({}, [listeners["one"]], BoardSettings(advertise="10.0.0.7")) == {"port": port}
    monkeypatch.setenv("POD_IP", "10.0.0.7")
    assert placed({}, [listeners["one"]], BoardSettings()) == {"port": port}


def test_without_a_tcp_listener_it_says_what_to_say(listeners: dict[str, Any]) -> None:
    with pytest.raises(InvalidError, match=r"hooks\(..., port=...\)"):
        placed({}, [listeners["unix"]], BoardSettings())


def test_the_hooks_are_named_as_gunicorn_names_them() -> None:
    from gunicorn.config import make_settings

    settings = make_settings()
    made = hooks("orders")
    for name in Hooks._fields:
        settings[name].set(getattr(made, name))  # raises when the number of its arguments is wrong
