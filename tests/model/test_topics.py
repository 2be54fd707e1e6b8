from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from callboard.model.topics import NODES, checks_topic, node_health_topic, node_topic, service_topic, services_topic

NAMES = st.text("aB/%", min_size=1, max_size=4)


@given(NAMES, NAMES, NAMES, NAMES)
def test_topics_of_different_things_differ_and_case_does_not_matter(namespace: str, other: str, name: str, second: str) -> None:
    lists = {NODES, services_topic(namespace), checks_topic(namespace)}
    assert len(lists | {service_topic(namespace, name), node_topic(name), node_health_topic(name)}) == 6
    assert service_topic(namespace, name) == service_topic(namespace, name.upper())
    assert node_topic(name) == node_topic(name.upper())
    things = {(namespace, name.lower()), (other, second.lower()), (namespace, second.lower()), (other, name.lower())}
    for one, two in combinations(things, 2):
        assert service_topic(*one) != service_topic(*two)
