"""The same as test_httpx.py for programs with threads: what differs is who waits."""

import importlib

import pytest

import callboard
from tests.integrations.orders import Instance, Service, orders, registry, settings
from tests.support import Stopwatch, poll_until

__all__ = ["orders", "registry"]


@pytest.mark.parametrize("name", ["httpx", "httpx2"])
def test_threads_have_the_same(name: str, orders: Service) -> None:
    ours, library = importlib.import_module(f"callboard.integrations.{name}"), importlib.import_module(name)
    instances: list[Instance] = [orders.add() for _ in range(3)]
    with callboard.connect(orders.registry, settings=settings(retry_floor_per_s=100.0)) as board, ours.client(board, timeout=60.0) as http:
        poll_until(lambda: len(board.service(orders.name).snapshot.instances) == 3)
        url = f"svc://{orders.name}"
        for _ in range(30):
            assert str(http.get(f"{url}/x").url) == f"{url}/x"
        instances[0].kill()
        assert {http.get(url).status_code for _ in range(20)} == {200}
        assert {http.post(url, content=b"1").status_code for _ in range(5)} == {200}
        for instance in instances[1:]:
            instance.mode = "break"
        before = sum(orders.counts())
        with pytest.raises(library.TransportError):
            http.post(url)
        assert sum(orders.counts()) == before + 1
        for instance in instances[1:]:
            instance.mode = "stream 0"
        with http.stream("GET", url) as answer:
            assert answer.read() == b"part0part1part2"
        with pytest.raises(ours.NoInstance):
            http.get("svc://nobody-of-this-name/")
        for instance in instances[1:]:
            instance.mode = "hang"
        with Stopwatch() as watch, pytest.raises(library.TransportError):  # one hangs, the other is not even there, or hangs too
            http.get(url, timeout=0.4)
        assert watch.seconds < 1.5
