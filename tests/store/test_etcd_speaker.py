"""Renewals over real gRPC servers of our own, which answer, refuse or stay silent as a case says."""

import contextlib
import itertools
import threading
import time
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from typing import Any, Final, Literal

import grpc
import pytest

from callboard.model.time import Instant
from callboard.store.etcd.failures import Cause, EtcdError
from callboard.store.etcd.messages import MESSAGES
from callboard.store.etcd.settings import EtcdSettings
from callboard.store.etcd.speaker import Speaker
from tests.support import poll_until

LEASE: Final = 7
TTL_S: Final = 10
HEDGE_S: Final = 0.1
LONG_S: Final = 30.0
"""Of a try that ends long before, when all is well."""
Answer = Literal["answers", "refuses", "silent"]


class Endpoint:
    """One server. Each question is treated as the next of `answers` says, and as the last of them from then on. It gives no tokens."""

    def __init__(self, *answers: Answer) -> None:
        self.left_s: list[float] = []
        """What each question had left of its time when it came."""
        self.tokens_asked = 0
        self._answers = itertools.chain(answers, itertools.repeat(answers[-1]))
        self._server = grpc.server(futures.ThreadPoolExecutor(32), options=[("grpc.so_reuseport", 0)])
        renewing = grpc.stream_stream_rpc_method_handler(
            self._keep_alive, MESSAGES["LeaseKeepAliveRequest"].FromString, MESSAGES["LeaseKeepAliveResponse"].SerializeToString
        )
        authenticating = grpc.unary_unary_rpc_method_handler(self._authenticate, MESSAGES["AuthenticateRequest"].FromString)
        self._server.add_generic_rpc_handlers(
            (
                grpc.method_handlers_generic_handler("etcdserverpb.Lease", {"LeaseKeepAlive": renewing}),
                grpc.method_handlers_generic_handler("etcdserverpb.Auth", {"Authenticate": authenticating}),
            )
        )
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def _keep_alive(self, questions: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
        self.left_s.append(context.time_remaining())
        answer = next(self._answers)
        if answer == "refuses":
            context.abort(grpc.StatusCode.UNAVAILABLE, "etcdserver: no leader")
        if answer == "silent":
            ended = threading.Event()
            if context.add_callback(ended.set):
                ended.wait()
            return
        yield MESSAGES["LeaseKeepAliveResponse"](ID=next(questions).ID, TTL=TTL_S)

    def _authenticate(self, _: Any, context: grpc.ServicerContext) -> None:
        self.tokens_asked += 1
        context.abort(grpc.StatusCode.UNAVAILABLE, "etcdserver: no leader")

    def close(self) -> None:
        self._server.stop(None).wait()


@contextlib.contextmanager
def speaking(*endpoints: Endpoint, **changes: str) -> Iterator[Speaker]:
    settings = EtcdSettings(endpoints=tuple(endpoint.address for endpoint in endpoints), **changes)  # type: ignore[arg-type]
    speaker = Speaker(settings, lambda: Instant(time.monotonic_ns()))
    try:
        yield speaker
    finally:
        speaker.close()
        for endpoint in endpoints:
            endpoint.close()


@pytest.mark.parametrize("count", [1, 3])
def test_an_endpoint_that_was_silent_is_asked_again_within_the_same_try(count: int) -> None:
    """As a follower is that was asked before the election: it never answers that question, and answers the next one at once."""
    endpoints = [Endpoint("silent", "answers") for _ in range(count)]
    with speaking(*endpoints) as speaker:
        assert speaker.keep_alive(LEASE, HEDGE_S, LONG_S) == TTL_S
        assert sum(len(endpoint.left_s) for endpoint in endpoints) > count


def test_a_question_has_what_is_left_of_the_try() -> None:
    endpoint = Endpoint("silent", "answers")
    hedge_s, timeout_s, rounded_s = 0.8, 9.0, 0.1  # the last by gRPC, on the wire; of longer times to whole seconds
    with speaking(endpoint) as speaker:
        assert speaker.keep_alive(LEASE, hedge_s, timeout_s) == TTL_S
        for asked, left_s in enumerate(endpoint.left_s):
            assert left_s <= timeout_s - asked * hedge_s + rounded_s


def test_a_try_that_nobody_answers_ends_when_its_time_is_over() -> None:
    endpoints = [Endpoint("silent"), Endpoint("silent")]
    with speaking(*endpoints) as speaker:
        begun = time.monotonic()
        with pytest.raises(EtcdError) as raised:
            speaker.keep_alive(LEASE, HEDGE_S, 3.0)
        assert time.monotonic() - begun >= 3.0
        assert raised.value.cause is Cause.UNKNOWN
        assert sum(len(endpoint.left_s) for endpoint in endpoints) > len(endpoints)


def test_one_that_refuses_is_left_at_once_and_all_that_refuse_end_the_try() -> None:
    """Each is asked once: when the next try is, is for the owner of the lease to say."""
    endpoints = [Endpoint("refuses"), Endpoint("refuses"), Endpoint("refuses")]
    with speaking(*endpoints) as speaker:
        with pytest.raises(EtcdError, match="no leader") as raised:
            speaker.keep_alive(LEASE, LONG_S, 2 * LONG_S)
        assert raised.value.cause is Cause.BUSY
        assert [len(endpoint.left_s) for endpoint in endpoints] == [1, 1, 1]


def test_one_that_refuses_is_asked_again_while_another_may_answer() -> None:
    refusing, silent = Endpoint("refuses", "answers"), Endpoint("silent")
    with speaking(refusing, silent) as speaker:
        assert speaker.keep_alive(LEASE, HEDGE_S, LONG_S) == TTL_S
        assert len(refusing.left_s) >= 2


def test_one_that_gives_no_token_has_refused(tmp_path: Path) -> None:
    """The others are asked for one; all refuse here."""
    password = tmp_path / "password"
    password.write_text("open sesame", "utf-8")
    endpoints = [Endpoint("answers"), Endpoint("answers")]
    with speaking(*endpoints, user="callboard", password_path=str(password)) as speaker:
        with pytest.raises(EtcdError, match="no leader"):
            speaker.keep_alive(LEASE, LONG_S, LONG_S)
        assert [endpoint.tokens_asked for endpoint in endpoints] == [1, 1]
        assert [endpoint.left_s for endpoint in endpoints] == [[], []]


def test_who_answered_is_asked_first_the_next_time() -> None:
    refusing, answering = Endpoint("refuses"), Endpoint("answers")
    with speaking(refusing, answering) as speaker:
        for _ in range(3):
            assert speaker.keep_alive(LEASE, LONG_S, LONG_S) == TTL_S
        assert [len(endpoint.left_s) for endpoint in (refusing, answering)] == [1, 3]


def test_who_was_silent_is_not_asked_first_the_next_time() -> None:
    with speaking(Endpoint("silent"), Endpoint("answers")) as speaker:
        assert speaker.keep_alive(LEASE, HEDGE_S, LONG_S) == TTL_S
        assert speaker.keep_alive(LEASE, LONG_S, LONG_S) == TTL_S, "it was asked first, and there was no time for the other one"


def test_a_speaker_that_is_closed_ends_the_try() -> None:
    endpoint = Endpoint("silent")
    ended = threading.Event()

    def ask(speaker: Speaker) -> None:
        with contextlib.suppress(EtcdError):
            speaker.keep_alive(LEASE, HEDGE_S, 10 * LONG_S)
        ended.set()

    with speaking(endpoint) as speaker:
        asking = threading.Thread(target=ask, args=(speaker,))
        asking.start()
        poll_until(lambda: endpoint.left_s)
        speaker.close()
        assert ended.wait(LONG_S)
        asking.join()
