"""Addresses as people write them."""

import pytest

from callboard.model.errors import InvalidError
from callboard.server.address import Address, parse_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8500", Address("127.0.0.1", 8500)),
        (":8500", Address("127.0.0.1", 8500)),
        ("8500", Address("127.0.0.1", 8500)),
        ("[::1]:0", Address("::1", 0)),
        ("localhost:65535", Address("localhost", 65535)),
    ],
)
def test_parse(text: str, address: Address) -> None:
    assert parse_address("http", text) == address


@pytest.mark.parametrize("text", ["", "host", "1.2.3.4:", "1.2.3.4:65536", "1.2.3.4:-1", "1.2.3.4:٣"])
def test_nonsense_is_refused_by_name(text: str) -> None:
    with pytest.raises(InvalidError, match="http"):
        parse_address("http", text)


def test_ipv6_is_shown_in_brackets() -> None:
    assert str(Address("::1", 80)) == "[::1]:80"
