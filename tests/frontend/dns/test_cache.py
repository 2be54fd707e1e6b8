import random
from collections import Counter
from collections.abc import Iterator

import dns.edns
import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callboard.core.catalog import commands as cmd
from callboard.model.check import Status
from callboard.model.instance import Phase
from tests.frontend.dns.world import Asked, World, a_world, data, outline, registration

WEB = "web.service.consul"
COOKIE = dns.edns.GenericOption(dns.edns.OptionType.COOKIE, b"12345678")


def fill(world: World, count: int, service: str = "web") -> list[str]:
    world.do(*(registration(service, f"{service}-{i}", address=f"10.1.{i >> 8}.{i & 255}", port=1000 + i) for i in range(count)))
    return [f"10.1.{i >> 8}.{i & 255}" for i in range(count)]


# -- the same answer on every way


@pytest.mark.parametrize("kind", ["A", "SRV", "AAAA", "TYPE65", "ANY"])
@pytest.mark.parametrize("payload", [0, 1232])
def test_the_first_answer_and_all_later_ones_say_the_same(world: World, kind: str, payload: int) -> None:
    fill(world, 3)
    asked = world.asked()
    for name in (WEB, WEB, WEB, WEB, WEB, "wEb.SERVICE.consul", WEB):
        response = asked.ask(name, kind, payload=payload)
        assert outline(response) == ("NOERROR", 0 if kind in {"AAAA", "TYPE65"} else 3, ["SOA"] if kind in {"AAAA", "TYPE65"} else [])
        assert len(response.additional) == (3 if kind == "SRV" else 0)
        assert response.edns == (0 if payload else -1)
    assert (asked.stats.renders, asked.stats.named) == (1, 2)


def test_id_and_rd_come_back_on_every_way(world: World) -> None:
    fill(world, 3)
    asked = world.asked()
    for number in range(12):
        query = dns.message.make_query(WEB, "A", id=number * 5000)
        if number % 2:
            query.flags = dns.flags.Flag(0)
        response = asked.send(query)
        assert bool(response.flags & dns.flags.RD) is (number % 2 == 0)
        assert response.flags & (dns.flags.QR | dns.flags.AA) == dns.flags.QR | dns.flags.AA


def test_random_letter_case_is_sent_back_as_it_came(world: World) -> None:
    fill(world, 2)
    asked = world.asked()
    chance = random.Random(3)
    for _ in range(10):
        name = "".join(chance.choice((letter.upper(), letter)) for letter in WEB)
        asked.ask(name)
        asked.ask(name)
    assert (asked.stats.renders, asked.stats.named) == (1, 19)  # none of them took a place among the exact ones


def test_cookies_and_other_options_are_passed_over(world: World) -> None:
    fill(world, 2)
    asked = world.asked()
    for _ in range(3):
        query = dns.message.make_query(WEB, "A", use_edns=0, payload=1232, options=[COOKIE])
        response = asked.send(query)
        assert (response.edns, response.payload, response.options) == (0, 1232, ())
    assert (asked.stats.renders, asked.stats.named) == (1, 2)


def test_a_client_subnet_comes_back_with_scope_0_on_every_way(world: World) -> None:
    fill(world, 2)
    asked = world.asked()
    subnet = dns.edns.ECSOption("192.0.2.0", 24)
    for name in (WEB, WEB, "WEB.service.consul", "none.service.consul"):
        response = asked.send(dns.message.make_query(name, "A", use_edns=0, payload=1232, options=[COOKIE, subnet]))
        assert response.options == (dns.edns.ECSOption("192.0.2.0", 24, 0),)
    plain = asked.ask(WEB, payload=1232)
    assert plain.options == ()
    wrong = dns.edns.GenericOption(dns.edns.OptionType.ECS, b"\0\1\x20\0\1")
    raw = asked.cache.over_udp(dns.message.make_query(WEB, "A", use_edns=0, options=[wrong]).to_wire(), "192.0.2.7")
    assert isinstance(raw, bytes)
    assert (raw[3] & 15, asked.stats.malformed) == (dns.rcode.FORMERR, 1)


@pytest.mark.parametrize("times", [1, 4])
def test_the_wish_for_dnssec_is_sent_back(world: World, times: int) -> None:
    fill(world, 2)
    asked = world.asked()
    for wanted in [True, False] * times:
        response = asked.send(dns.message.make_query(WEB, "A", want_dnssec=wanted))
        assert bool(response.ednsflags & 0x8000) is wanted


def test_an_unknown_version_of_edns_is_named(world: World) -> None:
    fill(world, 2)
    response = world.asked().send(dns.message.make_query(WEB, "A", use_edns=1))
    assert (response.rcode(), response.edns, response.answer) == (dns.rcode.BADVERS, 0, [])


def test_unusual_but_right_queries_are_answered_from_memory_too(world: World) -> None:
    fill(world, 2)
    asked = world.asked()
    for _ in range(2):
        query = dns.message.make_query(WEB, "A")
        query.flags |= dns.flags.TC | dns.flags.AA
        assert len(data(asked.send(query))) == 2
    assert (asked.stats.renders, asked.stats.named) == (1, 1)


# -- order


@pytest.mark.parametrize("kind", ["A", "SRV"])
def test_every_instance_comes_first_equally_often(world: World, kind: str) -> None:
    fill(world, 10)
    asked = world.asked()
    first = Counter(data(asked.ask(WEB, kind, payload=1232))[0] for _ in range(405))
    assert len(first) == 10
    assert set(first.values()) == {40, 41}


def test_the_order_is_shuffled_anew_after_some_rounds(world: World) -> None:
    fill(world, 8)
    asked = world.asked()
    rounds = [tuple(data(asked.ask(WEB))[0] for _ in range(8)) for _ in range(40)]
    assert all(len(set(one)) == 8 for one in rounds)
    assert len({one[one.index("10.1.0.0") - 1] for one in rounds}) > 1


def test_a_service_larger_than_one_rendering_is_told_in_changing_parts(world: World) -> None:
    everybody = set(fill(world, 30))
    asked = world.asked(records_max_count=4)
    seen: set[str] = set()
    for _ in range(1600):
        answer = data(asked.ask(WEB))
        assert len(set(answer)) == 4
        seen |= set(answer)
    assert seen == everybody
    assert asked.stats.renders == 50


# -- size


@pytest.mark.parametrize("payload", [0, 512, 1232, 4096, 65535])
@pytest.mark.parametrize("kind", ["A", "SRV"])
def test_what_does_not_fit_is_cut_to_what_fits_with_tc(world: World, kind: str, payload: int) -> None:
    everybody = fill(world, 300)
    asked = world.asked()
    first = set()
    for _ in range(3):
        response = asked.ask(WEB, kind, payload=payload)
        raw_bytes = len(response.to_wire(max_size=65535))
        limit = min(max(payload, 512), 1232)
        assert response.flags & dns.flags.TC
        assert not response.additional
        answer = data(response)
        assert len(set(answer)) == len(answer) > 5
        if kind == "A":
            assert set(answer) < set(everybody)
            assert raw_bytes > limit - 16
        first.add(answer[0])
    assert len(first) == 3
    assert asked.stats.truncated == 3


def test_additional_records_are_left_out_first_without_tc(world: World) -> None:
    fill(world, 17)
    asked = world.asked()
    for _ in range(5):
        response = asked.ask(WEB, "SRV", payload=1232)
        assert not response.flags & dns.flags.TC
        assert len(data(response)) == 17
        assert 0 < len(response.additional) < 17
        targets = [record.split()[-1] for record in data(response)]
        assert [str(rrset.name) for rrset in response.additional] == targets[: len(response.additional)]


def test_a_record_that_does_not_fit_by_itself_is_had_over_tcp(world: World) -> None:
    host = ".".join(["h" * 60] * 4)
    name = ".".join(["t" * 60] * 3) + "." + "t" * 45
    world.register("web", address=host, tags=[name])
    world.node("noted", "10.0.0.7", note="`" * 512)
    asked = world.asked()
    for question, kind in ((f"{name}.{WEB}", "SRV"), ("noted.node.consul", "TXT")):
        for payload in (0, 512) * 3:
            response = asked.ask(question, kind, payload=payload)  # which looks at the size
            assert (len(data(response)), response.flags & dns.flags.TC) == (0, dns.flags.TC)
        response = asked.ask(question, kind, tcp=True)
        assert (len(data(response)), response.flags & dns.flags.TC) == (1, 0)


@pytest.mark.parametrize("ends_in", [[], ["10.0.0.9"], ["host.example.com"]])
def test_what_leads_to_an_answer_counts_too(world: World, ends_in: list[str]) -> None:
    tag = ".".join(["t" * 50] * 4)
    for address in ends_in:
        world.register("web", tags=[tag], address=address)
    world.register("one", address=f"{tag}.web.service.consul", tags=[tag])
    world.register("two", address=f"{tag}.one.service.consul")
    asked = world.asked()
    for _ in range(3):
        assert asked.ask("two.service.consul").flags & dns.flags.TC
    whole = asked.ask("two.service.consul", payload=1232)
    assert len(data(whole)) == 2 + len(ends_in)
    assert not whole.flags & dns.flags.TC


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"])
def test_clients_on_this_machine_may_have_more(world: World, host: str) -> None:
    fill(world, 100)
    asked = world.asked()
    for _ in range(3):
        near = asked.ask(WEB, host=host, payload=8192)
        far = asked.ask(WEB, payload=8192)
        assert (len(data(near)), near.flags & dns.flags.TC) == (100, 0)
        assert far.flags & dns.flags.TC
        assert far.payload == 1232


def test_tcp_takes_everything_that_64_kib_hold(world: World) -> None:
    fill(world, 1500)
    asked = world.asked(records_max_count=5000)
    response = asked.ask(WEB, tcp=True)
    assert (len(data(response)), response.flags & dns.flags.TC) == (1500, 0)
    seen = set()
    for _ in range(3):
        response = asked.ask(WEB, "SRV", tcp=True)
        assert not response.flags & dns.flags.TC
        assert 1000 < len(data(response)) < 1500
        seen |= set(data(response))
    assert len(seen) > len(data(response))


def test_sizes_on_all_ways_agree(world: World) -> None:
    fill(world, 40)
    asked = world.asked()
    for payload in (0, 600, 1232, 8192, 600, 0, 1232, 8192) * 3:
        for host in ("127.0.0.1", "192.0.2.7"):
            response = asked.ask(WEB, host=host, payload=payload)
            assert len(data(response)) == (40 if payload > 700 else 34 if payload else 29)


# -- changes


@pytest.mark.parametrize("kind", ["A", "SRV"])
def test_a_change_is_in_the_next_answer(world: World, kind: str) -> None:
    asked = world.asked()

    def ports() -> list[str]:
        return sorted(data(asked.ask(WEB, "SRV"))) if kind == "SRV" else sorted(data(asked.ask(WEB)))

    def count() -> int:
        for _ in range(3):
            assert len(ports()) == len(ports())
        return len(ports())

    assert count() == 0
    world.register("web", "a", address="10.0.0.7")
    assert count() == 1
    world.register("web", "b", node="n2", node_address="10.0.0.8")
    assert count() == 2
    world.report("a", Status.CRITICAL)
    assert count() == 1
    world.report("a", Status.PASSING)
    assert count() == 2
    world.maintenance(None, enable=True, node="n2", address="10.0.0.8")
    assert count() == 1
    world.maintenance(None, enable=False, node="n2", address="10.0.0.8")
    assert count() == 2
    world.phase("a", Phase.DRAINING)
    assert count() == 1
    world.do(cmd.DeregisterNode("n2"))
    assert count() == 0
    assert outline(asked.ask(WEB))[0] == "NXDOMAIN"
    world.phase("a", Phase.SERVING)
    assert count() == 1
    world.register("other", "a", address="10.0.0.7")
    assert count() == 0


def test_a_node_that_moves_takes_its_services_with_it(world: World) -> None:
    world.register("web")
    asked = world.asked()
    for _ in range(3):
        assert data(asked.ask(WEB)) == data(asked.ask("n1.node.consul")) == ["10.0.0.1"]
    world.register("other", node="N1", node_address="10.0.0.99")
    assert data(asked.ask(WEB)) == data(asked.ask("n1.node.consul")) == ["10.0.0.99"]


def test_a_change_elsewhere_leaves_an_answer_where_it_is(world: World) -> None:
    fill(world, 3)
    fill(world, 3, "other")
    asked = world.asked()
    for _ in range(3):
        asked.ask(WEB)
    asked.ask("other.service.consul")
    world.report("other-1", Status.CRITICAL)
    asked.ask(WEB)
    assert (asked.stats.renders, asked.stats.drops) == (2, 1)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["passing", "critical", "gone"])), max_size=8))
def test_kept_answers_agree_with_new_ones(steps: list[tuple[str, str]]) -> None:
    with a_world() as world:
        world.do(*(registration("web", name, address=f"10.0.0.{ord(name)}") for name in "abc"))
        asked = world.asked()
        for name, what in steps:
            if what == "gone":
                world.do(registration("other", name), cmd.DeregisterInstance(cmd.Target("n1", name)))
            else:
                world.register("web", name, address=f"10.0.0.{ord(name)}")
                world.report(name, Status(what))
            for _ in range(3):
                fresh = world.asked().ask(WEB)
                assert sorted(data(asked.ask(WEB))) == sorted(data(fresh))


# -- bounds


def test_types_that_nobody_has_are_one_answer(world: World) -> None:
    fill(world, 3)
    asked = world.asked()
    for kind in range(66, 249):
        for _ in range(2):
            response = asked.ask(WEB, f"TYPE{kind}")
            assert (outline(response), response.question[0].rdtype) == (("NOERROR", 0, ["SOA"]), kind)
    for _ in range(2):
        assert len(data(asked.ask(WEB))) == 3
        assert outline(asked.ask(WEB, "HTTPS")) == ("NOERROR", 0, ["SOA"])
    assert asked.stats.renders == 3
    for kind in range(249, 255):
        assert outline(asked.ask(WEB, f"TYPE{kind}"))[0] == "NOTIMP"
    for number in range(3):
        world.report(f"web-{number}", Status.CRITICAL)
    assert outline(asked.ask(WEB, "TYPE300"))[0] == "NXDOMAIN"


def test_what_is_kept_is_bounded_and_the_oldest_goes(world: World) -> None:
    fill(world, 2)
    asked = world.asked(answers_max_count=10)
    for number in range(100):
        asked.ask(f"n{number}.node.consul")
        asked.ask(f"n{number}.node.consul")
    assert asked.stats.renders == 100
    asked.ask("n99.node.consul")
    assert asked.stats.renders == 100
    asked.ask("n0.node.consul")
    assert asked.stats.renders == 101


def test_forms_of_a_query_known_by_their_bytes_are_bounded(world: World) -> None:
    fill(world, 2)
    asked = world.asked(variants_max_count=2)
    for _ in range(3):
        for payload in range(600, 605):
            assert len(data(asked.ask(WEB, payload=payload))) == 2
    asked.ask(WEB, payload=604)
    named = asked.stats.named
    asked.ask(WEB, payload=603)
    assert asked.stats.named == named
    asked.ask(WEB, payload=600)
    assert asked.stats.named == named + 1


def test_a_known_form_stays_known_when_the_order_is_shuffled(world: World) -> None:
    fill(world, 2)
    asked = world.asked(variants_max_count=2)
    for _ in range(320):
        asked.ask(WEB)
        asked.ask(WEB, payload=1232)
    assert asked.stats.named == 2 + 640 // 32 - 1


def test_every_message_is_counted_once_or_was_known_by_its_bytes(world: World) -> None:
    fill(world, 2)
    stats = (asked := world.asked()).stats
    for name in (WEB, WEB, "example.com", "x.consul"):
        asked.ask(name)
    asked.send(dns.message.make_query(WEB, "A", use_edns=1))
    asked.cache.over_tcp(b"scrap")
    assert (stats.renders, stats.named, stats.refused, stats.malformed, stats.not_ready) == (2, 1, 2, 1, 0)
    asked.ask(WEB)
    assert stats.named == 1


# -- what goes wrong


def test_before_the_view_is_complete_it_fails_and_keeps_nothing(world: World) -> None:
    fill(world, 2)
    asked = world.asked()
    for _ in range(3):
        asked.ask(WEB)
    world.registry.ready = False
    for name in (WEB, "other.service.consul", "consul"):
        response = asked.ask(name, payload=1232)
        assert (outline(response), response.edns) == (("SERVFAIL", 0, []), 0)
    assert outline(asked.ask(WEB))[0] == "SERVFAIL"
    world.registry.ready = True
    assert len(data(asked.ask(WEB))) == 2
    assert asked.stats.not_ready == 4


@pytest.mark.parametrize("opcode", [dns.opcode.IQUERY, dns.opcode.STATUS, dns.opcode.NOTIFY, dns.opcode.UPDATE])
def test_other_opcodes_are_not_implemented(world: World, opcode: dns.opcode.Opcode) -> None:
    query = dns.message.make_query(WEB, "A")
    query.set_opcode(opcode)
    raw = world.asked().cache.over_udp(query.to_wire(), "192.0.2.7")
    assert isinstance(raw, bytes)
    assert (raw[:2], raw[3] & 15, len(raw)) == (query.id.to_bytes(2, "big"), dns.rcode.NOTIMP, 12)


def test_junk_is_answered_with_formerr_and_scraps_and_responses_not_at_all(world: World) -> None:
    asked = world.asked()
    good = dns.message.make_query(WEB, "A").to_wire()
    raw = asked.cache.over_udp(good + b"junk", "192.0.2.7")
    assert raw == good[:2] + b"\x81\x01" + bytes(8)
    for message in (good[:11], b"", good[:2] + b"\x81" + good[3:]):
        assert asked.cache.over_udp(message, "192.0.2.7") is None
        assert asked.cache.over_tcp(message) is None
    assert asked.stats.malformed == 7


@pytest.fixture(scope="module")
def shared() -> Iterator[Asked]:
    with a_world() as world:
        fill(world, 3)
        yield world.asked()


GOOD = dns.message.make_query(WEB, "SRV", use_edns=0, payload=1232, options=[COOKIE]).to_wire()


@settings(max_examples=1000)
@given(message=st.one_of(st.binary(max_size=100), st.binary(max_size=100).map(lambda tail: GOOD[: len(tail)] + tail)))
def test_any_bytes_are_answered_by_a_message_or_not_at_all(shared: Asked, message: bytes) -> None:
    for raw in (shared.cache.over_udp(message, "192.0.2.7"), shared.cache.over_tcp(message)):
        if raw is not None:
            assert isinstance(raw, bytes)
            assert raw[:2] == message[:2]
            dns.message.from_wire(raw)


@settings(max_examples=1000)
@given(cut=st.integers(0, len(GOOD)), place=st.integers(0, len(GOOD) - 1), value=st.integers(0, 255))
def test_spoiled_queries_are_answered_by_a_message_or_not_at_all(shared: Asked, cut: int, place: int, value: int) -> None:
    spoiled = bytearray(GOOD)
    spoiled[place] = value
    for message in (bytes(spoiled), GOOD[:cut], GOOD):
        raw = shared.cache.over_udp(message, "192.0.2.7")
        assert raw is None or (isinstance(raw, bytes) and dns.message.from_wire(raw).id == int.from_bytes(message[:2], "big"))
