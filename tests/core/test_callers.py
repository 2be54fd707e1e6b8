import pytest

from callboard.core.callers import Home, caller_node, is_here, is_loopback, plain_address, probe_address
from callboard.model.errors import InvalidError
from callboard.model.instance import NodeSpec

HOME = Home("callboard", "10.0.0.1")


@pytest.mark.parametrize(
    ("peer", "local", "named", "name", "address"),
    [
        ("127.0.0.1", "127.0.0.1", None, "callboard", "10.0.0.1"),
        ("127.0.0.9", "127.0.0.1", None, "callboard", "10.0.0.1"),
        ("::1", "::1", None, "callboard", "10.0.0.1"),
        ("", "", None, "callboard", "10.0.0.1"),
        ("10.0.0.1", "10.0.0.1", None, "callboard", "10.0.0.1"),
        ("::ffff:127.0.0.1", "::ffff:127.0.0.1", None, "callboard", "10.0.0.1"),
        ("10.0.0.7", "10.0.0.1", None, "10-0-0-7", "10.0.0.7"),
        ("::ffff:10.0.0.7", "::ffff:10.0.0.1", None, "10-0-0-7", "10.0.0.7"),
        ("fe80::7%eth0", "fe80::1%eth0", None, "fe80--7", "fe80::7"),
        ("10.0.0.7", "10.0.0.1", "Web-7", "Web-7", "10.0.0.7"),
        ("127.0.0.1", "127.0.0.1", "other", "other", "10.0.0.1"),
    ],
)
def test_a_call_belongs_to_the_node_it_comes_from(peer: str, local: str, named: str | None, name: str, address: str) -> None:
    assert caller_node(HOME, peer, local, named) == NodeSpec(name=name, address=address, implicit=True)


def test_a_name_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidError):
        caller_node(HOME, "10.0.0.7", "10.0.0.1", "a\nb")


@pytest.mark.parametrize(
    ("host", "so"),
    [
        ("localhost", True),
        ("LOCALHOST", True),
        ("a.localhost", True),
        ("[::1]", True),
        ("127.9.9.9", True),
        ("10.0.0.1", False),
        ("localhost.example", False),
        ("", False),
    ],
)
def test_loopback_is_known_by_name_and_address(host: str, so: bool) -> None:
    assert is_loopback(host) is so


@pytest.mark.parametrize(
    ("host", "peer", "expected"),
    [
        ("localhost", "10.0.0.7", "10.0.0.7"),
        ("127.0.0.1", "::ffff:10.0.0.7", "10.0.0.7"),
        ("10.0.0.8", "10.0.0.7", ""),
        ("localhost", "127.0.0.1", ""),
        ("localhost", "10.0.0.1", ""),
    ],
)
def test_a_check_of_loopback_means_the_callers(host: str, peer: str, expected: str) -> None:
    assert probe_address(host, peer, "10.0.0.1") == expected


def test_here_is_this_machine_under_any_of_its_addresses() -> None:
    assert is_here("192.168.1.5", "192.168.1.5")
    assert not is_here("192.168.1.6", "192.168.1.5")
    assert plain_address("::ffff:1.2.3.4") == "1.2.3.4"
    assert plain_address("::1") == "::1"
