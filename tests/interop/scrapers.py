"""Prometheus and VictoriaMetrics as processes: what they find through service discovery, told by their own API.

Debian's Prometheus is built without Consul's service discovery, so it is given ours; that part of Prometheus itself runs as the program
of tests/interop/clients/prometheus-sd.
"""

import contextlib
import json
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tests.interop.environments import need
from tests.servers import free_port

STOPPING_TIMEOUT_S = 60


class Scraper(NamedTuple):
    """How a program is started."""

    program: str
    arguments: tuple[str, ...]


SCRAPERS = {
    "prometheus": Scraper(
        "prometheus",
        ("--config.file={config}", "--storage.tsdb.path={data}", "--web.listen-address=127.0.0.1:{port}", "--log.level=warn"),
    ),
    "victoria-metrics": Scraper(
        "victoria-metrics",
        (
            "-promscrape.config={config}", "-storageDataPath={data}", "-httpListenAddr=127.0.0.1:{port}", "-loggerLevel=WARN",
            "-promscrape.consulSDCheckInterval=1s",
        ),
    ),
}  # fmt: skip


class Running(NamedTuple):
    """A program that scrapes."""

    port: int

    def targets(self) -> list[dict[str, Any]]:
        """Its active targets; none while it starts."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/v1/targets", timeout=60) as response:
                found = json.load(response)["data"]["activeTargets"]
        except OSError:
            return []
        return list(found or [])

    def labels(self, *names: str) -> list[tuple[str, ...]]:
        """Of each target, these labels: as they were kept, else as they were discovered."""
        found = [{**target["discoveredLabels"], **target["labels"]} for target in self.targets()]
        return sorted(tuple(str(labels.get(name, "")) for name in names) for labels in found)


@contextlib.contextmanager
def scraping(scraper: Scraper, config: Path, folder: Path) -> Iterator[Running]:
    """The program with this configuration, ended when the block is."""
    port = free_port()
    words = [argument.format(config=config, data=folder / "data", port=port) for argument in scraper.arguments]
    with subprocess.Popen([need(scraper.program), *words], cwd=folder) as process:
        try:
            yield Running(port)
        finally:
            process.terminate()
            process.wait(timeout=STOPPING_TIMEOUT_S)
