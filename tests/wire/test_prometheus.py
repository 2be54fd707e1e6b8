import json
import re

from hypothesis import given
from hypothesis import strategies as st

from callboard.wire import prometheus
from callboard.wire.prometheus import TargetGroup

META_KEYS = st.text("ABCabc019_-", min_size=1, max_size=6)


@given(st.dictionaries(META_KEYS, st.text(max_size=5), max_size=5))
def test_every_label_has_a_name_that_prometheus_takes(meta: dict[str, str]) -> None:
    labels = prometheus.labels({"service": "web"}, meta)
    assert all(re.fullmatch("[a-zA-Z_][a-zA-Z0-9_]*", name) for name in labels)
    assert labels["__meta_callboard_service"] == "web"
    assert set(labels.values()) <= {"web", *meta.values()}


def test_keys_that_become_the_same_leave_the_last_in_order() -> None:
    assert prometheus.labels({}, {"a_b": "2", "a-b": "1"}) == {"__meta_callboard_meta_a_b": "2"}


def test_lists_can_be_matched_by_whole_values() -> None:
    assert prometheus.joined(()) == ""
    assert prometheus.joined(("a", "b")) == ",a,b,"


def test_an_ipv6_target_has_brackets() -> None:
    assert prometheus.target("192.0.2.1", 80) == "192.0.2.1:80"
    assert prometheus.target("2001:db8::1", 80) == "[2001:db8::1]:80"


def test_groups_are_the_json_that_prometheus_reads() -> None:
    groups = [TargetGroup(("192.0.2.1:80",), {"__meta_callboard_tags": ",ä,"})]
    body = prometheus.encode(groups)
    assert json.loads(body) == [{"targets": ["192.0.2.1:80"], "labels": {"__meta_callboard_tags": ",ä,"}}]
    assert prometheus.decode(body) == groups
