"""The same query over UDP and over TCP, in any order and as often as may be: what is kept for one is right for the other."""

from typing import Final

import dns.edns
import dns.flags
import dns.message
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.frontend.dns.test_never_stale import said
from tests.frontend.dns.world import World, a_world

COUNTS: Final = {"one": 1, "few": 9, "many": 60}
NAMES: Final = (*(f"{service}.service.consul" for service in COUNTS), "Few.Service.consul", "none.service.consul", "elsewhere.example")
KINDS: Final = ("A", "AAAA", "SRV", "ANY", "TXT", "AXFR", "IXFR", "MX")
PAYLOADS: Final = (-1, 0, 512, 1232, 4096, 65_535)
COOKIE: Final = dns.edns.GenericOption(dns.edns.OptionType.COOKIE, b"12345678")

queries = st.tuples(st.sampled_from(NAMES), st.sampled_from(KINDS), st.sampled_from(PAYLOADS), st.booleans(), st.booleans())


def query_of(name: str, kind: str, payload: int, dnssec: bool, cookie: bool) -> dns.message.QueryMessage:
    if payload < 0:
        return dns.message.make_query(name, kind)
    options: list[dns.edns.Option] = [COOKIE] if cookie else []
    return dns.message.make_query(name, kind, use_edns=0, payload=payload, want_dnssec=dnssec, options=options)


def filled(world: World) -> None:
    for service, count in COUNTS.items():
        for number in range(count):
            world.register(service, f"{service}-{number}", address=f"10.1.0.{number + 1}")


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(queries, st.lists(st.booleans(), min_size=1, max_size=8)), max_size=12), st.sampled_from([0, 3]))
def test_what_is_kept_for_one_way_is_right_for_the_other(
    asked: list[tuple[tuple[str, str, int, bool, bool], list[bool]]], plain: int
) -> None:
    with a_world() as world:
        filled(world)
        kept = world.asked(plain_records_max_count=plain)
        for parts, ways in asked:
            query = query_of(*parts)
            whole = said(world.asked(plain_records_max_count=plain).send(query, tcp=True))
            for tcp in ways:
                told = kept.send(query, tcp=tcp)
                if tcp:
                    assert not told.flags & dns.flags.TC
                    assert said(told) == whole
                elif not told.flags & dns.flags.TC and (plain == 0 or query.edns >= 0):
                    assert said(told)[2] == whole[2]
