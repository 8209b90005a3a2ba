import pyarrow as pa
import pytest
from operators.direct import answers, scripted
from project import Project

from engine.errors import RowError
from engine.registry import operator

PAIR = operator("generate", "best_and_worst")
ASKED = [{"role": "user", "content": "Why?"}]
TALK = [*ASKED, {"role": "assistant", "content": "a"}]


def rewarding(*values):
    return scripted([{"match": rf"\A{text}\Z", "value": value} for text, value in zip("abcde", values, strict=False)])


def reply(text):
    return [{"role": "assistant", "content": text}]


def test_the_first_best_and_the_first_worst():
    model = rewarding(0.1, 0.9, 0.3, 0.9, 0.0)
    (row,) = answers(PAIR, model, {"messages": TALK, "responses": list("abcde")})
    assert (row["prompt"], row["chosen"], row["rejected"]) == (ASKED, reply("b"), reply("e"))
    assert row["rewards"] == pytest.approx([0.1, 0.9, 0.3, 0.9, 0.0])
    pa.Table.from_pylist([row], schema=pa.schema(PAIR.writes_of(None, None)))


@pytest.mark.parametrize(
    ("responses", "messages", "why"),
    [
        (["a", "b"], TALK, "all 2 responses have the reward 0.5"),
        (["a"], TALK, "needs two responses"),
        (None, TALK, "needs two responses"),
        (["a", None], TALK, "needs two responses, and there are 1"),
        (["a", "b"], reply("x"), "no prompt"),
        (["a", "b"], None, "no prompt"),
        (["a", "c"], TALK, "not a finite number"),
    ],
)
def test_rows_without_a_pair(responses, messages, why):
    with pytest.raises(RowError, match=why):
        answers(PAIR, rewarding(0.5, 0.5, float("nan")), {"messages": messages, "responses": responses})


def test_equal_rewards_are_dropped_and_counted(tmp_path):
    project = Project(tmp_path).spec("""
models:
  script: {use: scripted, params: {default: "Text {draw}"}}
  judge: {use: scripted, params: {replies: [{match: "[02468]$", value: 1.0}, {match: "[13579]$", value: 0.0}]}}
tables:
  pool: {generate: magpie, model: script, params: {rows: 20, n_responses: 2, response_temperature: 0.8}}
  pairs: {generate: best_and_worst, from: pool, model: judge}
""")
    project.build()
    ((pairs,),) = project.sql("SELECT count(*) FROM pairs")
    ((equal,),) = project.sql("SELECT count(*) FROM errors WHERE error LIKE 'all 2 responses%'")
    ((expected,),) = project.sql(
        "SELECT count(*) FILTER (right(responses[1], 1)::INT % 2 != right(responses[2], 1)::INT % 2) FROM pool"
    )
    assert pairs == expected
    assert pairs + equal == 20
    assert 0 < pairs < 20
