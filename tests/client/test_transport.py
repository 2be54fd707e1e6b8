import contextlib
import subprocess
import sys
import threading

import pytest

from callboard.client import (
    AmbiguousError,
    Client,
    ClientError,
    ClientSettings,
    DeniedError,
    InvalidRequestError,
    NotFoundError,
    ProtocolError,
    Registration,
    UnavailableError,
    UnknownOutcomeError,
    UnreachableError,
)
from tests.client.broken import CLOSE, HANG, answer, broken_server, dripping_server, problem
from tests.servers import ServerProcess, free_port
from tests.support import Stopwatch, poll_until

WEB = Registration(service="web", port=1)


def client_of(*urls: str, timeout_ms: int = 60_000, answer_max_bytes: int = 1 << 20) -> Client:
    return Client(ClientSettings(urls=urls, timeout_ms=timeout_ms, answer_max_bytes=answer_max_bytes))


def nobody() -> str:
    return f"http://127.0.0.1:{free_port()}"


def test_nobody_there_names_every_server_and_the_next_step() -> None:
    first, second = nobody(), nobody()
    with client_of(first, second) as client, pytest.raises(UnreachableError, match="callboard serve") as raised:
        client.services()
    assert list(raised.value.reasons) == [first, second]
    assert set(raised.value.reasons.values()) == {"connection refused"}


def test_servers_are_tried_in_turn_and_the_one_that_answered_is_asked_first(server: ServerProcess) -> None:
    with broken_server(b"") as broken, client_of(broken.url, server.url) as client:
        assert client.status().ready
        asked = len(broken.held)
        assert client.status().ready
        assert (asked, len(broken.held)) == (1, 1)


def test_a_change_goes_to_the_next_server_only_when_it_was_not_sent(server: ServerProcess, space: str) -> None:
    with client_of(nobody(), server.url) as client:
        assert client.put(Registration(service="web", namespace=space)).changed
    with broken_server(HANG) as broken, client_of(broken.url, server.url, timeout_ms=300) as client:
        with pytest.raises(UnknownOutcomeError, match="perhaps made"):
            client.put(WEB)
        poll_until(lambda: broken.requests)
        assert len(broken.requests) == 1


def test_a_server_that_hangs_leaves_time_for_the_next(server: ServerProcess) -> None:
    def answered() -> bool:
        with client_of(broken.url, server.url, timeout_ms=2_000) as client, contextlib.suppress(UnreachableError):
            return client.status().ready  # unless the machine stopped meanwhile
        return False

    with broken_server(HANG) as broken:
        poll_until(answered)


@pytest.mark.parametrize("said", [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"], ids=["head", "body"])
def test_who_sends_byte_by_byte_gets_no_more_time_than_who_is_silent(said: bytes) -> None:
    with dripping_server(said) as url, client_of(url, timeout_ms=300) as client, pytest.raises(UnreachableError, match="no answer in time"):
        client.status()  # else it would break off, when the server has had enough


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (b"SSH-2.0-OpenSSH_9\r\n\x1b[31m", "what answers does not speak HTTP: 'SSH-2.0-OpenSSH_9'"),
        (b"\x00\x01\x02 \xff\n", "what answers does not speak HTTP: "),
        (b"", "it closed the connection without an answer"),
        (answer("200 OK", b"{", "Transfer-Encoding: chunked"), "the answer broke off"),
    ],
    ids=["ssh", "binary", "closes", "chunks"],
)
def test_what_speaks_another_protocol_is_said_in_one_line(said: bytes, reason: str) -> None:
    with broken_server(said or CLOSE) as broken, client_of(broken.url) as client, pytest.raises(UnreachableError) as raised:
        client.status()
    assert raised.value.reasons[broken.url].startswith(reason)
    assert str(raised.value).isprintable()


def test_an_answer_in_time_or_none(server: ServerProcess) -> None:
    with broken_server(HANG) as broken, client_of(broken.url, timeout_ms=200) as client:
        with Stopwatch() as watch, pytest.raises(UnreachableError, match="no answer in time"):
            client.status()
        assert watch.seconds < 2


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (problem("400 Bad", "invalid"), InvalidRequestError),
        (problem("401 Who", "denied"), DeniedError),
        (problem("403 No", "denied"), DeniedError),
        (problem("404 None", "unknown_instance"), NotFoundError),
        (problem("409 Two", "ambiguous"), AmbiguousError),
        (problem("413 Much", "too_large"), InvalidRequestError),
        (problem("429 Many", "too_many"), UnavailableError),
        (problem("503 Later", "unavailable", "Retry-After: 7"), UnavailableError),
        (problem("504 Who knows", "unknown_outcome"), UnknownOutcomeError),
        (answer("404 Not Found", b"404 page not found"), ProtocolError),
        (answer("200 OK", b"[]"), ProtocolError),
        (answer("200 OK", b"<html>"), ProtocolError),
        (b"HTTP/1.1 200", ProtocolError),
    ],
)
def test_each_refusal_is_an_error_of_its_kind(said: bytes, kind: type[ClientError]) -> None:
    with broken_server(said) as broken, client_of(broken.url) as client, pytest.raises(ClientError) as raised:
        client.put(WEB)
    assert type(raised.value) is kind
    if isinstance(raised.value, UnavailableError):
        assert raised.value.retry_after_s == (7 if raised.value.status == 503 else 0)


def test_a_server_that_is_not_ready_is_passed_over_and_its_word_counts_when_there_is_no_other(server: ServerProcess) -> None:
    with broken_server(problem("503 Later", "unavailable")) as busy:
        with client_of(busy.url, server.url) as client:
            assert client.status().ready
        with client_of(nobody(), busy.url) as client, pytest.raises(UnavailableError, match="it is so"):
            client.status()


@pytest.mark.parametrize("said", [b"", b"rubbish\r\n\r\n", answer("200 OK", b"{}", length=50)])
def test_a_broken_answer_is_no_answer(said: bytes) -> None:
    with broken_server(said) as broken, client_of(broken.url) as client, pytest.raises(UnreachableError):
        client.status()
    with broken_server(said) as broken, client_of(broken.url) as client, pytest.raises(UnknownOutcomeError):
        client.put(WEB)


def test_an_answer_that_is_too_large_is_not_read_to_its_end() -> None:
    with (
        broken_server(answer("200 OK", b"x" * 5_000)) as broken,
        client_of(broken.url, answer_max_bytes=1_000) as client,
        pytest.raises(ProtocolError, match="more than 1000 bytes"),
    ):
        client.status()


def test_a_token_is_sent_with_every_request() -> None:
    with broken_server(problem("403 No", "denied")) as broken:
        client = Client(ClientSettings(urls=(broken.url,), token="s3cret"))
        with client, pytest.raises(DeniedError):
            client.status()
        assert b"\r\nAuthorization: Bearer s3cret\r\n" in broken.requests[0]


def test_a_path_of_the_url_stands_in_front() -> None:
    with broken_server(problem("403 No", "denied")) as broken:
        with client_of(f"{broken.url}/board/") as client, pytest.raises(DeniedError):
            client.status()
        assert broken.requests[0].startswith(b"GET /board/api/v1/status HTTP/1.1\r\n")


def test_connections_are_kept_and_a_closed_one_is_not_taken_up_again(server: ServerProcess) -> None:
    with client_of(server.url) as client:
        client.status()
        (kept,) = client._transport._idle  # noqa: SLF001  # nothing outside shows whether a connection was kept
        client.status()
        assert client._transport._idle == [kept]  # noqa: SLF001
        assert kept.sock is not None
        kept.sock.shutdown(2)
        assert client.put(Registration(service="kept")).id == "kept"


def test_several_threads_may_ask_at_once(server: ServerProcess) -> None:
    faults: list[BaseException] = []
    with client_of(server.url) as client:

        def ask() -> None:
            try:
                for _ in range(30):
                    assert client.status().ready
            except BaseException as error:  # noqa: BLE001  # it is raised again by the test
                faults.append(error)

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert faults == []


FORKING = """
import os, sys
from callboard.client import Client, ClientSettings
with Client(ClientSettings(urls=(sys.argv[1],))) as client:
    client.status()
    child = os.fork()
    assert client.status().ready and client.status().ready
    if child:
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""


def test_a_forked_child_opens_connections_of_its_own(server: ServerProcess) -> None:
    subprocess.run([sys.executable, "-c", FORKING, server.url], check=True, timeout=90)
