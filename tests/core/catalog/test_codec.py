from callboard.core.catalog import codec
from callboard.core.catalog.codec import Floor, Shared, Term, decode_check, decode_floor, decode_instance, decode_node, decode_term, encode
from callboard.model.check import Check, Definition, Status
from callboard.model.instance import Instance, Node, Phase, TaggedAddress, Weights
from callboard.model.rows import Key, Revision, Row
from callboard.model.time import Timestamp
from tests.core.histories import DEFINITIONS

KEY = Key("x/y")


def check(definition: Definition) -> Check:
    return Check(
        namespace="public", node="n1", id="c1", definition=definition, status=Status.WARNING, nonce="r", name="näme", instance="a",
        parent="p", output="out", notes="notes", turned=Timestamp(5), created=Revision(3),
    )  # fmt: skip


def row(value: Node | Instance | Check | Term | Floor) -> Row:
    return Row(KEY, encode(value), Revision(7))


def test_values_survive_their_rows_and_take_the_revision_of_the_row() -> None:
    node = Node(name="N1", address="h", nonce="r", id="i", meta={"a": "b"}, tagged={"lan": "x"}, implicit=True, created=Revision(2))
    instance = Instance(
        namespace="blue", service="Web", node="n1", id="a/b", nonce="r", address="h", port=1, tags=("t",), meta={"a": "b"},
        tagged={"lan": TaggedAddress("h", 2)}, weights=Weights(3, 4), enable_tag_override=True, kind="k", phase=Phase.DRAINING,
        created=Revision(2),
    )  # fmt: skip
    shared = Shared()
    pairs: list[tuple[Node | Instance | Check, Node | Instance | Check]] = [
        (node, decode_node(row(node))),
        (instance, decode_instance(row(instance), shared)),
        *((check(definition), decode_check(row(check(definition)), shared)) for definition in DEFINITIONS),
    ]
    for value, decoded in pairs:
        assert decoded.modified == 7
        assert encode(decoded).replace(b',"modified":7', b"") == encode(value)
    assert decode_term(row(Term("m", 3))) == Term("m", 3)
    assert decode_floor(row(Floor(Revision(9)))) == Floor(Revision(9))


def test_a_row_is_json_that_starts_with_its_schema_number() -> None:
    assert encode(Term("m", 3)) == b'{"v":1,"member":"m","number":3}'


def test_equal_parts_of_many_rows_are_one_object() -> None:
    shared = Shared()
    one, two = (decode_check(row(check(DEFINITIONS[2])), shared) for _ in range(2))
    assert one.definition is two.definition
    assert one.output is two.output


def test_what_is_shared_is_bounded() -> None:
    shared = Shared()
    limit = codec._SHARED_MAX_COUNT  # noqa: SLF001  # the limit itself is what is tested
    for number in range(limit + 10):
        assert shared(str(number)) == str(number)
    assert len(shared._parts) <= limit  # noqa: SLF001  # as above
