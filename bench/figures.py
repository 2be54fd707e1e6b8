"""The table of figures: each a function that sets up what it measures and takes it away again. `__main__` runs them."""

from collections.abc import Callable, Mapping

from bench import curves, dns, reads, scale, watches, workers, writes
from bench.pairs import Figure
from bench.picks import pick_figure
from bench.plan import Plan

Make = Callable[[Plan], Figure]


def picks(plan: Plan) -> Figure:
    """What the balancing policies of the SDK cost; no server is needed."""
    return pick_figure(plan.pairs)


FAMILIES: Mapping[str, tuple[Make, ...]] = {
    "reads": reads.FIGURES,
    "writes": writes.FIGURES,
    "watches": watches.FIGURES,
    "dns": dns.FIGURES,
    "workers": workers.FIGURES,
    "scale": (*scale.FIGURES, *curves.FIGURES),
    "balancing": (picks,),
}
"""What `make bench` takes, in this order."""

LARGE: Mapping[str, Make] = {figure.__name__: figure for figure in (*scale.LARGE, *curves.LARGE)}
"""What takes minutes each: only when it is named. Their results are kept apart."""

FIGURES: Mapping[str, Make] = {figure.__name__: figure for figures in FAMILIES.values() for figure in figures}

PEER_FIGURES = ("hot_health_read", "durable_register", "ttl_heartbeat", "parked_queries", "dns_srv")
"""What is measured when a peer is named, unless others are."""


def chosen(words: list[str], *, peer: bool) -> dict[str, Make]:
    """The figures that some names of figures and families mean. Raises `KeyError` with the word that means none."""
    found: dict[str, Make] = {}
    for word in words or (PEER_FIGURES if peer else FAMILIES):
        if word in FAMILIES:
            found |= {figure.__name__: figure for figure in FAMILIES[word]}
        else:
            found[word] = LARGE[word] if word in LARGE else FIGURES[word]
    return found
