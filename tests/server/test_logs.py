"""Log lines for machines."""

import json
import logging

import pytest

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
