"""`why`: whatever became of a row, its life says so, and who did it."""

import pytest
from story import STORY, run, shell

from engine.relation import Relation
from engine.store import Store


def life(story, table, row, *args):
    outcome = run("why", story.file, table, row, "--home", story.home, "--json", *args)
    assert outcome.code == 0, outcome.err
    return outcome.json


def stages(found):
    return [(stage["table"], stage["label"]) for stage in found["stages"]]


def test_a_row_that_a_near_duplicate_displaced(story):
    """The case that the command is for: who dropped it, why, and for the sake of which row."""
    row, kept = story.answer("stream"), story.answer("river")
    found = life(story, "curated", row)
    assert stages(found)[:4] == [
        ("questions", "source"),
        ("answers", "generate: respond"),
        ("spoken", "select: filter"),
        ("curated", "select: deita"),
    ]
    verdict = found["stages"][3]["verdict"]
    assert (verdict["selected"], verdict["drop_reason"], verdict["nn_id"]) == (False, "near_duplicate", kept)
    assert verdict["other"]["response"] == "The river runs through the old town to the sea today"
    [(similarity,)] = story.sql(
        "SELECT list_cosine_similarity(a.embedding, b.embedding) FROM answers a, answers b "
        f"WHERE a.row_id = '{row}' AND b.row_id = '{kept}'"
    )
    assert verdict["nn_sim"] == pytest.approx(similarity, abs=1e-6)
    text = run("why", story.file, "curated", row, "--home", story.home).out
    assert (
        "curated  select: deita (budget: 2, max_similarity: 0.9, score: answer_n_words)\n  dropped: near_duplicate"
        in text
    )
    assert f"displaced by {kept}, similarity 0.97" in text
    assert "    response: The river runs through the old town to the sea today" in text


def test_the_calls_and_scores_with_the_steps_that_made_them(story):
    found = life(story, "answers", story.answer("bread"))
    question, answer = found["stages"][:2]
    assert question["row_id"] == story.question("bread") == answer["row"]["parent_id"]
    assert question["scores"] == [
        {"step": "questions.length", "label": "score: length", "values": {"n_chars": 23, "n_words": 5}}
    ]
    assert [(s["step"], s["label"], sorted(s["values"])) for s in answer["scores"]] == [
        ("answers.answer", "score: length", ["answer_n_chars", "answer_n_words"]),
        ("answers.embedding", "score: embedding", ["embedding"]),
    ]
    [call] = answer["calls"]
    assert (call["step"], call["model"], call["kind"], call["made"]) == ("answers", "teacher", "chat", "response")
    assert call["request"]["messages"] == [{"role": "user", "content": "Tell me about the bread"}]
    assert call["response"]["text"] == "Bread is made of flour water salt and time"
    assert (call["tokens_in"], call["tokens_out"]) == (5, 9)
    assert [(call["build"], call["call_id"])] == story.sql(
        "SELECT build, call_id FROM calls WHERE response LIKE '%Bread%'"
    )


def test_every_selection_that_saw_a_row_speaks(story):
    found = life(story, "questions", story.question("river"))
    assert [s["table"] for s in found["stages"] if s["verdict"]] == ["mixed"]
    verdicts = {
        s["table"]: s["verdict"] for s in life(story, "answers", story.answer("river"))["stages"] if s["verdict"]
    }
    assert (verdicts["spoken"]["selected"], verdicts["curated"]["select_rank"]) == (True, 0)
    assert sorted(verdicts) == ["curated", "mixed", "spoken"]
    assert list(verdicts).index("spoken") < list(verdicts).index("curated"), "what it selects from comes first"
    assert verdicts["curated"]["nn_id"] is None, "the first pick has no earlier one"


def test_a_row_that_never_got_as_far(story):
    found = life(story, "curated", story.answer("silence"))
    assert stages(found)[-1] == ("spoken", "select: filter")
    assert found["stages"][-1]["verdict"]["drop_reason"] == "too short"


def test_a_row_of_a_query_or_list_is_followed_through_it(story):
    row = story.answer("river")
    assert [table for table, _ in stages(life(story, "long_ones", row))] == [
        "questions", "answers", "spoken", "curated", "long_ones", "mixed"
    ]  # fmt: skip
    mixed = stages(life(story, "mixed", story.question("winter")))
    assert mixed == [("questions", "source"), ("mixed.from", "union"), ("mixed", "select: random")]


def test_a_row_that_could_not_be_made(story):
    row = story.question("storm")
    found = life(story, "answers", row)
    assert stages(found)[0] == ("questions", "source")
    assert found["failures"] == [
        {"step": "answers", "row_id": row, "error": "teacher: status 500: injected: server error", "transient": True}
    ]
    text = run("why", story.file, "answers", row, "--home", story.home).out
    assert "failed in answers (the next build tries again): teacher: status 500: injected: server error" in text


def test_one_of_several_answers_is_told_from_its_siblings(own_story):
    text = STORY.replace("model: teacher\n    scores", "model: teacher\n    params: {n: 3}\n    scores")
    own_story.spec(text.replace("Winter is cold", "'Winter {draw}'")).build()
    [(row, reply), *_] = own_story.sql(
        "SELECT row_id, response FROM answers WHERE response LIKE 'Winter%' AND sample = 1"
    )
    calls = life(own_story, "answers", row)["stages"][1]["calls"]
    assert [call["made"] for call in calls].count("response") == 1
    text = run("why", own_story.file, "answers", row, "--home", own_story.home).out
    assert f"answered (the row's response): {reply}" in text
    assert "  2 more calls for the same parent: " in text
    assert text.count("Winter ") == 2, "the reply and the response, and none of the others"


def test_a_query_can_give_a_row_any_parent(own_story):
    own_story.spec(
        "tables:\n  pool: {source: questions.jsonl, params: {shape: text, on_bad: skip}}\n"
        "  odd:\n    sql: SELECT text AS row_id, text AS parent_id, 1 AS one FROM pool\n"
    ).build()
    assert stages(life(own_story, "odd", "Tell me about the winter")) == [("odd", "sql")]
    assert stages(life(own_story, "odd", "Tell me about the w")) == [("odd", "sql")]
    outcome = run("why", own_story.file, "odd", "Tell me about the s", "--home", own_story.home)
    assert outcome.code == 2
    assert outcome.err.startswith(
        "3 rows of odd begin with 'Tell me about the s': "
        "Tell me about the silence, Tell me about the storm, Tell me about the stream"
    )


def test_a_prefix_is_enough_and_too_little_is_said_so(story):
    row = story.answer("river")
    assert life(story, "curated", row[:6])["row_id"] == row
    for given, said in (
        (row[:5], f"{row[:5]!r} is too short\n  cure: give at least 6 characters"),
        ("ffffffff", "curated never had a row 'ffffffff'"),
        (story.question("river"), "it is a row of mixed, questions"),
    ):
        outcome = run("why", story.file, "curated", given, "--home", story.home)
        assert outcome.code == 2
        assert said in outcome.err


def test_unknown_tables_and_empty_homes(story, tmp_path):
    outcome = run("why", story.file, "curatd", "x", "--home", story.home)
    assert (outcome.code, "did you mean 'curated'?" in outcome.err) == (2, True)
    outcome = run("why", story.file, "curated", "x", "--home", tmp_path)
    assert (outcome.code, outcome.err.startswith("nothing is built")) == (2, True)


def test_an_object_that_was_deleted_by_hand(own_story):
    own_story.build()
    row, store = own_story.answer("river"), Store(own_story.home)
    scores = dict(Relation.from_json(store.ref("trial", "answers")["relation"]).scores)
    (store.folder(scores["answers.embedding"]) / "manifest.json").unlink()
    outcome = run("why", own_story.file, "answers", row, "--home", own_story.home)
    assert (outcome.code, "is gone from" in outcome.err) == (2, True)


def test_in_a_process_of_its_own(story):
    outcome = shell("why", story.file, "curated", story.answer("stream"), SETWRIGHT_HOME=str(story.home))
    assert outcome.code == 0, outcome.err
    assert f"displaced by {story.answer('river')}" in outcome.out
