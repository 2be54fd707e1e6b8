import pytest

from callboard.client import CheckRequest, Client, InvalidRequestError, NotFoundError, Registration, Weights
from callboard.model.check import Status
from callboard.model.instance import Phase
from callboard.wire.native import Beat
from tests.servers import ServerProcess


def web(space: str, name: str = "web-1", port: int = 8080, *tags: str, status: str = "passing") -> Registration:
    check = CheckRequest(ttl_ms=60_000, status="passing" if status == "passing" else "warning")
    return Registration(
        service="web", id=name, namespace=space, address="10.0.0.1", port=port, tags=tags, meta={"zone": "a"}, checks=(check,)
    )  # fmt: skip


def test_what_is_put_is_found_as_it_was_said(client: Client, space: str) -> None:
    written = client.put(web(space, "web-1", 8080, "v1", "blue"))
    assert (written.id, written.namespace, written.changed) == ("web-1", space, True)
    assert not client.put(web(space, "web-1", 8080, "v1", "blue")).changed
    (found,) = client.instances("web", namespace=space).instances
    assert (found.id, found.service, found.address, found.port) == ("web-1", "web", "10.0.0.1", 8080)
    assert (set(found.tags), found.meta, found.weights) == ({"v1", "blue"}, {"zone": "a"}, Weights())
    assert (found.phase, found.status) == (Phase.SERVING, Status.PASSING)
    assert found == client.instance("web-1", namespace=space)
    (summary,) = client.services(namespace=space).services
    assert (summary.name, summary.instances, summary.passing) == ("web", 1, 1)


def test_name_spaces_do_not_see_each_other(client: Client, space: str) -> None:
    client.put(web(space))
    assert client.instances("web", namespace=space + "-other").instances == ()


def test_resolve_says_whom_to_call_and_why_not_the_others(client: Client, space: str) -> None:
    client.put(web(space, "a", 1, "v1", "blue"))
    client.put(web(space, "b", 2, "v1"))
    client.put(web(space, "c", 3, "v1", status="warning"))
    client.put(web(space, "d", 4, "v1"))
    client.drain("d", namespace=space)
    everyone = client.resolve("web", namespace=space)
    assert {endpoint.id for endpoint in everyone.endpoints} == {"a", "b", "c"}
    assert {judged.id: judged.reason for judged in everyone.considered if not judged.kept} == {"d": "draining"}
    assert {e.id for e in client.resolve("web", passing_only=True, namespace=space).endpoints} == {"a", "b"}
    assert {e.id for e in client.resolve("web", tags=("v1", "blue"), namespace=space).endpoints} == {"a"}
    assert len(client.resolve("web", limit=2, namespace=space).endpoints) == 2


def test_draining_hides_and_undraining_shows_again(client: Client, space: str) -> None:
    client.put(web(space))
    client.drain("web-1", namespace=space)
    assert client.instance("web-1", namespace=space).phase is Phase.DRAINING
    assert client.resolve("web", namespace=space).endpoints == ()
    client.undrain("web-1", namespace=space)
    assert len(client.resolve("web", namespace=space).endpoints) == 1


def test_a_heartbeat_may_say_how_it_is(client: Client, space: str) -> None:
    client.put(web(space))
    client.heartbeat("web-1", Beat(status="warning", output="disk"), namespace=space)
    assert client.instance("web-1", namespace=space).status is Status.WARNING
    client.heartbeat("web-1", namespace=space)
    assert client.instance("web-1", namespace=space).status is Status.PASSING


def test_deregistered_is_gone_and_unknown_is_an_error_of_its_own(client: Client, space: str) -> None:
    client.put(web(space))
    client.deregister("web-1", namespace=space)
    assert client.services(namespace=space).services == ()
    for ask in (client.deregister, client.drain, client.undrain, client.heartbeat, client.instance):
        with pytest.raises(NotFoundError) as raised:
            ask("web-1", namespace=space)
        assert raised.value.problem_code == "unknown_instance"


def test_names_with_every_kind_of_character_survive_the_way(client: Client, space: str) -> None:
    name = "a/b c?d=e&f#g%20ä+"
    client.put(Registration(service=name, id=name, namespace=space, node=name))
    assert client.instance(name, node=name, namespace=space).service == name
    assert [found.id for found in client.instances(name, namespace=space).instances] == [name]
    assert [found.id for found in client.resolve(name, namespace=space).endpoints] == [name]
    assert client.deregister(name, node=name, namespace=space).changed


def test_a_refusal_names_the_field(client: Client) -> None:
    with pytest.raises(InvalidRequestError) as raised:
        client.put(Registration(service=""))
    assert (raised.value.status, raised.value.field) == (400, "service")


def test_status_and_nodes_tell_of_the_server(client: Client, server: ServerProcess) -> None:
    status = client.status()
    assert (status.member, status.ready, status.leader) == (server.ready["member"], True, server.ready["member"])
    assert status.node in {node.name for node in client.nodes().nodes}
