"""Those who scrape find what to scrape: through Consul's API, as VictoriaMetrics and Prometheus' own discovery ask it, and at /sd."""

import json
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.interop.environments import need
from tests.interop.exercised import keep, keep_stories
from tests.interop.foreign import PROMETHEUS_SD
from tests.interop.programs import version_of
from tests.interop.recording import Recorder, recorded
from tests.interop.scrapers import SCRAPERS, scraping
from tests.servers import ServerProcess, running_server
from tests.support import poll_until

pytestmark = [pytest.mark.interop, pytest.mark.timeout(600)]

PATIENCE_S = 60
AT_CONSULS = """
  - job_name: everything
    consul_sd_configs: [{{server: "127.0.0.1:{port}"}}]
    relabel_configs:
      - {{source_labels: [__meta_consul_service], regex: consul, action: drop}}
      - {{source_labels: [__meta_consul_service_id], target_label: instance}}
      - {{source_labels: [__meta_consul_health], target_label: health}}
  - job_name: chosen
    consul_sd_configs: [{{server: "127.0.0.1:{port}", services: [web], tags: [v1], allow_stale: true}}]
    relabel_configs:
      - {{source_labels: [__meta_consul_service_id], target_label: instance}}
      - {{source_labels: [__meta_consul_health], target_label: health}}
"""
AT_OURS = """
  - job_name: own
    http_sd_configs: [{{url: "{url}/sd/prometheus?service=web"{refresh}}}]
    relabel_configs:
      - {{source_labels: [__meta_callboard_id], target_label: instance}}
      - {{source_labels: [__meta_callboard_status], target_label: health}}
"""
KEPT = ("job", "instance", "health")
FOUND = ("__meta_consul_service", "__meta_consul_service_id", "__meta_consul_health")


def put(server: ServerProcess, path: str, body: object = None) -> None:
    content = json.dumps(body).encode() if body is not None else b""
    with urllib.request.urlopen(urllib.request.Request(server.url + path, data=content, method="PUT"), timeout=60) as response:
        assert response.status == 200


@pytest.fixture
def server() -> Iterator[ServerProcess]:
    """A server with two instances of a service, one of them with a heartbeat; what is scraped is this server's own page of metrics."""
    with running_server("--dev") as server:
        host, port = server.http
        first = {"Name": "web", "ID": "web1", "Address": host, "Port": port, "Tags": ["v1"], "Meta": {"team": "stage"}}
        put(server, "/v1/agent/service/register", {**first, "Check": {"TTL": "10m", "Status": "passing"}})
        put(server, "/v1/agent/service/register", {"Name": "web", "ID": "web2", "Address": host, "Port": port, "Tags": ["v2"]})
        yield server


@pytest.fixture
def recorder(server: ServerProcess) -> Iterator[Recorder]:
    with recorded(*server.http) as recorder:
        yield recorder


def configured(folder: Path, jobs: str, **values: object) -> Path:
    config = folder / "config.yml"
    config.write_text("global: {scrape_interval: 1s, scrape_timeout: 1s}\nscrape_configs:\n" + jobs.format(**values), "utf-8")
    return config


def test_victoria_metrics_scrapes_what_is_registered(server: ServerProcess, recorder: Recorder, tmp_path: Path) -> None:
    scraper = SCRAPERS["victoria-metrics"]
    with scraping(scraper, configured(tmp_path, AT_CONSULS, port=recorder.port), tmp_path) as running:

        def shows(*expected: tuple[str, ...]) -> None:
            poll_until(lambda: running.labels(*KEPT) == sorted(expected), PATIENCE_S, every_s=0.2)

        first, second, chosen = ("everything", "web1"), ("everything", "web2"), ("chosen", "web1")
        shows((*first, "passing"), (*second, "passing"), (*chosen, "passing"))
        described = ("dc1", ",v1,", "stage", "callboard")
        assert described in running.labels(*(f"__meta_consul_{name}" for name in ("dc", "tags", "service_metadata_team", "node")))
        poll_until(lambda: {target["health"] for target in running.targets()} == {"up"}, PATIENCE_S, every_s=0.2)
        put(server, "/v1/agent/check/fail/service:web1")
        shows((*first, "critical"), (*second, "passing"), (*chosen, "critical"))
        put(server, "/v1/agent/service/deregister/web2")
        shows((*first, "critical"), (*chosen, "critical"))
    keep("VictoriaMetrics consul_sd", version_of("victoria-metrics"), recorder.noted)


@pytest.mark.parametrize("chosen", [(), ("web", "v1")], ids=["everything", "chosen"])
def test_the_discovery_of_prometheus_follows_what_is_registered(
    server: ServerProcess, recorder: Recorder, tmp_path: Path, chosen: tuple[str, ...]
) -> None:
    told = tmp_path / "told.jsonl"
    with told.open("w") as out, subprocess.Popen([*PROMETHEUS_SD.command(), f"127.0.0.1:{recorder.port}", *chosen], stdout=out) as process:
        try:

            def shows(*expected: tuple[str, ...]) -> None:
                def held() -> bool:
                    lines = told.read_text("utf-8").split("\n")[:-1]  # the last may not be whole yet
                    targets: list[dict[str, str]] = json.loads(lines[-1]) if lines else []
                    found = sorted(tuple(target.get(name, "") for name in FOUND) for target in targets)
                    return [one for one in found if one[0] != "consul"] == sorted(expected)

                poll_until(held, PATIENCE_S, every_s=0.1)

            first, others = ("web", "web1"), [] if chosen else [("web", "web2", "passing")]
            shows((*first, "passing"), *others)
            put(server, "/v1/agent/check/fail/service:web1")
            shows((*first, "critical"), *others)
            put(server, "/v1/agent/service/deregister/web2")
            shows((*first, "critical"))
            put(server, "/v1/agent/service/deregister/web1")
            shows()
        finally:
            process.terminate()
    if not chosen:
        keep("Prometheus consul_sd", PROMETHEUS_SD.version, recorder.noted)
        keep_stories("Prometheus consul_sd", PROMETHEUS_SD.version, ["follows what is registered"])


def test_prometheus_scrapes_what_our_own_door_lists(server: ServerProcess, tmp_path: Path) -> None:
    config = configured(tmp_path, AT_OURS, url=server.url, refresh=", refresh_interval: 1s")
    with scraping(SCRAPERS["prometheus"], config, tmp_path) as running:

        def shows(*expected: tuple[str, ...]) -> None:
            poll_until(lambda: running.labels(*KEPT) == sorted(expected), PATIENCE_S, every_s=0.2)

        shows(("own", "web1", "passing"), ("own", "web2", "passing"))
        poll_until(lambda: {target["health"] for target in running.targets()} == {"up"}, PATIENCE_S, every_s=0.2)
        put(server, "/v1/agent/service/deregister/web1")
        shows(("own", "web2", "passing"))


def test_promtool_finds_what_our_own_door_lists(server: ServerProcess, tmp_path: Path) -> None:
    config = configured(tmp_path, AT_OURS, url=server.url, refresh=", refresh_interval: 1s")
    subprocess.run([need("promtool"), "check", "config", str(config)], check=True, capture_output=True)
    words = [need("promtool"), "check", "service-discovery", "--timeout=30s", str(config), "own"]
    found: list[dict[str, Any]] = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
    assert sorted(target["labels"]["instance"] for target in found) == ["web1", "web2"]
    assert {target["labels"]["__address__"] for target in found} == {f"{server.http[0]}:{server.http[1]}"}
