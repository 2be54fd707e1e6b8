"""Certificates for tests, as files: of a CA that lives for one test, and of others that nobody trusts."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import trustme


class Pair(NamedTuple):
    """A certificate with its chain, and its key."""

    cert: str
    key: str


class Authority:
    """One CA, whose certificate is in `ca`."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self._folder = folder
        self._ca = trustme.CA()
        self.ca = str(folder / f"{name}.pem")
        self._ca.cert_pem.write_to_path(self.ca)

    def issue(self, name: str, *hosts: str, ends: timedelta = timedelta(days=90), begins: timedelta = timedelta(days=-1)) -> Pair:
        """Write `name`.pem and `name`-key.pem; an existing pair is replaced at once each, as tools that renew certificates do."""
        now = datetime.now(UTC)
        begin, end = sorted((now + begins, now + ends))
        leaf = self._ca.issue_cert(
            *(hosts or ("127.0.0.1", "localhost")), not_before=min(begin, end - timedelta(days=1)), not_after=end
        )  # fmt: skip
        pair = Pair(str(self._folder / f"{name}.pem"), str(self._folder / f"{name}-key.pem"))
        _put(pair.cert, b"".join(part.bytes() for part in leaf.cert_chain_pems))
        _put(pair.key, leaf.private_key_pem.bytes())
        return pair

    def client(self, pair: Pair | None = None) -> ssl.SSLContext:
        """What a client trusts that knows this CA, with a certificate of its own if it has one."""
        context = ssl.create_default_context(cafile=self.ca)
        if pair is not None:
            context.load_cert_chain(*pair)
        return context


def _put(path: str, text: bytes) -> None:
    new = Path(path + ".new")
    new.write_bytes(text)
    new.replace(path)
