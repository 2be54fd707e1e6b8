"""The alert rules: of metrics that exist, with figures that are the settings', and with cases that fire and do not (promtool)."""

import re
from pathlib import Path
from urllib.request import urlopen

import pytest

from callboard.server.telemetry import fields_of, metric_name
from callboard.store.etcd.settings import EtcdSettings
from callboard.store.etcd.stats import EtcdStats
from tests.deploy.tools import DEPLOY, judged
from tests.interop.environments import need
from tests.servers import running_server

ALERTS = DEPLOY / "alerts.yaml"
TEXT = ALERTS.read_text("utf-8")
NAMES = re.findall(r"- alert: (\w+)", TEXT)
CASES = Path(__file__).parent / "alerts_cases.yaml"
_METRIC = re.compile(r"\bcallboard_\w+")


def expressions() -> str:
    return "\n".join(re.findall(r"^ +expr: (.+)$", TEXT, re.MULTILINE))


def test_every_metric_of_a_rule_is_one_that_a_server_shows() -> None:
    with running_server("--dev") as server, urlopen(server.url + "/metrics", timeout=60) as page:
        shown = set(re.findall(r"^(callboard_\w+)", page.read().decode(), re.MULTILINE))
    shown |= {metric_name("store", field) for field, _ in fields_of(EtcdStats())}
    used = set(_METRIC.findall(expressions()))
    assert used - shown == set()
    assert len(used) > 15


def test_what_is_watched_for() -> None:
    for metric in (
        "callboard_leading", "callboard_leader_known", "callboard_view_age_ms", "callboard_ready", "callboard_registry_preservations_total",
        "callboard_registry_groups_failed_total", "callboard_tls_certificate_expires_timestamp_seconds",
        "callboard_registry_expiries_total",
        "callboard_native_heartbeats_unknown_total", "callboard_http_refused_total", "callboard_store_database_bytes",
    ):  # fmt: skip
        assert metric in expressions()


def test_the_size_of_a_store_is_judged_by_the_setting() -> None:
    default = EtcdSettings(endpoints=("127.0.0.1:2379",), prefix="callboard").database_max_bytes
    assert f"callboard_store_database_bytes > 0.8 * {default}" in TEXT


def test_every_rule_says_how_bad_it_is_and_what_it_means() -> None:
    assert len(NAMES) == len(set(NAMES)) > 15
    assert TEXT.count("severity: critical") + TEXT.count("severity: warning") == len(NAMES)
    assert TEXT.count("summary:") == TEXT.count("description:") == len(NAMES)


@pytest.mark.interop
def test_prometheus_loads_them_and_they_fire_when_they_should() -> None:
    checked = judged(need("promtool"), "check", "rules", str(ALERTS))
    assert checked.returncode == 0, checked.stderr
    assert f"{len(NAMES)} rules found" in checked.stdout
    fired = judged(need("promtool"), "test", "rules", str(CASES))
    assert fired.returncode == 0, fired.stdout + fired.stderr
