import gzip
from collections.abc import Callable
from typing import Any

from callboard.model.rows import Revision
from callboard.model.topics import Topic
from callboard.net.http.answers import Answers, Kept
from callboard.net.http.coding import Dates
from callboard.net.http.message import TEXT, Answer, Content, Read
from callboard.net.http.packing import OnPacked, Packing
from callboard.net.http.routing import PlainErrors
from callboard.net.http.settings import HttpSettings, HttpStats

ERRORS = PlainErrors()


def never_packed(answer: Answer, body: memoryview, done: OnPacked) -> Packing:
    raise AssertionError("nothing is large here")


class Cache:
    def __init__(self, **limits: Any) -> None:
        self.stats = HttpStats()
        self.dates = Dates(0.0)
        self.answers = Answers(HttpSettings(**limits), self.stats, self.dates, never_packed)

    def get(self, key: str, render: Callable[[], Content], topic: str = "t") -> Kept:
        return self.answers.get(Read(key, (Topic(topic),), render, b"x-index"), ERRORS)

    def text(self, key: str, text: str, topic: str = "t") -> Kept:
        return self.get(key, lambda: Content(Answer(200, text.encode(), TEXT), Revision(7)), topic)


def test_one_answer_is_rendered_once_and_coded_once_each_way() -> None:
    cache = Cache()
    kept = cache.text("a", "x" * 5000)
    assert cache.text("a", "ignored") is kept
    plain, packed = cache.answers.wire(kept, gzip=False), cache.answers.wire(kept, gzip=True)
    assert gzip.decompress(packed.partition(b"\r\n\r\n")[2]) == plain.partition(b"\r\n\r\n")[2] == b"x" * 5000
    assert b"\r\nx-index: 7\r\n" in plain
    assert b"\r\nx-index: 7\r\n" in packed
    assert cache.answers.wire(kept, gzip=True) is packed
    assert cache.answers.wire(kept, gzip=False) is plain
    assert cache.stats.renders == 1


def test_a_short_answer_has_one_coding() -> None:
    cache = Cache()
    kept = cache.text("a", "short")
    assert cache.answers.wire(kept, gzip=True) is cache.answers.wire(kept, gzip=False)


def test_a_new_second_changes_nothing_but_the_date() -> None:
    cache = Cache()
    for length in (5, 5000):
        kept = cache.text(f"{length}", "x" * length)
        before = [cache.answers.wire(kept, gzip=way) for way in (False, True)]
        cache.dates.tick(86_400.0 * length)
        after = [cache.answers.wire(kept, gzip=way) for way in (False, True)]
        assert before != after
        assert [wire.partition(b"vary")[2] for wire in before] == [wire.partition(b"vary")[2] for wire in after]
        assert all(wire.startswith(cache.dates.prefix(200)) for wire in after)
    assert cache.stats.renders == 2


def test_a_change_drops_exactly_what_depends_on_it() -> None:
    cache = Cache()
    a, b = cache.text("a", "a", "ta"), cache.text("b", "b", "tb")
    cache.answers.changed([Topic("ta"), Topic("tx")])
    assert (a.fresh, b.fresh) == (False, True)
    assert a.stamp is None
    assert b.stamp is cache.dates.now


def test_the_bytes_of_all_answers_are_bounded_and_the_oldest_go() -> None:
    cache = Cache(answers_max_bytes=100_000)
    for number in range(200):
        kept = cache.text(f"{number}", "x" * 5000)
        cache.answers.wire(kept, gzip=True)
        assert cache.stats.answers_bytes <= 100_000
        assert kept.live
    assert 10 < cache.stats.answers_now < 20
    rendered = cache.stats.renders
    cache.text("199", "")
    assert cache.stats.renders == rendered
    cache.text("0", "")
    assert cache.stats.renders == rendered + 1


def test_an_answer_that_somebody_waits_for_stays() -> None:
    class Waiter:
        kept: Kept | None = None
        after = 0

        def answered(self, kept: Kept) -> None:
            raise AssertionError

    cache = Cache(answers_max_bytes=20_000)
    first = cache.text("first", "x" * 5000)
    first.waiters.add(Waiter())
    for number in range(20):
        cache.text(f"{number}", "x" * 5000)
    assert first.live


def test_lines_are_remembered_at_the_second_sight_and_bounded() -> None:
    cache = Cache(lines_max_count=10, line_max_bytes=20)
    kept = cache.text("a", "a")
    for number in range(2000):
        cache.answers.remember(b"GET /a?%d" % number, kept)
    assert len(cache.answers.lines) <= 1
    for number in range(100):
        for _ in range(2):
            cache.answers.remember(b"GET /a?%d" % number, kept)
        assert len(cache.answers.lines) <= 10
    long = b"GET /a?" + b"x" * 20
    for _ in range(3):
        cache.answers.remember(long, kept)
    assert long not in cache.answers.lines


def test_an_evicted_answer_can_still_be_told_to_those_on_their_way() -> None:
    cache = Cache(answers_max_bytes=20_000)
    kept = cache.text("a", "x" * 5000)
    for number in range(20):
        cache.text(f"{number}", "x" * 5000)
    assert not kept.live
    assert cache.answers.wire(kept, gzip=False).endswith(b"x" * 5000)
