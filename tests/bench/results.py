"""Results as `python -m bench` writes them, small enough to be read in a test."""

from typing import Any

MACHINE = {"commit": "c0ffee", "dirty": False, "python": "3.11.7", "system": "Linux", "cpu": "Some CPU", "cores": 2}


def pair(name: str = "hot_health_read", **more: float) -> dict[str, Any]:
    values = {
        "per_second": 30_000, "cpu_us": 10.0, "bare_per_second": 33_000, "bare_cpu_us": 9.0, "of_bare": 0.9, "of_bare_least": 0.8,
        "of_bare_most": 0.95, **more,
    }  # fmt: skip
    samples = {
        "ours": [{"per_second": 30_000.0, "cpu_us": cpu_us} for cpu_us in (9.5, 10.0, 11.0)],
        "bare": [{"per_second": 33_000.0, "cpu_us": 9.0}] * 3,
    }
    goals = [{"value": "of_bare", "least": 0.85, "most": None}]
    return {"name": name, "what": "GET something", "values": values, "samples": samples, "goals": goals, "shown": "cpu_us", "unit": "µs"}


def curve() -> dict[str, Any]:
    samples = {str(size): [{"instances": size, "change_us": 100.0 + run, "dns_us": 5.0} for run in range(3)] for size in (1_000, 10_000)}
    return {
        "name": "cost_curve", "what": "more and more instances", "values": {"change_us_growth": 1.0}, "samples": samples, "shown": "",
        "goals": [{"value": "change_us_growth", "least": None, "most": 2.0}], "unit": "µs", "across": "instances",
        "curves": ["change_us", "dns_us"],
    }  # fmt: skip


def result(*figures: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"machine": MACHINE, "plan": {"pairs": 3, "rounds": 3}, "quick": False, "figures": list(figures), **more}
