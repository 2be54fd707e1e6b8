"""The named arguments of `Board.register` and `Board.service`, the same for both boards."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal, TypedDict

from callboard.model.errors import InvalidError
from callboard.wire.native import CheckRequest


class RegisterOptions(TypedDict, total=False):
    """How an instance signs in. Everything may be left out."""

    port: int
    """Where it is called. It is waited for until it accepts; 0: it is not called over a port, and signs in at once."""
    address: str
    """Else CALLBOARD_ADVERTISE, POD_IP, or the address of this host on the way to the registry."""
    id: str
    """Else made of service, address and port (`orders-10.0.0.7-8000`): the same for all processes behind one port."""
    node: str
    """The node it is put on; else the registry's name for this host."""
    namespace: str
    """Else the board's."""
    version: str
    """Put into the meta entry `version`, which callers select by."""
    zone: str
    """Put into the meta entry `zone`; else the board's."""
    tags: Sequence[str]
    """Words that callers may ask for."""
    meta: Mapping[str, str]
    """What else there is to know of it: labels that callers may ask for."""
    weight: int
    """Share of calls, relative to the other instances (1)."""
    ready: str
    """A path on its own port (`/ready`) or a URL that must answer 2xx before it signs in. For the time after that there are `checks`."""
    checks: Sequence[CheckRequest]
    """Checks beside the lease: what the registry asks by itself."""
    lease_ms: int
    """Else the board's `lease_ms`."""
    shared: bool
    """Several processes of this host serve the port: one of them keeps the instance (True when there is a port). False: this one alone."""
    wait_for_port: bool
    """False: sign in at once, whether the port accepts or not."""


class ServiceOptions(TypedDict, total=False):
    """Which instances of a service are called, and how one of them is picked."""

    version: str
    """A range: `^2.1`, `~2.1.3`, `>=2,<3`, `2.x`, `2.1.0`."""
    prefer: Literal["any", "latest", "oldest"]
    """Of the versions that match: all, only the highest, only the lowest."""
    fallback: str
    """When none matches: `none` (nobody is called), `any`, or another range."""
    tags: Sequence[str]
    """Tags that an instance must have, all of them."""
    labels: Mapping[str, str]
    """Entries of the instance's meta that must be so."""
    zone: str
    """Preferred zone; else the board's."""
    passing_only: bool
    """Without instances that have a warning."""
    policy: str
    """`peak_ewma` (default), `p2c`, `smooth_wrr`, `weighted_random`."""
    namespace: str
    """Else the board's."""


_NUMBERS: Final = frozenset({"port", "weight", "lease_ms"})
_TEXTS: Final = frozenset({"address", "fallback", "id", "namespace", "node", "policy", "prefer", "ready", "version", "zone"})


def check_known(function: str, options: Mapping[str, object], kind: type) -> None:
    """A misspelt argument is refused, as any function does; so is a port that is a text, as the environment has it.

    Raises `TypeError`, and `InvalidError`.
    """
    for name in options.keys() - kind.__annotations__.keys():
        raise TypeError(f"{function} got an unexpected argument {name!r}; it takes {', '.join(sorted(kind.__annotations__))}")
    for name, value in options.items():
        if name in _NUMBERS and (not isinstance(value, int) or isinstance(value, bool)):
            raise InvalidError(name, f"must be a whole number, is {value!r}")
        if name in _TEXTS and not isinstance(value, str):
            raise InvalidError(name, f"must be a text, is {value!r}")


def texts(field: str, values: object) -> tuple[str, ...]:
    """What was meant as several texts; a single one would be taken for its letters. Raises `InvalidError`."""
    if not isinstance(values, Iterable):
        raise InvalidError(field, f"must be a list of texts, is {values!r}")
    there = [values] if isinstance(values, str) else list(values)
    found = tuple(value for value in there if isinstance(value, str))
    if isinstance(values, str) or len(found) < len(there):
        raise InvalidError(field, f"must be a list of texts, is {values!r}; write {[str(value) for value in there]!r}")
    return found


def checks(values: object) -> tuple[CheckRequest, ...]:
    """Checks beside the lease. Raises `InvalidError`."""
    there = list(values) if isinstance(values, Iterable) else []
    found = tuple(value for value in there if isinstance(value, CheckRequest))
    if not isinstance(values, Iterable) or len(found) < len(there):
        wrong = next((value for value in there if not isinstance(value, CheckRequest)), values)
        hint = "write [callboard.client.CheckRequest(http='http://...', interval_ms=10_000)]"
        raise InvalidError("checks", f"must be a list of CheckRequest, has {str(wrong)[:80]!r}; {hint}")
    return found


def text_map(field: str, values: object) -> dict[str, str]:
    """Values that are all text. Raises `InvalidError`."""
    if not isinstance(values, Mapping):
        raise InvalidError(field, f"must be a mapping of texts, is {values!r}; write {{'key': 'value'}}")
    found = {key: value for key, value in values.items() if isinstance(value, str)}
    for key in values.keys() - found.keys():
        raise InvalidError(field, f"{values[key]!r} of {key!r} must be a text; write {str(values[key])!r}")
    return found
