"""Log lines for machines."""

import json
import logging

import pytest

from callboard.server import logs
from callboard.server.logs import JsonFormatter


def test_a_line_is_one_json_object_with_its_traceback() -> None:
    with pytest.raises(ValueError, match="broken") as caught:
        int("broken")
    fault = (caught.type, caught.value, caught.tb)
    record = logging.LogRecord("callboard.net", logging.ERROR, "f.py", 1, "it is %s\nand more", ("so",), fault)
    line = JsonFormatter().format(record)
    assert "\n" not in line
    entry = json.loads(line)
    assert (entry["level"], entry["logger"], entry["message"]) == ("error", "callboard.net", "it is so\nand more")
    assert "ValueError: invalid literal" in entry["exception"]
    assert entry["time"].endswith("Z")


def test_a_debug_log_does_not_hold_what_probes_encode(monkeypatch: pytest.MonkeyPatch) -> None:
    root = logging.getLogger()
    before = {logger: logger.level for logger in map(logging.getLogger, ("uvicorn", "hpack", "h2"))} | {root: root.level}
    monkeypatch.setattr(root, "handlers", [])
    try:
        logs.set_up("debug", "text")
        assert logging.getLogger("callboard").isEnabledFor(logging.DEBUG)
        for library in (logging.getLogger("hpack.hpack"), logging.getLogger("h2.connection")):
            assert not library.isEnabledFor(logging.INFO)
            assert library.isEnabledFor(logging.WARNING)
    finally:
        for logger, level in before.items():
            logger.setLevel(level)
