import hashlib
from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from callboard.model.check import Status
from callboard.model.instance import Phase
from callboard.wire.native import InstanceState, Weights
from callboard.wire.native_digest import DIGEST_CHARS, digest_of

NAMES = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=8)
INSTANCES = st.builds(
    InstanceState, id=NAMES, service=NAMES, namespace=NAMES, node=NAMES, address=st.just("10.0.0.1"), port=st.integers(0, 65535),
    tags=st.just(()), meta=st.just({}), weights=st.just(Weights()), phase=st.sampled_from(Phase), status=st.sampled_from(Status),
    checks=st.just(()), created=st.integers(0, 9), modified=st.integers(0, 2**53),
)  # fmt: skip
ONE = InstanceState(
    id="web-1", service="web", namespace="public", node="n1", address="10.0.0.1", port=80, tags=(), meta={}, weights=Weights(),
    phase=Phase.SERVING, status=Status.PASSING, checks=(), created=3, modified=7,
)  # fmt: skip


@given(st.lists(INSTANCES, max_size=8), st.randoms())
def test_the_order_does_not_count(instances: list[InstanceState], random: Random) -> None:
    shuffled = random.sample(instances, len(instances))
    assert digest_of(shuffled) == digest_of(instances)


@given(st.lists(INSTANCES, max_size=5), st.lists(INSTANCES, max_size=5))
def test_pictures_have_one_digest_exactly_when_they_tell_the_same(left: list[InstanceState], right: list[InstanceState]) -> None:
    def told(instances: list[InstanceState]) -> list[tuple[object, ...]]:
        return sorted((one.namespace, one.service, one.node, one.id, one.modified, one.phase, one.status) for one in instances)

    assert (digest_of(left) == digest_of(right)) == (told(left) == told(right))


@pytest.mark.parametrize(
    "change",
    [
        {"id": "web-2"}, {"service": "db"}, {"namespace": "blue"}, {"node": "n2"}, {"modified": 8}, {"phase": Phase.DRAINING},
        {"status": Status.WARNING},
    ],
    ids=str,
)  # fmt: skip
def test_what_callers_act_on_counts(change: dict[str, object]) -> None:
    assert digest_of([replace(ONE, **change)]) != digest_of([ONE])


def test_what_follows_from_the_registration_does_not_count_twice() -> None:
    assert digest_of([replace(ONE, tags=("a",), port=81, created=1)]) == digest_of([ONE])


def test_the_form_is_fixed_for_servers_and_readers_of_two_versions() -> None:
    line = b"\0".join((b"public", b"web", b"n1", b"web-1", b"7", b"serving", b"passing"))
    assert digest_of([ONE]) == hashlib.sha256(line).hexdigest()[:16]
    assert digest_of([]) == hashlib.sha256(b"").hexdigest()[:DIGEST_CHARS]


def test_it_is_the_same_over_the_wire() -> None:
    assert digest_of([msgspec.json.decode(msgspec.json.encode(ONE), type=InstanceState)]) == digest_of([ONE])
