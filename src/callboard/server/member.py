"""This server's identity among the members: told, or made once and kept in the data directory for the next start."""

import secrets  # noqa: TID251  # a name is made once, when the data directory is new
import socket
from pathlib import Path

from callboard.model import names
from callboard.model.errors import InvalidError, UnavailableError
from callboard.server.settings import ServerSettings

FILE = "member"


def member_name(server: ServerSettings) -> str:
    """The name that was set, or the one that is kept, or a new one: the host name and a random suffix.

    Raises `InvalidError` for a name that is none, `UnavailableError` for a kept one that cannot be read.
    """
    if server.member:
        return names.name("member", server.member)
    fresh = f"{socket.gethostname()}-{secrets.token_hex(3)}"
    if server.dev or server.store.startswith("memory:"):
        return fresh
    file = Path(server.data) / FILE
    try:
        return names.name("member", file.read_text(encoding="utf-8").strip() or fresh)
    except FileNotFoundError:
        return fresh
    except OSError as error:
        raise UnavailableError(f"data directory {server.data} cannot be used ({error}); choose another one with --data") from error
    except (UnicodeDecodeError, InvalidError) as error:
        raise UnavailableError(f"{file} holds no name of a member ({error}); remove it, and a new name is made") from error


def keep_member(server: ServerSettings, member: str) -> None:
    """Keep the name beside the database. Only for a server that has made the data directory and holds its lock."""
    folder = Path(server.data)
    if not server.member and folder.is_dir():
        (folder / FILE).write_text(member + "\n", encoding="utf-8")
