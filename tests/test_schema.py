"""Row ids and draws: derived from content, blind to order, chunks and columns' order."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import draws, schema

VALUES = st.recursive(
    st.one_of(st.none(), st.text(max_size=6)),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)


def nested_table() -> pa.Table:
    return pa.table(
        {
            "messages": pa.array(
                [[{"role": "user", "content": "a"}, {"role": "assistant", "content": None}], None, []], schema.MESSAGES
            ),
            "text": ["x", None, ""],
            "n": [1, 2, None],
        }
    )


def test_digests_do_not_depend_on_column_order_or_slicing():
    table = nested_table()
    whole = schema.content_digests(table, ["messages", "text", "n"])
    assert schema.content_digests(table.select(["n", "text", "messages"]), ["text", "n", "messages"]) == whole
    assert schema.content_digests(table.slice(1), table.column_names) == whole[1:]
    assert schema.content_digests(pa.concat_tables([table.slice(0, 1), table.slice(1)]), table.column_names) == whole


def test_null_empty_and_missing_differ():
    table = pa.table({"a": ["", None, "null"]})
    assert len(set(schema.content_digests(table, ["a"]))) == 3


def test_an_all_null_struct_field_changes_nothing():
    wider = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string()), ("tool_calls", pa.string())]))
    table = nested_table()
    widened = table.set_column(0, "messages", pa.array(table["messages"].to_pylist(), wider))
    assert schema.content_digests(widened, table.column_names) == schema.content_digests(table, table.column_names)


@given(st.lists(st.tuples(st.text(max_size=5), st.text(max_size=5)), min_size=2, max_size=2, unique=True))
def test_neighbouring_columns_never_run_into_each_other(rows):
    table = pa.table({"a": [a for a, _ in rows], "b": [b for _, b in rows]})
    first, second = schema.content_digests(table, ["a", "b"])
    assert first != second


def test_integral_floats_and_integers_agree():
    """So that a column read as integers first and as floats later gives the same ids."""
    assert schema.content_digests(pa.table({"a": [1, 2]}), ["a"]) == schema.content_digests(
        pa.table({"a": [1.0, 2.0]}), ["a"]
    )


def test_known_values_stay():
    """Ids are kept on disk for years: these literals may only change with every store out there."""
    assert schema.digest("a", b"b") == "b86b2f5329381ca012c73c10"
    assert schema.child_row_id("p", "respond", 0) == schema.digest("child", "p", "respond", "0")
    assert schema.content_digests(pa.table({"text": ["hello"]}), ["text"]) == ["deed7611e393a2e94313c6df"]


def test_draws_are_63_bits_and_differ_by_all_three():
    found = {draws.draw(s, r, k) for s in (1, 2) for r in ("a", "b") for k in (0, 1)}
    assert len(found) == 8
    assert all(0 <= d < 2**63 for d in found)


@pytest.mark.parametrize(
    ("column_type", "accepted", "refused"),
    [
        (schema.TEXT_TYPE, pa.large_string(), pa.binary()),
        (schema.NUMBER_TYPE, pa.int8(), pa.bool_()),
        (schema.MESSAGES_TYPE, schema.MESSAGES, pa.list_(pa.string())),
        (schema.EMBEDDING_TYPE, pa.list_(pa.float16(), 8), pa.list_(pa.float32())),
        (schema.PROMPT_TYPE, pa.string(), pa.int64()),
    ],
)
def test_column_types(column_type, accepted, refused):
    assert column_type.accepts(accepted)
    assert not column_type.accepts(refused)
