"""A board's metrics in a real registry of prometheus_client, from real calls."""

import httpx
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

import callboard
from callboard.integrations import httpx as ours
from callboard.integrations.prometheus import instrument
from tests.integrations.orders import Service, orders, registry, settings
from tests.servers import running_server
from tests.support import poll_until

__all__ = ["orders", "registry"]


def told(metrics: CollectorRegistry) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample of the exposition text."""
    families = text_string_to_metric_families(generate_latest(metrics).decode())
    return {(sample.name, tuple(sorted(sample.labels.items()))): sample.value for family in families for sample in family.samples}


def test_calls_and_what_is_known_are_told(orders: Service) -> None:
    orders.add()
    orders.add().mode = "status 503"
    metrics, of = CollectorRegistry(), ("service", orders.name)
    with callboard.connect(orders.registry, settings=settings(retry_floor_per_s=100.0)) as board:
        collector = instrument(board, metrics)
        with ours.client(board) as http:
            poll_until(lambda: len(board.service(orders.name).snapshot.instances) == 2)
            for _ in range(6):
                http.get(f"svc://{orders.name}/")
        samples = told(metrics)
        ok, failed = (samples.get(("callboard_client_attempts_total", (("outcome", code), of)), 0) for code in ("200", "503"))
        assert ok == 6
        assert 1 <= failed <= 6
        assert samples["callboard_client_retries_total", (of,)] == failed
        assert samples["callboard_client_attempt_duration_seconds_count", (of,)] == ok + failed
        assert samples["callboard_client_attempt_duration_seconds_bucket", (("le", "+Inf"), of)] == ok + failed
        here = (("namespace", board.service(orders.name).namespace), of)
        assert samples["callboard_client_instances", here] == 2
        assert samples["callboard_client_instances_held", here] == 0
        assert samples["callboard_client_snapshot_stale", here] == 0
        assert samples["callboard_client_snapshot_age_seconds", here] < 5
        assert samples["callboard_client_ejected", (of,)] in {0, 1}
        collector.close()
        collector.close()
        assert told(metrics) == {}
        instrument(board, metrics).close()


def test_an_ejection_is_told(orders: Service) -> None:
    orders.add()
    orders.add().mode = "break"
    metrics, of = CollectorRegistry(), ("service", orders.name)
    with callboard.connect(orders.registry, settings=settings(retry_floor_per_s=100.0)) as board:
        instrument(board, metrics)
        transport = ours.Transport(board, policy="smooth_wrr")
        with httpx.Client(mounts={"svc://": transport}) as http:
            poll_until(lambda: len(board.service(orders.name).snapshot.instances) == 2)
            for _ in range(12):
                http.get(f"svc://{orders.name}/")
        assert told(metrics)["callboard_client_ejections_total", (of,)] == 1
        assert told(metrics)["callboard_client_ejected", (of,)] == 1


def test_registrations_and_a_lost_registry_are_told(orders: Service) -> None:
    metrics = CollectorRegistry()
    instance = orders.add()
    name = f"{orders.name}-mine"
    with running_server("--dev") as server, callboard.connect(server.url, settings=settings()) as board:
        instrument(board, metrics)
        with board.register(name, port=instance.port, lease_ms=2_000) as registered:
            registered.wait(60)
            in_state = ("callboard_client_registrations", (("service", name), ("state", "registered")))
            assert poll_until(lambda: told(metrics).get(in_state)) == 1
            board.service(name).wait(60)
            server.kill()
            poll_until(lambda: any(key[0] == "callboard_client_feed_losses_total" and value for key, value in told(metrics).items()))
            poll_until(lambda: told(metrics).get(("callboard_client_registrations", (("service", name), ("state", "lost")))))
    assert not [key for key in told(metrics) if key[0] == "callboard_client_registrations"]


def test_a_second_board_needs_a_registry_of_its_own(orders: Service) -> None:
    metrics = CollectorRegistry()
    with callboard.connect(orders.registry, settings=settings()) as board:
        instrument(board, metrics)
        with pytest.raises(ValueError, match="Duplicated"):
            instrument(board, metrics)
