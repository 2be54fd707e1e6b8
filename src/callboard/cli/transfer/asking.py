"""A backup from a running server: its lines are judged as they come, and kept when the last one says that they are all."""

from pathlib import Path

from callboard.cli.transfer.results import Saved
from callboard.client.backup import backup_pieces
from callboard.client.settings import ClientSettings
from callboard.server.transfer import files
from callboard.server.transfer.state import Progress
from callboard.wire.backup import Reader


def ask_for_backup(path: Path, settings: ClientSettings, progress: Progress) -> Saved:
    """Write what the server gives into a file. Raises `ClientError`, `BackupError` for one that is not whole, `OSError`."""
    reader, rest = Reader(), b""
    with files.writing(path) as file:
        for piece in backup_pieces(settings):
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                reader.take(line + b"\n")
            file.write(piece)
            progress("reading", reader.rows_count, 0)
        if rest:
            reader.take(rest)
        header = reader.finish()
    return Saved(file=str(path), rows=reader.rows_count, revision=header.revision, store=header.store)
