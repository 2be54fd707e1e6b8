"""What it costs to let a picker choose: one pick with its chance, both readings of the clock and `done()`, against `random.choice`.

Both sides are plain loops in this process, in interleaved pairs; time is the process's own, so that a neighbour's work does not count.
"""

import random
import time
from collections.abc import Sequence

from bench.pairs import Figure, median
from callboard.balance.endpoint import Endpoint
from callboard.balance.picker import PICKERS, Picker

ENDPOINTS_COUNT = 10
LOOP_COUNT = 20_000
PAIRS_FACTOR = 9
"""A pair takes some hundredths of a second, not four seconds as with servers: so there are more of them."""

WEIGHTS: dict[str, Sequence[int]] = {"": [1] * ENDPOINTS_COUNT, "_weighted": [1 + place % 3 for place in range(ENDPOINTS_COUNT)]}


def endpoints(weights: Sequence[int]) -> list[Endpoint]:
    return [
        Endpoint(key=f"n/{place}", id=str(place), node="n", address="127.0.0.1", port=8000, weight=weight)
        for place, weight in enumerate(weights)
    ]


def choice_ns(items: list[Endpoint]) -> float:
    """Nanoseconds for one `random.choice`."""
    choice = random.choice
    begin = time.process_time()
    for _ in range(LOOP_COUNT):
        choice(items)
    return (time.process_time() - begin) / LOOP_COUNT * 1e9


def call_ns(picker: Picker) -> float:
    """Nanoseconds for one call, as a client makes it."""
    pick, chance, clock = picker.pick, random.random, time.monotonic_ns
    begin = time.process_time()
    for _ in range(LOOP_COUNT):
        picked = pick(clock(), chance())
        if picked is not None:
            picked.done(clock())
    return (time.process_time() - begin) / LOOP_COUNT * 1e9


def pick_figure(pairs: int) -> Figure:
    """Every policy over ten endpoints of equal and of unequal weights."""
    pickers = {name + suffix: make(endpoints(weights)) for name, make in PICKERS.items() for suffix, weights in WEIGHTS.items()}
    items = endpoints(WEIGHTS[""])
    values: dict[str, float] = {}
    samples: dict[str, list[dict[str, float]]] = {}
    for name, picker in pickers.items():
        call_ns(picker)
        taken = [{"choice_ns": choice_ns(items), "pick_ns": call_ns(picker)} for _ in range(pairs * PAIRS_FACTOR)]
        ratios = [sample["pick_ns"] / sample["choice_ns"] for sample in taken]
        values |= {
            f"{name}_ns": round(median([sample["pick_ns"] for sample in taken])),
            f"{name}_of_choice": round(median(ratios), 2),
            f"{name}_least": round(min(ratios), 2),
            f"{name}_most": round(max(ratios), 2),
        }
        samples[name] = [{key: round(value, 1) for key, value in sample.items()} for sample in taken]
    values["choice_ns"] = round(median([sample["choice_ns"] for taken in samples.values() for sample in taken]))
    what = f"pick(now, chance) and done(now) of {ENDPOINTS_COUNT} endpoints, with both readings of the clock and the chance"
    return Figure(
        "picks", f"{what}, over random.choice of {ENDPOINTS_COUNT}", values, samples, shown="pick_ns", unit="ns of CPU for a call"
    )
