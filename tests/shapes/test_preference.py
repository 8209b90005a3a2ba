"""Preferences by hand: explicit and implicit prompts, every place a prompt comes from, and faults."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from operators.sources.reading import SHARED
from shapes.filling import FROM_VALUE, ROLE_CONTENT, TEXT, filled, said

from engine.schema import MESSAGES
from engine.shapes import SHAPES

TALKS = {"chosen": ROLE_CONTENT, "rejected": ROLE_CONTENT}
TEXTS = {"chosen": TEXT, "rejected": TEXT}
SIDES = {"chosen": said("assistant: good"), "rejected": said("assistant: bad")}


def parts(row):
    return row["prompt"], row["chosen"], row["rejected"]


def test_texts_become_one_message_each():
    rows = [{"prompt": "q", "chosen": "good", "rejected": ""}]
    ((row,), problems) = filled("preference", rows, prompt=TEXT, **TEXTS)
    assert problems == []
    assert parts(row) == (said("user: q"), said("assistant: good"), said("assistant: "))
    table = pa.Table.from_pylist(rows, schema=pa.schema({"prompt": TEXT, **TEXTS}))
    assert SHAPES["preference"].fill(table)[0].schema == pa.schema(
        dict.fromkeys(("prompt", "chosen", "rejected"), MESSAGES)
    )


def test_explicit_messages_stay():
    rows = [{"prompt": said("system: s", "user: q"), **SIDES}]
    ((row,), problems) = filled("preference", rows, prompt=ROLE_CONTENT, **TALKS)
    assert (row, problems) == (rows[0], [])


def test_implicit_sides_give_what_both_begin_with():
    rows = [
        {"chosen": said("user: q", "assistant: good"), "rejected": said("user: q", "assistant: bad")},
        {
            "chosen": said("system: s", "user: q", "assistant: a", "user: r", "assistant: good"),
            "rejected": said("system: s", "user: q", "assistant: a", "user: r", "assistant: bad"),
        },
        {  # the sides split before the last turn
            "chosen": said("user: q", "assistant: a", "user: r", "assistant: b"),
            "rejected": said("user: q", "assistant: x", "user: r", "assistant: b"),
        },
        {"chosen": said("user: q", "assistant: a"), "rejected": said("user: q", "assistant: a")},  # no difference
        {"chosen": said("user: q", "assistant: a"), "rejected": said("user: q", "assistant: a", "user: r")},
    ]
    result, problems = filled("preference", rows, **TALKS)
    assert problems == []
    assert [parts(row) for row in result] == [
        (said("user: q"), said("assistant: good"), said("assistant: bad")),
        (said("system: s", "user: q", "assistant: a", "user: r"), said("assistant: good"), said("assistant: bad")),
        (
            said("user: q"),
            said("assistant: a", "user: r", "assistant: b"),
            said("assistant: x", "user: r", "assistant: b"),
        ),
        (said("user: q"), said("assistant: a"), said("assistant: a")),
        (said("user: q"), said("assistant: a"), said("assistant: a", "user: r")),
    ]


def test_a_prompt_that_stands_twice_is_there_once():
    """As in ultrafeedback: the prompt as text, and sides that repeat it."""
    sides = {
        "chosen": said("system: s", "user: q", "assistant: good"),
        "rejected": said("system: s", "user: q", "assistant: bad"),
    }
    rows = [{"prompt": "q", **sides}, {"prompt": None, **sides}, {"prompt": "other", **sides}, {"prompt": "q", **SIDES}]
    result, problems = filled("preference", rows, prompt=TEXT, **TALKS)
    assert problems == [(2, "prompt", "not among the messages that both sides begin with")]
    expected = (said("system: s", "user: q"), SIDES["chosen"], SIDES["rejected"])
    assert [parts(row) for row in (result[0], result[1])] == [expected] * 2
    assert parts(result[3]) == (said("user: q"), SIDES["chosen"], SIDES["rejected"])


def test_a_prompt_in_messages_that_stands_twice():
    sides = {"chosen": said("user: q", "assistant: good"), "rejected": said("user: q", "assistant: bad")}
    ((row,), problems) = filled("preference", [{"prompt": said("user: q"), **sides}], prompt=ROLE_CONTENT, **TALKS)
    assert problems == []
    assert parts(row) == (said("user: q"), SIDES["chosen"], SIDES["rejected"])


def test_llama_factory_puts_the_prompt_into_conversations():
    side = FROM_VALUE.value_type
    rows = [
        {
            "conversations": [{"from": "human", "value": "q"}],
            "chosen": {"from": "gpt", "value": "good"},
            "rejected": {"from": "gpt", "value": "bad"},
            "system": "s",
        }
    ]
    ((row,), problems) = filled("preference", rows, conversations=FROM_VALUE, chosen=side, rejected=side, system=TEXT)
    assert problems == []
    assert parts(row) == (said("system: s", "user: q"), SIDES["chosen"], SIDES["rejected"])
    assert row["conversations"] == rows[0]["conversations"]


def test_a_prompt_from_alpaca_columns_and_from_messages():
    rows = [{"instruction": "q", "input": "i", "system": "s", "chosen": "good", "rejected": "bad"}]
    ((row,), problems) = filled("preference", rows, instruction=TEXT, input=TEXT, system=TEXT, **TEXTS)
    assert problems == []
    assert parts(row) == (said("system: s", "user: q\n\ni"), SIDES["chosen"], SIDES["rejected"])
    rows = [{"messages": said("user: q"), "chosen": "good", "rejected": "bad"}]
    ((row,), problems) = filled("preference", rows, messages=ROLE_CONTENT, **TEXTS)
    assert problems == []
    assert parts(row) == (said("user: q"), SIDES["chosen"], SIDES["rejected"])


def test_a_system_column_goes_before_a_prompt_of_text():
    rows = [{"system": "s", "prompt": "q", "chosen": "good", "rejected": "bad"}]
    ((row,), _) = filled("preference", rows, system=TEXT, prompt=TEXT, **TEXTS)
    assert row["prompt"] == said("system: s", "user: q")


def test_faults_are_named():
    rows = [
        {"prompt": None, **SIDES},
        {"prompt": said("user: q"), "chosen": None, "rejected": SIDES["rejected"]},
        {"prompt": said("user: q"), "chosen": [], "rejected": SIDES["rejected"]},
        {"prompt": said("user: q"), "chosen": said("user: q", "assistant: a"), "rejected": SIDES["rejected"]},
        {"prompt": None, "chosen": said("user: q", "assistant: a"), "rejected": said("user: r", "assistant: b")},
        {"prompt": said("alien: q"), **SIDES},
        {"prompt": [], **SIDES},
        {"prompt": said("user: q"), "chosen": said("function_call: a"), "rejected": SIDES["rejected"]},
    ]
    _, problems = filled("preference", rows, prompt=ROLE_CONTENT, **TALKS)
    assert [(row, field, reason.partition(" (")[0]) for row, field, reason in sorted(problems)] == [
        (0, "prompt", "missing, and the sides hold the answer alone"),
        (1, "chosen", "missing or null"),
        (2, "chosen", "a conversation without messages"),
        (3, "rejected", "only one side begins with the prompt"),
        (4, "chosen", "the sides are conversations that have no beginning in common"),
        (5, "prompt[0].role", "unknown role"),
        (6, "prompt", "a conversation without messages"),
        (7, "chosen[0].role", "unknown role"),
    ]


def test_further_fields_are_those_of_any_part():
    kind = pa.list_(pa.struct({"role": TEXT, "content": TEXT, "name": TEXT}))
    rows = [{"prompt": said("user: q"), "chosen": [{**SIDES["chosen"][0], "name": "n"}], "rejected": SIDES["rejected"]}]
    ((row,), problems) = filled("preference", rows, prompt=ROLE_CONTENT, chosen=kind, rejected=ROLE_CONTENT)
    assert problems == []
    assert row["prompt"] == [{"role": "user", "content": "q", "name": None}]
    assert row["chosen"] == rows[0]["chosen"]


@pytest.mark.parametrize("name", ["hh_harmless", "oasst_ranked_pairs", "dpo_en_300"])
def test_published_pairs_keep_their_texts(name):
    path = SHARED / "preferences" / f"{name}.parquet"
    if not path.exists():
        pytest.skip("the shared data is not here")
    table = pq.read_table(path)
    result, problems = SHAPES["preference"].fill(table)
    assert problems == []
    for row, source in zip(result.to_pylist(), table.to_pylist(), strict=True):
        assert row["prompt"] == source["prompt"]
        assert row["chosen"] == [{"role": "assistant", "content": source["chosen"]}]
        assert row["rejected"] == [{"role": "assistant", "content": source["rejected"]}]


def test_published_pairs_as_one_conversation_a_side():
    """The explicit set, made implicit, gives the explicit one again wherever the sides differ at the end only."""
    path = SHARED / "preferences" / "oasst_ranked_pairs.parquet"
    if not path.exists():
        pytest.skip("the shared data is not here")
    source = pq.read_table(path, columns=["prompt", "chosen", "rejected"]).to_pylist()
    sides = [
        {side: row["prompt"] + [{"role": "assistant", "content": row[side]}] for side in ("chosen", "rejected")}
        for row in source
    ]
    result, problems = filled("preference", sides, **TALKS)
    assert problems == []
    assert [row["prompt"] for row in result] == [row["prompt"] for row in source]
    assert [row["rejected"][0]["content"] for row in result] == [row["rejected"] for row in source]
