"""What can be set about HTTP, and what it counts. The settings are frozen and made once by `callboard.server`."""

from dataclasses import dataclass

from msgspec import Struct


class HttpSettings(Struct, frozen=True, kw_only=True):
    """Limits with their units in their names. They hold on both doors, the quick one and the long way through Starlette."""

    head_max_bytes: int = 16_384
    """Request line and header fields; more is answered with 431."""
    body_max_bytes: int = 1_048_576
    """More is answered with 413."""
    quick_body_max_bytes: int = 65_536
    """Larger bodies go the long way."""
    head_time_max_ms: int = 10_000
    """From the first byte of a request to the end of its head; then 408."""
    body_time_max_ms: int = 30_000
    """From the end of a head to the end of the body; then 408."""
    idle_time_max_ms: int = 300_000
    """A connection without a request for this long (at most twice as long) is closed."""
    connections_max_count: int = 110_000
    """More are answered with 503 and closed."""
    parked_max_count: int = 100_000
    """Blocked queries; more are answered with 429."""
    later_time_max_ms: int = 30_000
    """An outcome that is not known after this is answered with 503."""
    stash_max_bytes: int = 65_536
    """What a client may send while it waits for an answer; then nothing more is read from it."""
    turn_max_bytes: int = 16_384
    """Pipelined requests of one connection that are answered before others have their turn."""
    answers_max_bytes: int = 67_108_864
    """Kept answers, all codings together. Those nobody waits for go first, oldest first."""
    lines_max_count: int = 65_536
    """Request lines whose kept answer is known without asking a handler."""
    reads_max_count: int = 2_048
    """Request lines of blocked queries that are known without asking a handler; one more forgets the oldest."""
    line_max_bytes: int = 1_024
    """Longer request lines are not remembered."""
    blocks_max_count: int = 4_096
    """Header blocks that are known by their bytes."""
    block_max_bytes: int = 1_024
    """Longer header blocks are judged each time."""
    stall_time_max_ms: int = 30_000
    """A client that reads nothing of its answer for this long is cut off."""
    linger_time_max_ms: int = 2_000
    """After refusing a request, how long the rest of it is read and dropped so that the refusal arrives."""
    hand_out_slice_count: int = 256
    """Blocked queries answered per turn of the loop."""
    wake_pause_us_per_waiter: int = 40
    """After waking the waiters of an answer, the next wake-up waits this long for each; changes in between become one."""
    wake_pause_renderings_count: int = 4
    """The same for an answer that takes 2 ms or more to render: so many times as long as that, 5 s at most."""
    gzip_min_bytes: int = 1_400
    """Shorter bodies are not worth compressing."""
    gzip_beside_min_bytes: int = 262_144
    """Bodies of this length and longer are compressed in a thread beside the event loop, and answered when that is done."""
    backlog_max_count: int = 2_048
    """Connections the kernel holds for us before they are accepted."""
    handshakes_max_count: int = 1_024
    """TLS handshakes under way at once; one more ends the oldest, or is closed itself when that has not dawdled."""
    handshake_time_max_ms: int = 10_000
    """From a connection over TLS to the end of its handshake; then it is closed."""
    allowed_hosts: tuple[str, ...] = ()
    """Further names in the Host field that a listener on loopback serves: `name`, `.example.org` for all below it, `*` for any."""
    own_hosts: tuple[str, ...] = ()
    """Names that follow from where the server listens and is advertised."""
    trusted_proxies: tuple[str, ...] = ()
    """Networks whose X-Forwarded-For says who calls."""


@dataclass(slots=True)
class HttpStats:
    """Plain counters, written where things happen and read at scrape."""

    connections_now: int = 0
    """Connections open now."""
    connections_made: int = 0
    """Connections that were taken."""
    connections_refused: int = 0
    """Connections that were not, because there were too many."""
    hits: int = 0
    """Requests answered from a kept answer by their line alone."""
    quick: int = 0
    """Requests answered by a handler at the quick door."""
    recalled: int = 0
    """Blocked queries whose line was known, so that no handler was asked."""
    slow: int = 0
    """Requests that went the long way."""
    renders: int = 0
    """Answers rendered and kept."""
    parked_now: int = 0
    """Blocked queries that wait."""
    woken: int = 0
    """Blocked queries answered by a change."""
    timeouts: int = 0
    """Blocked queries answered because their time was over."""
    refused: int = 0
    """Requests refused by a limit of HTTP's: 408, 413, 429, 431, 503."""
    stalled: int = 0
    """Connections cut off because nobody read the answer."""
    answers_now: int = 0
    """Answers that are kept now."""
    answers_bytes: int = 0
    """Size of the answers that are kept now."""
    failures: int = 0
    """Handlers and renderers that raised something unexpected."""
