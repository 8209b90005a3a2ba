"""Gold pairs: what they say of their judge, and a judge that is not asked because of it."""

import pyarrow as pa
import pytest
from project import Project
from scipy import stats

from engine.errors import SpecError
from engine.needs import SideTable
from engine.operators.scorers._judge_gold import read_gold

ME, ASKED_SO = "judge@0123456789ab", "protocol"
SPEC = """
models:
  j: {{use: scripted, params: {{replies: [{{match: "(?s)<answer_a>.good", reply: "[[A]]"}},
    {{match: "(?s)<answer_b>.good", reply: "[[B]]"}}, {{match: "", reply: "[[C]]"}}]}}}}
  other: {{use: scripted, params: {{default: "[[C]]"}}}}
tables:
  gold:
    source: gold.jsonl
    scores: [{{score: judge, model: {by}}}]
  pairs:
    source: pairs.jsonl
    scores: [{{score: judge, model: j, {beside}params: {{{params}}}}}]
"""
GOLD = [{"prompt": "Why?", "chosen": "good", "rejected": "bad", "label": label} for label in ("chosen",) * 3 + ("tie",)]
PAIRS = [{"prompt": f"Why {n}?", "chosen": "good", "rejected": "bad"} for n in range(3)]


def gold(labels, verdicts, *, models=ME, protocols=ASKED_SO, flipped=False):
    n = len(labels)
    columns = {"label": labels, "judge_verdict": verdicts}
    for name, value in (("judge_model", models), ("judge_protocol", protocols), ("judge_flipped", flipped)):
        columns[name] = value if isinstance(value, list) else [value] * n
    return read_gold(
        pa.table(columns, schema=pa.schema([(n, pa.bool_() if "flip" in n else pa.string()) for n in columns]))
    )


def refusal(found, least=0.7):
    return found.refusal(ME, ASKED_SO, least)


@pytest.fixture
def project(tmp_path):
    def made(params="min_agreement: 0.75", by="j", rows=GOLD, beside="with: {gold: gold}, "):
        project = Project(tmp_path).spec(SPEC.format(params=params, by=by, beside=beside))
        return project.data(rows, "gold.jsonl").data(PAIRS, "pairs.jsonl")

    return made


def test_agreement_is_a_share_of_pairs_in_which_a_tie_is_a_verdict():
    found = gold(["chosen", "tie", "tie", "rejected"], ["chosen", "tie", "chosen", "chosen"])
    assert (found.pairs, found.agreement.value) == (4, 0.5)
    assert refusal(found, 0.5) is None


def test_no_label_and_no_judge_are_left_out_and_no_verdict_counts_against():
    labels, verdicts = ["chosen", None, "chosen", "tie"], ["chosen", "tie", None, None]
    found = gold(labels, verdicts, models=[ME, ME, ME, None], flipped=[True, False, None, None])
    assert (found.pairs, found.agreement.value, found.flips.value) == (2, 0.5, 1)


def test_the_reason_has_the_figures_and_their_intervals():
    verdicts, flipped = ["chosen"] * 31 + ["rejected"] * 19, [True] * 10 + [False] * 40
    found = gold(["chosen"] * 50, verdicts, flipped=flipped)
    for share, hits in ((found.agreement, 31), (found.flips, 10)):
        low, high = stats.binom.ppf([0.025, 0.975], 50, hits / 50) / 50
        assert (share.low, share.high) == (pytest.approx(low, abs=0.03), pytest.approx(high, abs=0.03))
    bounds = [f"{100 * end:.3g}" for share in (found.agreement, found.flips) for end in (share.low, share.high)]
    assert refusal(found) == (
        f"the judge agrees with the gold labels on 62 % of 50 pairs (95 %: {bounds[0]} to {bounds[1]}), below "
        f"min_agreement 0.7; the order of the answers changes its verdict on 20 % (95 %: {bounds[2]} to {bounds[3]})"
    )
    assert refusal(found, 0.62) is None


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (gold([], []), "no gold pair has both"),
        (gold([None], ["tie"]), "no gold pair has both"),
        (gold(["A", "tie"], ["tie", "tie"]), "the gold labels are 'A', and a label is chosen, rejected, tie"),
        (gold(["tie"], ["tie"], models="them@ba9876543210"), "judged by them@ba9876543210, and these .* judge@0123"),
        (gold(["tie"] * 2, ["tie"] * 2, protocols=[ASKED_SO, "another"]), "other params"),
    ],
)
def test_gold_that_says_nothing_of_the_judge(found, why):
    with pytest.raises(AssertionError, match=why):
        raise AssertionError(refusal(found))


def test_a_side_table_is_looked_at_once_however_many_rows_ask():
    looks = []

    def look(table):
        looks.append(table)
        return table.num_rows

    side = SideTable(pa.table({"row_id": ["a", "b"]}))
    assert [side.once(look) for _ in range(3)] == [2, 2, 2]
    assert len(looks) == 1


def test_another_name_is_no_other_model():
    assert refusal(gold(["tie"], ["tie"], models="alias@0123456789ab")) is None


def test_a_judge_that_agrees_is_asked(project):
    project = project()
    expected = project.plan().steps["pairs.judge"].estimate.calls
    assert (expected.low, expected.high) == (0, 2 * 2 * 3)
    project.build()
    assert project.sql("SELECT DISTINCT judge_verdict FROM pairs") == [("chosen",)]
    assert project.calls() == 2 * (1 + 3)  # equal gold pairs are asked about once


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"params": "min_agreement: 0.8"}, "agrees with the gold labels on 75 % of 4 pairs"),
        ({"by": "other"}, "the gold pairs were judged by other@"),
        ({"params": "min_agreement: 0.5, temperature: 0.5"}, "judged with other params"),
        ({"rows": [{**GOLD[0], "label": "a"}]}, "the gold labels are 'a'"),
    ],
)
def test_a_judge_that_gold_speaks_against_is_not_asked(project, change, why):
    project = project(**change)
    project.build()
    assert project.sql("SELECT count(judge_verdict), count(*) FROM pairs") == [(0, 3)]
    reasons = project.sql("SELECT error, transient FROM errors WHERE table_name = 'pairs'")
    assert len(reasons) == 3
    assert all(why in reason and not transient for reason, transient in reasons)
    assert project.sql("SELECT count(*) FROM row_calls WHERE table_name = 'pairs'") == [(0,)]


def test_the_gate_and_the_gold_go_together(project):
    with pytest.raises(SpecError, match=r"with\.gold: goes with params\.min_agreement, which is not given"):
        project("retries: 0").plan()
    with pytest.raises(SpecError, match=r"params\.min_agreement: goes with the table gold under `with`"):
        project(beside="").plan()
