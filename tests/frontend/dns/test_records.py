"""TXT, PTR, CNAME and the settings that shape answers: what is told of nodes, addresses, host names, ports and weights."""

import dns.flags
import dns.rcode
import dns.reversename
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.core.catalog import commands as cmd
from callboard.model.check import Status
from callboard.model.instance import Weights
from callboard.model.service import NamedPort
from tests.frontend.dns.world import Asked, World, a_world, data, outline, registration, section

V6 = "2001:db8::5"
NODATA = ("NOERROR", 0, ["SOA"])
NXDOMAIN = ("NXDOMAIN", 0, ["SOA"])


def reverse(asked: Asked, address: str) -> list[str]:
    """The names of an address, asked thrice: made, kept by name, kept by bytes."""
    name = str(dns.reversename.from_address(address)).rstrip(".")
    answers = [sorted(data(asked.ask(name, "PTR"))) for _ in range(3)]
    assert answers[0] == answers[1] == answers[2]
    return answers[0]


# -- TXT


def test_notes_of_a_node_are_texts(world: World) -> None:
    world.node("n1", "10.0.0.1", rack="7", grave="a`b=c", rfc1035_site="raw=`x`")
    asked = world.asked()
    for _ in range(3):
        texts = sorted(data(asked.ask("n1.node.consul", "TXT")))
        assert texts == ['"grave=a``b=c"', '"rack=7"', '"raw=`x`"']
    everything = section(asked.ask("n1.node.consul", "ANY").answer)
    assert sorted(record.split()[2] for record in everything) == ["A", "TXT", "TXT", "TXT"]
    assert outline(asked.ask("n1.node.consul", "AAAA")) == NODATA


def test_long_notes_are_told_in_several_strings(world: World) -> None:
    world.node("n1", "10.0.0.1", long="x" * 512)
    (record,) = world.asked().ask("n1.node.consul", "TXT", payload=1232).answer[0]
    assert b"".join(record.strings) == b"long=" + b"x" * 512
    assert [len(part) for part in record.strings] == [255, 255, 7]


def test_texts_that_do_not_fit_are_cut_with_tc(world: World) -> None:
    world.node("n1", "10.0.0.1", **{f"k{number}": "x" * 400 for number in range(64)})
    asked = world.asked()
    assert asked.ask("n1.node.consul", "TXT").flags & dns.flags.TC
    assert len(data(asked.ask("n1.node.consul", "TXT", tcp=True))) == 64


@pytest.mark.parametrize("wanted", [True, False])
def test_srv_answers_bring_notes_when_they_are_wanted(world: World, wanted: bool) -> None:
    world.register("web", "nodes")
    world.register("web", "own", address="10.0.0.9")
    world.node("n1", "10.0.0.1", rack="7")
    asked = world.asked(additional_meta_txt=wanted)
    for _ in range(3):
        told = section(asked.ask("web.service.consul", "SRV", payload=1232).additional)
        assert sorted(record.split()[2] for record in told) == (["A", "A", "TXT"] if wanted else ["A", "A"])
        assert ('n1.node.dc1.consul. 10 TXT "rack=7"' in told) is wanted
        assert len(asked.ask("n1.node.consul").additional) == wanted


# -- PTR


def test_an_address_has_the_name_of_its_node_or_of_its_services(world: World) -> None:
    world.register("Web", "a", address="10.0.0.7")
    world.register("web", "b", address="10.0.0.7", port=81)
    world.register("api", address="10.0.0.7", port=82)
    world.register("six", address=V6)
    asked = world.asked()
    assert reverse(asked, "10.0.0.1") == ["n1.node.dc1.consul."]
    assert [name.lower() for name in reverse(asked, "10.0.0.7")] == ["api.service.dc1.consul.", "web.service.dc1.consul."]
    assert reverse(asked, V6) == ["six.service.dc1.consul."]
    (record,) = section(asked.ask("1.0.0.10.in-addr.arpa", "PTR").answer)
    assert record == "1.0.0.10.in-addr.arpa. 10 PTR n1.node.dc1.consul."


def test_an_address_of_nobody_is_denied_and_found_once_somebody_has_it(world: World) -> None:
    asked = world.asked()
    for _ in range(3):
        assert outline(asked.ask("7.0.0.10.in-addr.arpa", "PTR")) == NXDOMAIN
    world.register("web", address="10.0.0.7")
    assert reverse(asked, "10.0.0.7") == ["web.service.dc1.consul."]
    assert outline(asked.ask("7.0.0.10.in-addr.arpa", "A"))[:2] == ("NOERROR", 0)
    world.node("n7", "10.0.0.7")
    assert reverse(asked, "10.0.0.7") == ["n7.node.dc1.consul."]
    world.do(cmd.DeregisterNode("n7"))
    assert reverse(asked, "10.0.0.7") == ["web.service.dc1.consul."]
    world.deregister("web")
    assert reverse(asked, "10.0.0.7") == []


@pytest.mark.parametrize("name", ["0.0.10.in-addr.arpa", "in-addr.arpa", "256.0.0.10.in-addr.arpa", "07.0.0.10.in-addr.arpa", "x.ip6.arpa"])
def test_what_is_no_whole_address_is_somebody_elses(world: World, name: str) -> None:
    assert outline(world.asked().ask(name, "PTR")) == ("REFUSED", 0, [])


def test_a_change_elsewhere_leaves_the_names_of_an_address_where_they_are(world: World) -> None:
    world.register("web", address="10.0.0.7")
    asked = world.asked()
    reverse(asked, "10.0.0.7")
    world.register("other", address="10.0.0.8")
    reverse(asked, "10.0.0.7")
    assert (asked.stats.renders, asked.stats.drops) == (1, 0)


STEP = st.tuples(st.sampled_from("abc"), st.sampled_from(["web", "api"]), st.sampled_from(["10.0.0.7", "10.0.0.8", "", "gone", "moved"]))


@given(st.lists(STEP, max_size=10))
def test_names_of_addresses_agree_with_a_walk_through_the_catalog(steps: list[tuple[str, str, str]]) -> None:
    with a_world() as world:
        asked = world.asked()
        reverse(asked, "10.0.0.7")  # from here on the index is kept up
        for name, service, what in steps:
            if what == "gone":
                world.do(registration("other", name), cmd.DeregisterInstance(cmd.Target("n1", name)))
            elif what == "moved":
                world.register(service, name, node_address="10.0.0.8")
            else:
                world.register(service, name, address=what)
            view = world.registry.view
            for address in ("10.0.0.1", "10.0.0.7", "10.0.0.8"):
                nodes = [f"{node.name}.node.dc1.consul." for node in view.nodes.values() if node.address == address]
                there = {placed.instance.service for placed in view.on_node("public", "n1").values() if placed.instance.address == address}
                assert reverse(asked, address) == (sorted(nodes) or sorted(f"{service}.service.dc1.consul." for service in there))


# -- CNAME


def test_a_host_name_is_a_cname_when_nobody_has_an_address(world: World) -> None:
    world.register("db", address="db.example.com")
    asked = world.asked()
    for kind in ("A", "AAAA", "CNAME", "ANY"):
        for _ in range(3):
            assert section(asked.ask("db.service.consul", kind).answer) == ["db.service.consul. 2 CNAME db.example.com."]
    assert outline(asked.ask("db.service.consul", "TXT")) == NODATA
    assert data(asked.ask("db.service.consul", "SRV")) == ["1 1 80 db.example.com."]
    world.register("db", "second", address="10.0.0.7")
    assert data(asked.ask("db.service.consul")) == ["10.0.0.7"]
    assert outline(asked.ask("db.service.consul", "AAAA")) == NODATA
    assert outline(asked.ask("db.service.consul", "CNAME")) == NODATA


def test_of_several_host_names_each_has_its_turn(world: World) -> None:
    hosts = {f"h{number}.example.com." for number in range(3)}
    for host in hosts:
        world.register("db", host, address=host)
    asked = world.asked()
    seen = []
    for _ in range(900):
        seen += data(asked.ask("db.service.consul"))
    assert len(seen) == 900
    assert set(seen) == hosts


def test_a_host_name_of_ours_comes_with_its_addresses(world: World) -> None:
    world.register("web", "a", address="10.0.0.7")
    world.register("web", "b", address="10.0.0.8")
    world.register("db", address="Web.service.consul")
    asked = world.asked()
    for _ in range(4):
        response = asked.ask("db.service.consul")
        assert section(response.answer)[0] == "db.service.consul. 2 CNAME Web.service.consul."
        assert sorted(section(response.answer)[1:]) == ["Web.service.consul. 2 A 10.0.0.7", "Web.service.consul. 2 A 10.0.0.8"]
    world.report("a", Status.CRITICAL)
    assert data(asked.ask("db.service.consul"))[1:] == ["10.0.0.8"]
    world.report("b", Status.CRITICAL)
    response = asked.ask("db.service.consul")
    assert (response.rcode(), data(response)) == (dns.rcode.NXDOMAIN, ["Web.service.consul."])


def test_host_names_that_lead_in_a_circle_come_to_an_end(world: World) -> None:
    world.register("a", address="b.service.consul")
    world.register("b", address="a.service.consul")
    response = world.asked().ask("a.service.consul")
    assert 2 <= len(response.answer) <= 4
    assert response.rcode() == dns.rcode.NOERROR


# -- ports, weights, times, domains, limits


@pytest.mark.parametrize(
    "name", ["metrics.port.web.service.consul", "web.service.metrics.port.consul", "_web._tcp.service.dc1.dc.Metrics.port.consul"]
)
def test_a_port_is_found_by_its_name(world: World, name: str) -> None:
    world.register("web", "a", address="10.0.0.7", ports=[NamedPort("http", 8080, default=True), NamedPort("metrics", 9090)])
    world.register("web", "b", address="10.0.0.8", port=80)
    asked = world.asked()
    assert data(asked.ask(name, "SRV")) == ["1 1 9090 0a000007.addr.dc1.consul."]
    assert data(asked.ask(name)) == ["10.0.0.7"]
    assert sorted(data(asked.ask("web.service.consul", "SRV")))[1].split()[2] == "8080"
    assert outline(asked.ask(name.lower().replace("metrics", "other"), "SRV")) == NXDOMAIN


def test_weights_are_scaled_up_to_what_srv_can_say(world: World) -> None:
    world.register("web", "a", port=1, weights=Weights(passing=10))
    world.register("web", "b", port=2, weights=Weights(passing=1000))
    world.register("web", "c", port=3, weights=Weights(passing=9, warning=0), status=Status.WARNING)
    asked = world.asked(srv_weight_scale=256)
    weights = {int(record.split()[2]): int(record.split()[1]) for record in data(asked.ask("web.service.consul", "SRV"))}
    assert weights == {1: 2560, 2: 65535, 3: 0}


def test_time_to_live_by_name_then_by_longest_beginning(world: World) -> None:
    for service in ("web", "db-main", "db-spare", "other"):
        world.register(service)
    asked = world.asked(service_ttls={"Web": 5, "db*": 10, "db-s*": 20, "*": 3})

    def ttls(service: str) -> set[int]:
        response = asked.ask(f"{service}.service.consul", "SRV")
        return {rrset.ttl for rrset in (*response.answer, *response.additional)}

    assert [ttls(service) for service in ("WEB", "db-main", "db-spare", "other")] == [{5}, {10}, {20}, {3}]
    assert world.asked(service_ttls={"x*": 9}).ask("web.service.consul").answer[0].ttl == 2


def test_the_alternative_domain_answers_in_its_own_name(world: World) -> None:
    world.register("web")
    asked = world.asked(alternative_domain="sd.consul")
    for name, domain in (("web.service.consul", "consul"), ("web.service.sd.consul", "sd.consul")):
        assert data(asked.ask(name, "SRV")) == [f"1 1 80 n1.node.dc1.{domain}."]
        assert data(asked.ask(f"n1.node.dc1.{domain}")) == ["10.0.0.1"]
        assert str(asked.ask(f"none.service.{domain}").authority[0].name) == f"{domain}."
        assert data(asked.ask(domain, "NS")) == [f"ns.{domain}."]
    assert outline(asked.ask("web.service.example.com"))[0] == "REFUSED"


def test_soa_says_what_is_set(world: World) -> None:
    asked = world.asked(soa_refresh_s=1, soa_retry_s=2, soa_expire_s=3, negative_ttl_s=4)
    assert data(asked.ask("consul", "SOA"))[0].split()[3:] == ["1", "2", "3", "4"]


def test_a_limit_of_addresses_turns_through_all(world: World) -> None:
    world.do(*(registration("web", f"w{number}", address=f"10.1.0.{number}", port=number + 1) for number in range(9)))
    asked = world.asked(address_records_max_count=2)
    seen = []
    for tcp in [False, False, True] * 30:
        response = asked.ask("web.service.consul", tcp=tcp)
        assert len(set(data(response))) == 2
        assert not response.flags & dns.flags.TC
        seen += data(response)
    assert len(set(seen)) == 9
    assert len(data(asked.ask("web.service.consul", "SRV", payload=1232))) == 9


def test_a_limit_for_plain_datagrams_sets_tc(world: World) -> None:
    world.do(*(registration("web", f"w{number}", address=f"10.1.0.{number}") for number in range(9)))
    asked = world.asked(plain_records_max_count=3)
    for _ in range(3):
        response = asked.ask("web.service.consul")
        assert (len(data(response)), bool(response.flags & dns.flags.TC)) == (3, True)
        assert len(data(asked.ask("web.service.consul", payload=1232))) == 9
        assert len(data(asked.ask("web.service.consul", tcp=True))) == 9


def test_connect_finds_who_speaks_for_a_service_in_the_mesh(world: World) -> None:
    asked = world.asked()
    assert outline(asked.ask("web.connect.consul", "SRV")) == NXDOMAIN
    world.register("web", "plain", address="10.0.0.6")
    world.register("web-proxy", "p", address="10.0.0.7", port=21000, kind="connect-proxy", destination="Web")
    for _ in range(3):
        assert data(asked.ask("web.connect.consul", "SRV")) == ["1 1 21000 0a000007.addr.dc1.consul."]
    world.register("web", "native", address="10.0.0.8", port=443, connect_native=True)
    assert sorted(data(asked.ask("web.connect.dc1.consul"))) == ["10.0.0.7", "10.0.0.8"]
    world.report("p", Status.CRITICAL)
    assert data(asked.ask("web.connect.consul")) == ["10.0.0.8"]
    world.deregister("native")
    assert outline(asked.ask("web.connect.consul")) == NXDOMAIN


@pytest.mark.parametrize("name", ["web.virtual.consul", "web.ingress.consul", "web.query.consul", "web.service.peer1.peer.consul"])
def test_kinds_of_names_that_are_not_served_do_not_exist(world: World, name: str) -> None:
    world.register("web")
    assert outline(world.asked().ask(name)) == NXDOMAIN
