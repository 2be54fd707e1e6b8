"""The files of the page, read once when the server starts. Their address holds a digest of all of them, so they may be kept for ever."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

FOLDER: Final = Path(__file__).parent / "static"
PAGE: Final = "index.html"
_TYPES: Final = {
    ".css": b"text/css; charset=utf-8",
    ".html": b"text/html; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".svg": b"image/svg+xml",
    ".LICENSE": b"text/plain; charset=utf-8",
}
"""What is served; other files are for those who read the source."""
_DIGEST_CHARS: Final = 16


class Asset(NamedTuple):
    """One file."""

    body: bytes
    content_type: bytes


class Assets(NamedTuple):
    """All of them, by their path below the folder, and the digest of all."""

    files: Mapping[str, Asset]
    digest: str

    @property
    def modules(self) -> list[str]:
        """The scripts that are modules, so that a browser need not discover them one after the other."""
        return sorted(path for path in self.files if path.endswith(".js") and path != "theme.js")


def load(folder: Path = FOLDER) -> Assets:
    """Read the folder."""
    files = {
        path.relative_to(folder).as_posix(): Asset(path.read_bytes(), _TYPES[path.suffix])
        for path in sorted(folder.rglob("*"))
        if path.suffix in _TYPES
    }
    digest = hashlib.sha256()
    for path, asset in files.items():
        digest.update(b"%b %d\n%b" % (path.encode(), len(asset.body), asset.body))
    return Assets(files, digest.hexdigest()[:_DIGEST_CHARS])
