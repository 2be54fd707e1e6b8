"""Reading when a certificate holds: the same as the library that made it says, and nothing but `InvalidError` for scraps."""

import base64
import contextlib
from datetime import UTC, datetime, timedelta

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from hypothesis import given
from hypothesis import strategies as st

from callboard.model.errors import InvalidError
from callboard.wire.x509 import Validity, names, validity

CA = trustme.CA()
PEM = CA.issue_cert("example.org").cert_chain_pems[0].bytes()


@given(st.datetimes(datetime(1960, 1, 1), datetime(2200, 1, 1)))  # noqa: DTZ001  # UTC is put beside it below
def test_both_times_are_those_the_certificate_was_made_with(when: datetime) -> None:
    begin = when.replace(microsecond=0, tzinfo=UTC)
    end = begin + timedelta(days=90)
    made = CA.issue_cert("example.org", not_before=begin, not_after=end)
    assert validity(made.cert_chain_pems[0].bytes()) == Validity(int(begin.timestamp()), int(end.timestamp()))


def test_names_and_addresses_are_those_the_certificate_was_made_for() -> None:
    said = ("registry.example.org", "*.example.org", "10.0.0.7", "2001:db8::1")
    leaf = trustme.CA().issue_cert(*said)
    assert names(leaf.cert_chain_pems[0].bytes()) == said
    with pytest.raises(InvalidError, match="there is none"):
        names(b"")


def test_the_first_certificate_of_a_chain_counts() -> None:
    chain = b"# what people write above\n" + PEM + CA.cert_pem.bytes()
    assert validity(chain) == validity(PEM)
    loaded = x509.load_pem_x509_certificate(PEM)
    assert validity(chain).not_after_s == int(loaded.not_valid_after_utc.timestamp())


@pytest.mark.parametrize("text", [b"", b"certificate", PEM[:200], CA.private_key_pem.bytes()])
def test_what_holds_no_certificate_is_refused(text: bytes) -> None:
    with pytest.raises(InvalidError, match="there is none"):
        validity(text)


DER = x509.load_pem_x509_certificate(PEM).public_bytes(serialization.Encoding.DER)


@given(st.data())
def test_scraps_are_refused_and_never_raise_anything_else(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(DER) - 1))
    broken = DER[:at] + data.draw(st.binary(max_size=8)) + DER[at + data.draw(st.integers(0, 8)) :]
    pem = b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(broken) + b"-----END CERTIFICATE-----\n"
    with contextlib.suppress(InvalidError):
        assert isinstance(validity(pem), Validity)
    with contextlib.suppress(InvalidError):
        assert all(names(pem))
