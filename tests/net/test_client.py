"""The client's connection without a socket: whatever comes in, it ends with an answer or with words, and keeps no more than it may."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.net.client import BODY_MAX_BYTES, HEAD_MAX_BYTES, RequestError, _Connection

HEADS = [
    b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    b"HTTP/1.1 204 No Content\r\n\r\n", b"HTTP/1.1 302 Go\r\nLocation: /x\r\n", b"Content-Length: 5\r\n\r\n", b"Content-Length: -1\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n", b"5\r\nhello\r\n", b"0\r\n\r\n", b"ffffffffffffffffff\r\n", b"\r\n\r\n", b"hello",
]  # fmt: skip
PIECES = st.lists(st.sampled_from(HEADS) | st.binary(max_size=20) | st.just(b"x" * 40_000), max_size=12)


@given(PIECES, st.booleans(), st.sampled_from([None, ConnectionResetError(104, "reset")]))
def test_any_bytes_end_in_an_answer_or_in_words(pieces: list[bytes], head_only: bool, end: Exception | None) -> None:
    async def work() -> None:
        connection = _Connection(asyncio.get_running_loop(), b"", head_only=head_only)
        for piece in pieces:
            connection.data_received(piece)
        connection.connection_lost(end)
        assert connection.done.done()
        assert len(connection.answer.body) <= BODY_MAX_BYTES
        if connection.answered:
            assert connection.done.exception() is None
            assert connection.answer.status == 101 or connection.answer.status >= 200
        else:
            with pytest.raises(RequestError):
                await connection.done

    asyncio.run(work())


def test_a_head_without_an_end_is_given_up_at_its_limit() -> None:
    async def work() -> None:
        connection = _Connection(asyncio.get_running_loop(), b"", head_only=False)
        connection.data_received(b"HTTP/1.1 200 OK\r\nX: ")
        sent = 0
        while not connection.done.done():
            connection.data_received(b"x" * 1_000)
            sent += 1_000
        assert sent <= HEAD_MAX_BYTES + 1_000
        with pytest.raises(RequestError, match="larger than 65536 bytes"):
            await connection.done

    asyncio.run(work())
