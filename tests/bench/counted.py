"""A small program whose instructions are counted as those of `bench.instructions_work` are. Its one argument says how much it does."""

import json
import os
import sys


def work(amount: int) -> int:
    """Something that costs as much as it is told to."""
    return sum(number * number for number in range(amount))


def main(amount: int) -> None:
    """Two slices of a hundred pieces of work."""
    for part in (2, 4):
        os.getppid()
        for _ in range(100):
            work(amount)
        os.getppid()
        sys.stdout.write(json.dumps({"work": "sum", "part": part, "count": 100}) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]))
