from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.model import names
from callboard.model.errors import InvalidError
from callboard.model.instance import InstanceSpec, NodeSpec, TaggedAddress, Weights


def test_public_has_three_spellings() -> None:
    assert [names.namespace(value) for value in ("", "default", "public", "blue")] == ["public", "public", "public", "blue"]


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: InstanceSpec(service="", id="a"), "service"),
        (lambda: InstanceSpec(service="web", id=""), "service id"),
        (lambda: InstanceSpec(service="x" * 256, id="a"), "service"),
        (lambda: InstanceSpec(service="we\nb", id="a"), "service"),
        (lambda: InstanceSpec(service="web", id="\ud800"), "service id"),
        (lambda: InstanceSpec(service="web", id="a", namespace=""), "namespace"),
        (lambda: InstanceSpec(service="web", id="a", port=-1), "port"),
        (lambda: InstanceSpec(service="web", id="a", port=65536), "port"),
        (lambda: InstanceSpec(service="web", id="a", address="0.0.0.0"), "address"),
        (lambda: InstanceSpec(service="web", id="a", address="[::]"), "address"),
        (lambda: InstanceSpec(service="web", id="a", tags=("t",) * 129), "tags"),
        (lambda: InstanceSpec(service="web", id="a", tags=("t" * 513,)), "tags"),
        (lambda: InstanceSpec(service="web", id="a", meta={"a b": "c"}), "meta"),
        (lambda: InstanceSpec(service="web", id="a", meta={"": "c"}), "meta"),
        (lambda: InstanceSpec(service="web", id="a", meta={"a": "c" * 513}), "meta"),
        (lambda: InstanceSpec(service="web", id="a", meta={str(n): "" for n in range(65)}), "meta"),
        (lambda: InstanceSpec(service="web", id="a", weights=Weights(0, 1)), "weights"),
        (lambda: InstanceSpec(service="web", id="a", weights=Weights(1, 65536)), "weights"),
        (lambda: InstanceSpec(service="web", id="a", tagged={"lan": TaggedAddress("h", 65536)}), "port of tagged address lan"),
        (lambda: NodeSpec(name="", address="h"), "node"),
        (lambda: NodeSpec(name="n", address=""), "node address"),
        (lambda: NodeSpec(name="n", address="h", id="x" * 256), "node id"),
    ],
)
def test_what_breaks_a_rule_is_refused_with_its_field(make: Callable[[], object], field: str) -> None:
    with pytest.raises(InvalidError) as refused:
        make()
    assert refused.value.field == field


def test_names_that_clients_use_are_taken() -> None:
    for name in ("web", "app#127.0.0.1#3000", "grüße", "a/b:c", "x" * 255):
        assert InstanceSpec(service=name, id=name).service == name


@given(
    st.dictionaries(
        st.text(st.sampled_from("abZ09_-. é"), max_size=5) | st.text(st.just("k"), min_size=120, max_size=140),
        st.text(max_size=5) | st.text(st.just("€"), min_size=120, max_size=180) | st.text(st.just("v"), min_size=500, max_size=520),
        max_size=4,
    )
)
def test_what_is_plain_at_a_glance_breaks_no_rule(meta: dict[str, str]) -> None:
    allowed = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_")
    good = all(key and len(key) <= names.META_KEY_MAX_CHARS and allowed.issuperset(key) for key in meta)
    good = good and all(len(value.encode()) <= names.META_VALUE_MAX_CHARS for value in meta.values())
    assert good or not names.is_plain_meta(meta)


def test_usual_meta_is_plain_and_odd_meta_is_not() -> None:
    assert names.is_plain_meta({"version": "1.4.2", "region": "eu-1", "v2": ""})
    assert names.is_plain_meta({})
    assert not names.is_plain_meta({"": ""})
    assert not names.is_plain_meta({"a": "", "": "", "b": ""})
    assert not names.is_plain_meta({f"k{number}": "" for number in range(names.META_MAX_COUNT + 1)})
