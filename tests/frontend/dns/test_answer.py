import dns.flags
import dns.message
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.core.catalog.queries import instances_of
from callboard.frontend.dns.question import Zone
from callboard.model.check import Status
from callboard.model.errors import InvalidError
from callboard.model.instance import Phase, Weights
from tests.frontend.dns.world import World, a_world, data, outline, registration, section

V6 = "2001:db8::5"
V6_NAME = "20010db8000000000000000000000005.addr.dc1.consul."
NODATA = ("NOERROR", 0, ["SOA"])
NXDOMAIN = ("NXDOMAIN", 0, ["SOA"])


# -- services


@pytest.mark.parametrize(
    "name", ["web.service.consul", "WEB.Service.dc1.CONSUL", "_web._tcp.service.consul", "_web._tcp.consul", "v1.web.service.consul"]
)
def test_a_service_is_found_by_every_form_of_its_name(world: World, name: str) -> None:
    world.register("Web", address="10.0.0.7", tags=["V1"])
    response = world.asked().ask(name)
    assert section(response.answer) == [f"{name}. 2 A 10.0.0.7"]
    assert response.flags & (dns.flags.AA | dns.flags.RA | dns.flags.TC) == dns.flags.AA


def test_addresses_are_the_instances_own_or_their_nodes_each_once(world: World) -> None:
    world.register("web", "a", address="10.0.0.7", port=1)
    world.register("web", "b", address="10.0.0.7", port=2)
    world.register("web", "c")
    world.register("web", "d", address=V6)
    world.register("web", "e", address="host.example.com")
    asked = world.asked()
    assert sorted(data(asked.ask("web.service.consul"))) == ["10.0.0.1", "10.0.0.7"]
    assert data(asked.ask("web.service.consul", "AAAA")) == [V6]
    assert sorted(data(asked.ask("web.service.consul", "ANY"))) == ["10.0.0.1", "10.0.0.7", V6]


def test_srv_names_port_target_and_weight_and_brings_the_addresses(world: World) -> None:
    world.register("web", "own", address="10.0.0.7", port=8080, weights=Weights(passing=7, warning=3))
    world.register("web", "nodes", node="N2", node_address="10.0.0.2", port=8081)
    world.register("web", "six", address=V6, port=8082)
    world.register("web", "named", address="host.example.com", port=8083)
    response = world.asked().ask("web.service.consul", "SRV", payload=1232)
    owner = "web.service.consul. 2 SRV 1"
    assert sorted(section(response.answer)) == [
        f"{owner} 1 8081 N2.node.dc1.consul.",
        f"{owner} 1 8082 {V6_NAME}",
        f"{owner} 1 8083 host.example.com.",
        f"{owner} 7 8080 0a000007.addr.dc1.consul.",
    ]
    assert sorted(section(response.additional)) == [
        "0a000007.addr.dc1.consul. 2 A 10.0.0.7",
        f"{V6_NAME} 2 AAAA {V6}",
        "N2.node.dc1.consul. 2 A 10.0.0.2",
    ]


def test_every_srv_target_of_ours_resolves(world: World) -> None:
    world.register("web", "own", address="10.0.0.7")
    world.register("web", "six", address=V6)
    world.register("web", "nodes", node="host.example", node_address="10.0.0.2")
    asked = world.asked()
    addresses = set()
    for record in data(asked.ask("web.service.consul", "SRV")):
        response = asked.ask(record.split()[-1], "ANY")
        addresses.update(data(response))
    assert addresses == {"10.0.0.7", V6, "10.0.0.2"}


def test_a_warning_instance_has_its_warning_weight(world: World) -> None:
    world.register("web", weights=Weights(passing=7, warning=3), status=Status.WARNING)
    assert data(world.asked().ask("web.service.consul", "SRV"))[0].startswith("1 3 80 ")


def test_instances_at_one_target_and_port_are_one_srv_record(world: World) -> None:
    world.register("web", "a")
    world.register("web", "b")
    world.register("web", "c", port=81)
    assert len(data(world.asked().ask("web.service.consul", "SRV"))) == 2


def test_a_host_name_that_is_none_and_a_node_that_is_none_do_no_harm(world: World) -> None:
    world.register("web", "bad", address="two..dots")
    world.register("web", "good", node="n" * 70, node_address="10.0.0.3")
    asked = world.asked()
    assert data(asked.ask("web.service.consul", "SRV")) == ["1 1 80 0a000003.addr.dc1.consul."]
    assert data(asked.ask("web.service.consul")) == ["10.0.0.3"]


def test_only_instances_with_the_tag_count(world: World) -> None:
    world.register("web", "a", address="10.0.0.7", tags=["primary", "v1.2"])
    world.register("web", "b", address="10.0.0.8", tags=["v1.2"])
    asked = world.asked()
    assert data(asked.ask("PRIMARY.web.service.consul")) == ["10.0.0.7"]
    assert data(asked.ask("_web._primary.service.consul")) == ["10.0.0.7"]
    assert sorted(data(asked.ask("v1.2.web.service.consul"))) == ["10.0.0.7", "10.0.0.8"]
    assert outline(asked.ask("backup.web.service.consul")) == NXDOMAIN


@pytest.mark.parametrize("kind", ["AAAA", "CNAME", "PTR", "TXT", "TYPE65"])
def test_a_name_without_records_of_a_type_exists(world: World, kind: str) -> None:
    world.register("web")
    assert outline(world.asked().ask("web.service.consul", kind)) == NODATA


def test_a_name_that_is_not_there_is_denied_for_a_second(world: World) -> None:
    response = world.asked().ask("web.service.consul")
    assert outline(response) == NXDOMAIN
    assert section(response.authority) == [
        f"consul. 1 SOA ns.consul. hostmaster.consul. {world.registry.revision} 3600 600 86400 1"
    ]  # fmt: skip
    assert response.flags & dns.flags.AA


@pytest.mark.parametrize("name", ["_tcp.service.consul", "_tcp.consul", "service.consul", "dc1.consul", "node.dc1.consul", "addr.consul"])
def test_names_on_the_way_to_others_are_not_denied(world: World, name: str) -> None:
    assert outline(world.asked().ask(name)) == NODATA


# -- who is hidden


@pytest.mark.parametrize("kind", ["A", "SRV", "AAAA"])
def test_instances_that_must_not_be_called_are_hidden(world: World, kind: str) -> None:
    world.register("web", "good", address="10.0.0.7")
    world.register("web", "critical", address="10.0.0.8", status=Status.CRITICAL)
    world.register("web", "starting", address="10.0.0.9", phase=Phase.STARTING)
    world.register("web", "draining", address="10.0.0.10")
    world.phase("draining", Phase.DRAINING)
    world.register("web", "maintained", address="10.0.0.11")
    world.maintenance("maintained", enable=True)
    world.register("web", "elsewhere", node="n2", node_address="10.0.0.12")
    world.maintenance(None, enable=True, node="n2", address="10.0.0.12")
    expected = {"A": ["10.0.0.7"], "SRV": ["1 1 80 0a000007.addr.dc1.consul."], "AAAA": []}
    assert data(world.asked().ask("web.service.consul", kind)) == expected[kind]


@pytest.mark.parametrize(("setting", "rcode"), [(True, "NXDOMAIN"), (False, "NOERROR")])
@pytest.mark.parametrize("kind", ["A", "AAAA", "SRV"])
def test_when_none_is_left_the_setting_decides(world: World, setting: bool, rcode: str, kind: str) -> None:
    world.register("web", status=Status.CRITICAL)
    assert outline(world.asked(empty_is_nxdomain=setting).ask("web.service.consul", kind)) == (rcode, 0, ["SOA"])


def test_only_passing_hides_warning_ones(world: World) -> None:
    world.register("web", "a", address="10.0.0.7", status=Status.WARNING)
    world.register("web", "b", address="10.0.0.8")
    assert sorted(data(world.asked().ask("web.service.consul"))) == ["10.0.0.7", "10.0.0.8"]
    assert data(world.asked(only_passing=True).ask("web.service.consul")) == ["10.0.0.8"]


STATUSES = st.sampled_from([Status.PASSING, Status.WARNING, Status.CRITICAL])
MEMBER = st.tuples(st.sampled_from(["n1", "n2"]), STATUSES, st.sampled_from(list(Phase)), st.sampled_from(["", "10.1.0.1", V6, "a.host"]))


@given(st.lists(MEMBER, max_size=6))
def test_dns_agrees_with_the_view(members: list[tuple[str, Status, Phase, str]]) -> None:
    with a_world() as world:
        world.do(*(
            registration("web", f"i{i}", node=node, node_address=f"10.0.0.{node[1]}", address=address, port=i, status=status, phase=phase)
            for i, (node, status, phase, address) in enumerate(members)
        ))  # fmt: skip
        good = [
            found
            for found in instances_of(world.registry.view, "public", "web")
            if found.status in {Status.PASSING, Status.WARNING} and found.instance.phase is Phase.SERVING
        ]
        asked = world.asked()
        told = {record.split()[2] for record in data(asked.ask("web.service.consul", "SRV", tcp=True))}
        assert told == {str(found.instance.port) for found in good}
        addresses = {found.address for found in good if found.address != "a.host"}
        assert set(data(asked.ask("web.service.consul", "ANY"))) == (addresses or ({"a.host."} if good else set()))


# -- nodes, addresses, the domain


@pytest.mark.parametrize("name", ["n1.node.consul", "N1.NODE.dc1.consul"])
def test_a_node_is_found_whatever_its_health(world: World, name: str) -> None:
    world.register("web", status=Status.CRITICAL)
    asked = world.asked()
    assert section(asked.ask(name).answer) == [f"{name}. 10 A 10.0.0.1"]
    assert outline(asked.ask(name, "AAAA")) == NODATA
    assert outline(asked.ask("n2.node.consul")) == NXDOMAIN


def test_a_node_with_dots_six_bytes_or_a_host_name(world: World) -> None:
    world.register("a", node="host.example.com", node_address=V6)
    world.register("b", node="n3", node_address="host.example.com")
    asked = world.asked()
    assert data(asked.ask("host.example.com.node.dc1.consul", "AAAA")) == [V6]
    assert section(asked.ask("n3.node.consul").answer) == ["n3.node.consul. 10 CNAME host.example.com."]
    assert data(asked.ask("b.service.consul", "SRV")) == ["1 1 80 host.example.com."]


def test_an_address_is_a_name(world: World) -> None:
    asked = world.asked()
    assert data(asked.ask("0A000007.addr.dc1.consul")) == ["10.0.0.7"]
    assert data(asked.ask(V6_NAME, "AAAA")) == [V6]
    assert outline(asked.ask("0a000007.addr.dc1.consul", "AAAA")) == NODATA
    assert outline(asked.ask("0a0000.addr.dc1.consul")) == NXDOMAIN


def test_the_domain_names_its_authority_and_server(world: World) -> None:
    asked = world.asked()
    soa = f"consul. 1 SOA ns.consul. hostmaster.consul. {world.registry.revision} 3600 600 86400 1"
    assert section(asked.ask("consul", "SOA").answer) == [soa]
    response = asked.ask("Consul", "NS")
    assert section(response.answer) == ["Consul. 10 NS ns.Consul."]
    assert section(response.additional) == ["ns.Consul. 10 A 10.9.9.9"]
    assert sorted(section(asked.ask("consul", "ANY").answer)) == [soa, "consul. 10 NS ns.consul."]
    assert outline(asked.ask("consul", "A")) == NODATA
    assert data(asked.ask("ns.consul")) == ["10.9.9.9"]


def test_the_serial_number_follows_the_catalog(world: World) -> None:
    asked = world.asked()
    serials = []
    for name in ("a", "b"):
        world.register(name)
        serials.append(int(data(asked.ask("consul", "SOA"))[0].split()[2]))
    assert serials[0] < serials[1] == world.registry.revision


def test_another_data_centre_is_unknown(world: World) -> None:
    world.register("web")
    assert outline(world.asked().ask("web.service.dc2.consul")) == NXDOMAIN


def test_domain_and_data_centre_can_be_chosen() -> None:
    with a_world(datacenter="Berlin-1") as world:
        world.register("web")
        asked = world.asked(domain="sd.Example.com.", service_ttl_s=5)
        response = asked.ask("web.service.berlin-1.sd.example.com", "SRV")
        assert section(response.answer) == ["web.service.berlin-1.sd.example.com. 5 SRV 1 1 80 n1.node.berlin-1.sd.example.com."]
        assert outline(asked.ask("web.service.consul")) == ("REFUSED", 0, [])
        assert outline(asked.ask("other.sd.example.com"))[0] == "NXDOMAIN"


@pytest.mark.parametrize(("domain", "datacenter"), [("", "dc1"), ("a..b", "dc1"), ("x" * 64, "dc1"), ("consul", "x" * 64), ("consul", "")])
def test_a_domain_or_data_centre_that_cannot_be_a_name_is_refused(domain: str, datacenter: str) -> None:
    with pytest.raises(InvalidError, match="domain name"):
        Zone(domain, datacenter, "consul")


# -- what is refused


@pytest.mark.parametrize(
    ("name", "kind", "category", "rcode"),
    [
        ("example.com", "A", "IN", "REFUSED"), (".", "NS", "IN", "REFUSED"), ("web.service.consul", "A", "CH", "REFUSED"),
        ("consul", "AXFR", "IN", "NOTIMP"), ("consul", "IXFR", "IN", "NOTIMP"), ("consul", "TKEY", "IN", "NOTIMP"),
        ("consul", "MAILA", "IN", "NOTIMP"),
    ],
)  # fmt: skip
def test_what_is_not_ours_is_refused(world: World, name: str, kind: str, category: str, rcode: str) -> None:
    response = world.asked().send(dns.message.make_query(name, kind, category))
    assert outline(response) == (rcode, 0, [])
    assert not response.flags & dns.flags.AA


def test_any_class_is_ours(world: World) -> None:
    world.register("web")
    query = dns.message.make_query("web.service.consul", "A", "ANY")
    raw = world.asked().cache.over_udp(query.to_wire(), "192.0.2.7")
    assert isinstance(raw, bytes)
    assert len(dns.message.from_wire(raw).answer) == 1
