"""requests with `svc://` URLs, against real servers signed in at a real registry."""

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests

import callboard
from callboard.client import deadline
from callboard.client.board import Board
from callboard.client.errors import NoInstanceError
from callboard.client.events import AttemptEnded
from callboard.integrations.requests import Adapter, DeadlineExceeded, NoInstance, session
from tests.integrations.orders import Service, black_hole, orders, registry, settings
from tests.support import Stopwatch, poll_until, repeated_if_stopped

__all__ = ["orders", "registry"]


@contextlib.contextmanager
def asking(orders: Service, count: int | None = None, **changes: Any) -> Iterator[tuple[requests.Session, str, Board]]:
    """A session on a board that knows all instances."""
    options = settings(retry_floor_per_s=100.0, **changes)
    with callboard.connect(orders.registry, settings=options) as board, session(board) as http:
        expected = len(orders.instances) if count is None else count
        poll_until(lambda: len(board.service(orders.name).snapshot.instances) == expected)
        yield http, f"svc://{orders.name}", board


def mounted(board: Board, **options: Any) -> requests.Session:
    """A session of requests itself."""
    made = requests.Session()
    for scheme in ("svc://", "http+svc://"):
        made.mount(scheme, Adapter(board, **options))
    return made


def test_each_request_goes_to_another_of_three_instances(orders: Service) -> None:
    for _ in range(3):
        orders.add()
    with asking(orders) as (_, url, board), mounted(board, policy="smooth_wrr") as http:
        for _ in range(9):
            answer = http.get(f"{url}/items?x=1")
            assert (answer.status_code, answer.url) == (200, f"{url}/items?x=1")
    assert orders.counts() == [3, 3, 3]
    assert {asked.path for instance in orders.instances for asked in instance.asked} == {"/items?x=1"}


def test_no_call_fails_when_one_of_three_is_killed_midway(orders: Service) -> None:
    for _ in range(3):
        orders.add()
    with asking(orders) as (http, url, _):
        answered, failed = [0], []

        def caller() -> None:
            try:
                for _ in range(25):
                    assert http.get(url).status_code == 200
                    answered[0] += 1
                    time.sleep(0.002)
            except Exception as error:  # noqa: BLE001  # told below
                failed.append(error)

        callers = [threading.Thread(target=caller) for _ in range(4)]
        for thread in callers:
            thread.start()
        poll_until(lambda: answered[0] > 40)
        orders.instances[0].kill()
        for thread in callers:
            thread.join()
        assert not failed


def test_only_the_wanted_version_is_called(orders: Service) -> None:
    orders.add(version="1.9.0")
    orders.add(version="2.3.1")
    with asking(orders) as (_, _url, board), session(board, services={"new": {"service": orders.name, "version": "^2"}}) as http:
        for _ in range(5):
            http.get("svc://new/")
    assert orders.counts() == [0, 5]


def test_parameters_cookies_and_the_host_header_are_those_of_the_logical_url(orders: Service) -> None:
    instance = orders.add()
    with asking(orders) as (http, url, board):
        assert http.get(f"{url}/items", params={"q": "ä b"}).url == f"{url}/items?q=%C3%A4+b"
        assert http.get(f"{url}/items?a=1", params={"b": 2}).url == f"{url}/items?a=1&b=2"
        assert http.get(f"{url}", auth=("me", "secret")).url == f"{url}/"
        with mounted(board, host_header="instance") as other:
            other.get(f"http+{url}/items", params={"c": 3})
    assert [asked.path for asked in instance.asked] == ["/items?q=%C3%A4+b", "/items?a=1&b=2", "/", "/items?c=3"]
    assert [asked.headers["host"] for asked in instance.asked] == [orders.name] * 3 + [f"127.0.0.1:{instance.port}"]
    assert instance.asked[2].headers["authorization"].startswith("Basic ")


def test_redirects_stay_logical(orders: Service) -> None:
    instance = orders.add()
    with asking(orders) as (http, url, _):
        for location in ("/ok", "ok", f"http://{orders.name}/ok", f"http://127.0.0.1:{instance.port}/ok"):
            instance.mode = f"redirect {location}"
            answer = http.get(f"{url}/moved")
            assert (answer.status_code, answer.url) == (200, f"{url}/ok")


@pytest.mark.parametrize("mode", ["break", "status 503"])
def test_an_idempotent_call_is_tried_at_another_instance(orders: Service, mode: str) -> None:
    bad = orders.add()
    orders.add()
    bad.mode = mode
    with asking(orders) as (http, url, _):
        for method in ("GET", "PUT", "DELETE", "HEAD", "OPTIONS"):
            assert http.request(method, url, data=b"x" if method == "PUT" else None).status_code == 200


def test_an_answer_that_breaks_off_is_asked_for_again_unless_it_is_streamed(orders: Service) -> None:
    bad = orders.add()
    bad.mode, bad.cut = "stream 0", True
    orders.add()
    with asking(orders) as (http, url, _):
        for _ in range(3):
            assert http.get(url).json()["id"] == orders.instances[1].id
        orders.instances[1].mode, orders.instances[1].cut = "stream 0", True
        answer = http.get(url, stream=True)
        with pytest.raises(requests.RequestException):
            answer.content  # noqa: B018


def test_a_post_is_not_repeated_once_it_was_sent(orders: Service) -> None:
    for _ in range(3):
        orders.add().mode = "break"
    with asking(orders) as (http, url, _):
        with pytest.raises(requests.ConnectionError):
            http.post(url, data=b"one order")
        assert sum(orders.counts()) == 1
        with pytest.raises(requests.ConnectionError):
            http.put(url, data=iter([b"one ", b"order"]))
        assert sum(orders.counts()) == 2


def test_a_post_that_reached_nobody_goes_to_another_instance(orders: Service) -> None:
    bad, good = orders.add(), orders.add()
    bad.kill()
    with black_hole() as port:
        orders.sign_in("hole", port)

        def work() -> None:
            good.asked.clear()
            with asking(orders, 3, attempts_max_count=3) as (http, url, _):
                for _ in range(6):
                    assert http.post(url, data=b"one order", timeout=0.9).status_code == 200

        repeated_if_stopped(work)
        orders.sign_out("hole")
    assert [asked.body for asked in good.asked] == [b"one order"] * 6


def test_a_hanging_instance_costs_only_its_share_and_a_call_its_timeout(orders: Service) -> None:
    orders.add().mode = "hang"
    orders.add()

    def work() -> None:
        orders.instances[1].mode = "ok"
        with asking(orders) as (http, url, _):
            for _ in range(4):
                assert http.get(url, timeout=0.6).status_code == 200
            orders.instances[1].mode = "hang"
            for method in ("GET", "POST"):
                begun = time.monotonic()
                with Stopwatch() as watch, pytest.raises(requests.ReadTimeout):
                    http.request(method, url, timeout=(3, 0.6) if method == "GET" else 0.6)
                assert time.monotonic() - begun > 0.3
                assert watch.seconds < 1.9

    repeated_if_stopped(work)


def test_the_deadline_is_told_to_the_instance_and_kept(orders: Service) -> None:
    instance = orders.add()
    with asking(orders, call_timeout_ms=60_000) as (http, url, _):
        with deadline.within(60.0):
            http.get(url)
        assert 12_000 <= int(instance.asked[0].headers["x-deadline-ms"]) <= 60_000
        with deadline.within(0.0), pytest.raises(DeadlineExceeded) as raised:
            http.get(url)
        assert isinstance(raised.value, requests.Timeout)
        assert len(instance.asked) == 1


def test_a_streamed_answer_occupies_its_instance_until_it_is_closed(orders: Service) -> None:
    for _ in range(2):
        orders.add().mode = "stream 60"
    with asking(orders) as (_, url, board), mounted(board, policy="p2c") as http:
        with http.get(url, stream=True):
            busy = next(instance for instance in orders.instances if instance.asked)
            for instance in orders.instances:
                instance.mode = "ok"
            for _ in range(10):
                http.get(url)
            assert len(busy.asked) == 1
        for _ in range(20):
            http.get(url)
        assert len(busy.asked) > 1


def test_a_slow_body_is_bounded_by_the_callers_limit_not_by_the_attempts_share(orders: Service) -> None:
    orders.add().mode = "stream 0.6"

    def work() -> None:
        with asking(orders) as (http, url, _), http.get(url, stream=True, timeout=1.0) as answer:
            assert answer.content == b"part0part1part2"

    repeated_if_stopped(work)


def test_nobody_to_call_is_a_connection_error_that_says_why(orders: Service) -> None:
    orders.add(version="1.0.0")
    with asking(orders) as (http, url, board):
        events: list[AttemptEnded] = []
        board.observe(lambda event: events.append(event) if isinstance(event, AttemptEnded) else None)
        with mounted(board, version="^9") as picky, pytest.raises(requests.ConnectionError, match=r"1\.0\.0") as raised:
            picky.get(url)
        assert isinstance(raised.value, NoInstance)
        assert isinstance(raised.value.__cause__, NoInstanceError)
        for wrong in ("svc:///x", f"{url}:80/x"):
            with pytest.raises(requests.exceptions.InvalidURL):
                http.get(wrong)
        assert not events
