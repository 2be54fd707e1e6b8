"""The parts of docs/benchmarks.md that come from results of `python -m bench`. Pure: a result as it was read, and text.

What a figure shows of itself is in the result, so a result that was taken by an older program can still be told.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.figures import FAMILIES, LARGE

Result = Mapping[str, Any]
Figure = Mapping[str, Any]
RESULTS = Path(__file__).parent / "results"
FOLDER = "benchmarks"
"""Of the plots, beside the page."""

TITLES = {
    "reads": "Reads over HTTP",
    "writes": "Writes and heartbeats",
    "watches": "Watches and connections",
    "dns": "DNS",
    "workers": "Several processes",
    "scale": "Memory, start and growth",
}
TEXTS = {
    "reads": "A read is answered from its encoded bytes until something changes; `cold_render` is the one that comes first after a change.",
    "writes": "A registration is acknowledged when SQLite has synced it. A heartbeat moves a deadline and writes nothing;\n"
    "`batched_heartbeat` counts beats, so its bare loop, which reads a batch and forgets it, is no yardstick.",
    "watches": "`stop_ms` is the longest time for which the server did not answer a small request that another connection sends every\n"
    "other millisecond. Memory does not count the kernel's sockets.",
    "dns": "Questions carry EDNS. `dns_cookies` and `dns_case` never ask with the same bytes twice in a row.",
    "workers": "One process has a core of its own; of two, on a machine of two cores, one shares the core of the load, so only CPU\n"
    "can be compared. How the requests are shared out (`share_0`, `share_1`) is counted with both on the same core.",
    "scale": "`cost_curve` shows what one operation costs while the catalog grows; a line that stays level is what is wanted.",
}


def head_table(figures: Sequence[Figure]) -> str:
    """Every bar that is to be reached, and whether it is."""
    rows = []
    for figure in figures:
        for goal in figure.get("goals", ()):
            limit = f"at least {goal['least']}" if goal["least"] is not None else f"at most {goal['most']}"
            value = figure["values"][goal["value"]]
            met = value >= goal["least"] if goal["least"] is not None else value <= goal["most"]
            rows.append(f"| [{figure['name']}](#{anchor(figure)}) | {goal['value']} | {limit} | {value} | {'yes' if met else '**no**'} |")
    return table(("figure", "value", "bar", "measured", "reached"), rows) if rows else ""


def family(name: str, figures: Sequence[Figure], plots: Collection[str]) -> str:
    """The section of a family, with those plots of it that there are; empty without figures."""
    if not figures:
        return ""
    return f"## {TITLES[name]}\n\n{TEXTS[name]}\n\n{told(figures, plots)}"


def told(figures: Sequence[Figure], plots: Collection[str]) -> str:
    """Tables of some figures, and their plots."""
    pairs = [figure for figure in figures if "of_bare" in figure["values"]]
    others = [figure for figure in figures if "of_bare" not in figure["values"]]
    parts = []
    if pairs:
        parts.append(table(("work", "CPU per answer", "bare loop", "of bare (least to most)", "answers/s"), map(pair_row, pairs)))
    if others:
        parts.append(table(("work", "figures"), (f"| {figure['what']} | {values_of(figure)} |" for figure in others)))
    parts += [f"![{figure['name']}: {figure['what']}]({FOLDER}/{figure['name']}.svg)" for figure in figures if figure["name"] in plots]
    return "\n".join(parts) + "\n"


def pair_row(figure: Figure) -> str:
    """A figure that was compared with a bare loop."""
    values = figure["values"]
    spread = f"{values['of_bare']} ({values['of_bare_least']} to {values['of_bare_most']})"
    more = [name for name in values if name not in PAIR_VALUES and not name.startswith(("bare_", "peer_"))]
    what = figure["what"] + ("; " + ", ".join(f"{name} {values[name]}" for name in more) if more else "")
    return f"| {what} | {values['cpu_us']} us | {values['bare_cpu_us']} us | {spread} | {values['per_second']} |"


PAIR_VALUES = {"per_second", "cpu_us", "of_bare", "of_bare_least", "of_bare_most"}


def values_of(figure: Figure) -> str:
    """All values of a figure in a line."""
    return ", ".join(f"{name} {value}" for name, value in figure["values"].items())


def table(head: Sequence[str], rows: Iterable[str]) -> str:
    """A table of ready rows."""
    return "\n".join((f"| {' | '.join(head)} |", "|" + "---|" * len(head), *rows)) + "\n"


def anchor(figure: Figure) -> str:
    """The heading under which a figure stands."""
    for name, members in FAMILIES.items():
        if name in TITLES and figure["name"] in {member.__name__ for member in members}:
            return slug(TITLES[name])
    return slug(LARGE_TITLE) if figure["name"] in LARGE else ""


def slug(title: str) -> str:
    """As GitHub makes it of a heading."""
    return "".join(letter for letter in title.lower().replace(" ", "-") if letter.isalnum() or letter == "-")


LARGE_TITLE = "A million instances"
LARGE_HEAD = f"""## {LARGE_TITLE}

From {{sources}}. They take minutes each, so `make bench` does not take them.
To take them again: `make bench ARGS=scale_1m`, `make bench ARGS=cost_curve_1m`.
"""


def large(results: Mapping[str, Result], plots: Collection[str]) -> str:
    """The section of what is only taken when it is named, each from its own file."""
    figures = [figure for result in results.values() for figure in result["figures"]]
    if not figures:
        return ""
    sources = ", ".join(f"`bench/results/{name}.json` (commit `{result['machine']['commit']}`)" for name, result in results.items())
    return LARGE_HEAD.format(sources=sources) + "\n" + told(figures, plots)


PEER_HEAD = """## Against another server

From `bench/results/peer.json`; taken at commit `{commit}` on {cores} cores of {cpu}. The other server is
**{name} {version}**: the same requests, in the same interleaved runs (parked queries: one after the other); Callboard runs on core 0,
the other one where its owner started it. Its answers may have another length. `peer / ours` is its CPU per answer over Callboard's.
"""


def peer(result: Result | None, plots: Collection[str]) -> str:
    """The section of a run with PEER."""
    if result is None:
        return ""
    rows, others = [], []
    for figure in result["figures"]:
        values = figure["values"]
        if "peer_per_second" not in values:
            others.append(figure)
            continue
        cpu = f"{values['peer_cpu_us']} us" if "peer_cpu_us" in values else "not known"
        over = (
            f"{values['peer_over_ours']} ({values['peer_over_ours_least']} to {values['peer_over_ours_most']})"
            if "peer_over_ours" in values
            else ""
        )
        rows.append(f"| {figure['what']} | {values['cpu_us']} us | {cpu} | {over} | {values['per_second']} | {values['peer_per_second']} |")
    parts = [PEER_HEAD.format(**result["machine"], **{name: result["peer"][name] for name in ("name", "version")})]
    if rows:
        parts.append(table(("work", "CPU per answer", "peer", "peer / ours (least to most)", "answers/s", "peer's answers/s"), rows))
    if others:
        parts.append(table(("work", "figures"), (f"| {figure['what']} | {values_of(figure)} |" for figure in others)))
    names = [figure["name"] for figure in result["figures"] if f"peer_{figure['name']}" in plots]
    parts += [f"![{name}, {result['peer']['name']}]({FOLDER}/peer_{name}.svg)" for name in names]
    return "\n".join(parts) + "\n"
