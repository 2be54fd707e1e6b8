"""Named selections of endpoints: by tags and labels, by a range of versions, by the newest or oldest version there is."""

from collections.abc import Iterable, Mapping, Sequence

from callboard.balance.endpoint import Endpoint


def lacks(endpoint: Endpoint, tags: Sequence[str], labels: Mapping[str, str]) -> str:
    """The first tag or label that an endpoint does not have, in words; empty when it has them all."""
    for tag in tags:
        if tag not in endpoint.tags:
            return f"tag {tag} missing"
    for name, value in labels.items():
        if endpoint.labels.get(name) != value:
            return f"lacks label {name}={value}"
    return ""


def in_range(endpoints: Iterable[Endpoint], wanted: str, field: str = "version") -> frozenset[str]:
    """The versions (as they are written) among `endpoints` which a range wants. Raises `InvalidError` when it is none."""
    from callboard.balance.versions import parse_range  # noqa: PLC0415  # loads semver, which most callers never need

    wish = parse_range(wanted, field)
    return frozenset(version for version in {endpoint.version for endpoint in endpoints} if wish.matches(version))


def foremost(endpoints: Iterable[Endpoint], *, latest: bool) -> frozenset[str]:
    """The highest or lowest version among `endpoints`, in all its spellings; every one when none of them is a version."""
    from callboard.balance.versions import order_of  # noqa: PLC0415  # loads semver, which most callers never need

    texts = {endpoint.version for endpoint in endpoints}
    orders = {text: order for text in texts if (order := order_of(text)) is not None}
    if not orders:
        return frozenset(texts)
    best = max(orders.values()) if latest else min(orders.values())
    return frozenset(text for text, order in orders.items() if order == best)
