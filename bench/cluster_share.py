"""One member's share of a load, as a process of its own: `python -m bench.cluster_share HOST PORT FILE CONNECTIONS`."""

import json
import sys
from pathlib import Path

import msgspec

from bench.load import HttpLoad


def main() -> int:
    host, port, file, connections = sys.argv[1:]
    messages = msgspec.msgpack.decode(Path(file).read_bytes(), type=list[bytes])
    load = HttpLoad((host, int(port)), int(connections))
    print("ready", flush=True)
    sys.stdin.readline()
    counted = load.run(iter(messages), count=len(messages))
    print(json.dumps({status.decode(): count for status, count in counted.statuses.items()}), flush=True)
    load.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
