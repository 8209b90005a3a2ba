"""Builds end to end: what is cached, what is built, and that every row can be explained."""

import pytest
from project import Project

from engine.errors import SetwrightError, SpecError

WORDS = ("river", "stone", "bread", "cloud", "paper", "music", "garden", "winter", "market", "letter", "bridge")

SPEC = """
models:
  embedder: {use: hashing, params: {dim: 64}}
tables:
  pool:
    source: data.jsonl
    scores:
      - length
      - {score: embedding, model: embedder, columns: {text: response}}
  kept:
    select: filter
    from: pool
    params: {where: n_words >= 3}
  curated:
    select: deita
    from: kept
    params: {budget: 5, max_similarity: 0.9, score: n_chars}
    tests: [{rows: {min: 1, max: 5}}, {unique: row_id}]
  texts:
    sql: SELECT response, n_words FROM curated
"""


def rows(n=20):
    return [
        {
            "instruction": f"Tell me about {w} {i}",
            "output": f"The {w} number {i} is a {w} of {WORDS[i % 7]}.",
            "topic": w,
        }
        for i, w in enumerate((WORDS * 9)[:n])
    ]


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path).spec(SPEC).data([*rows(), {"instruction": "Say no", "output": "No", "topic": "short"}])


def test_everything_is_built_once(project):
    assert set(project.states().values()) == {"built"}
    assert set(project.states().values()) == {"cached"}
    assert project.sql("SELECT count(*) FROM pool") == [(21,)]
    assert project.sql("SELECT count(*) FROM curated") == [(5,)]
    assert project.sql("SELECT drop_reason FROM drops WHERE table_name = 'kept'") == [("where is false: n_words >= 3",)]


def test_tables_are_wide_and_selections_inherit(project):
    project.build()
    columns = {c for (c, *_) in project.sql("DESCRIBE curated")}
    wanted = {
        "row_id",
        "messages",
        "instruction",
        "response",
        "topic",
        "n_chars",
        "n_words",
        "embedding",
        "select_rank",
    }
    assert wanted <= columns
    assert project.sql("SELECT max(n_words) FROM texts") == project.sql("SELECT max(n_words) FROM curated")


def test_a_budget_rebuilds_the_selection_and_what_stands_on_it(project):
    project.build()
    project.spec(SPEC.replace("budget: 5", "budget: 4"))
    plan = project.plan()
    assert {s.name for s in plan.pending()} == {"curated", "curated.tests", "texts"}
    assert plan.steps["curated"].why == ("params.budget: 5 -> 4",)
    assert plan.steps["texts"].why == ("curated changed",)
    assert {n for n, state in project.states().items() if state == "built"} == {"curated", "curated.tests", "texts"}


def test_a_changed_score_leaves_its_siblings(project):
    project.build()
    project.spec(SPEC.replace("dim: 64", "dim: 32"))
    assert {s.name for s in project.plan().pending()} == {"pool.embedding", "curated", "curated.tests", "texts"}


def test_metadata_and_run_options_rebuild_nothing(project):
    project.build()
    text = SPEC.replace("  pool:\n", "  pool:\n    description: raw\n    tags: [a]\n    owner: me\n")
    project.spec(text + "run: {workers: 1, concurrency: 7}\n")
    assert project.plan().pending() == []


def test_a_renamed_model_or_table_keeps_its_identity(project):
    project.build()
    before = {s.fingerprint for s in project.plan().steps.values()}
    project.spec(SPEC.replace("embedder", "encoder").replace("kept", "filtered"))
    assert {s.fingerprint for s in project.plan().steps.values()} == before


def test_going_back_is_free(project):
    project.build()
    project.spec(SPEC.replace("budget: 5", "budget: 4")).build()
    project.spec(SPEC)
    assert set(project.states().values()) == {"cached"}
    assert project.sql("SELECT count(*) FROM curated") == [(5,)]


def test_results_do_not_depend_on_the_order_of_rows(project, tmp_path):
    project.build()
    query = "SELECT row_id, response, select_rank FROM curated ORDER BY row_id"
    other = tmp_path / "other"
    other.mkdir()
    short = {"instruction": "Say no", "output": "No", "topic": "short"}
    turned = Project(other).spec(SPEC).data([short, *reversed(rows())])
    turned.build()
    assert turned.sql(query) == project.sql(query)


def test_a_failed_data_test_stops_what_follows(project):
    project.spec(SPEC.replace("rows: {min: 1, max: 5}", "rows: {min: 6}"))
    report = project.build()
    assert report.exit_code == 1
    states = {s["step"]: (s["state"], s["detail"]) for s in report.steps}
    assert states["texts"] == ("skipped", "curated.tests: rows(min=6) failed")
    assert project.sql("SELECT test, passed, detail FROM tests WHERE NOT passed") == [("rows(min=6)", False, "5 rows")]
    assert project.build().exit_code == 1


def test_a_warning_stops_nothing(project):
    project.spec(SPEC.replace("{rows: {min: 1, max: 5}}", "{rows: {min: 6}, severity: warn}"))
    assert project.build().exit_code == 0


def test_a_selection_builds_its_part(project):
    states = project.states(selection="pool")
    assert {n for n, s in states.items() if s == "built"} == {"pool", "pool.length", "pool.embedding"}
    assert states["kept"] == "skipped"
    states = project.states(selection="+curated")
    assert states["curated.tests"] == "built"
    assert states["texts"] == "skipped"


def test_limit_is_another_table(project):
    project.build(limit=5)
    assert project.sql("SELECT count(*) FROM pool") == [(5,)]
    project.build()
    assert project.sql("SELECT count(*) FROM pool") == [(21,)]


def test_the_catalog_opens_in_any_client(project):
    project.build()
    con = project.open_catalog()
    assert con.sql("SELECT count(*) FROM trial.curated").fetchall() == [(5,)]
    assert con.sql("SELECT count(DISTINCT step) FROM builds").fetchall() == [(7,)]
    assert con.sql("SELECT count(*) FROM calls").fetchall() == [(0,)]


@pytest.mark.parametrize(
    "query",
    [
        "COPY (SELECT 1) TO '{folder}/out.csv'",
        "SELECT * FROM read_csv('{folder}/data.jsonl')",
        "SELECT * FROM read_text('{folder}/spec.yaml')",
        "CREATE TABLE trial.x AS SELECT 1",
        "DROP VIEW trial.pool",
        "ATTACH '{folder}/other.duckdb'",
        "SET enable_external_access = true",
        "INSTALL httpfs",
    ],
)
def test_a_users_sql_reaches_nothing_else(project, query, tmp_path):
    import duckdb

    project.build()
    with pytest.raises(duckdb.Error):
        project.sql(query.format(folder=tmp_path))
    assert not (tmp_path / "out.csv").exists()


def test_column_errors_are_found_before_anything_runs_and_all_at_once(project):
    again = "      - {score: length, as: again, columns: {text: topik}}\n"
    text = SPEC.replace("n_words >= 3", "n_wordz >= 3").replace("score: n_chars", "score: missing")
    text = text.replace("      - length\n", f"      - length\n{again}")
    with pytest.raises(SpecError) as caught:
        project.spec(text).plan()
    messages = [str(p) for p in caught.value.problems]
    assert len(messages) == 3, messages
    assert "tables.pool.scores.1.columns.text: " in messages[0]
    assert "(did you mean 'topic'?)" in messages[0]
    assert "tables.kept.params.where: where: " in messages[1]
    assert "tables.curated.params.score: score: " in messages[2]
    assert not (project.home / "objects").exists()


def test_two_writers_of_one_column_are_named(project):
    project.data([{**row, "n_words": 1} for row in rows()])
    with pytest.raises(SpecError, match=r"pool.length and pool both write the column 'n_words'"):
        project.plan()


def test_an_empty_source_has_no_columns_to_plan_with(project):
    project.data([])
    with pytest.raises(SetwrightError, match=r"data.jsonl holds no record"):
        project.plan()


def test_a_column_may_be_called_rows(project):
    project.spec(
        SPEC
        + """
  big: {sql: 'SELECT topic, count(*) AS rows FROM pool GROUP BY topic'}
  top: {select: top_k, from: big, params: {k: 2, by: rows}}
"""
    )
    assert project.build().exit_code == 0
    assert project.plan().steps["top"].inputs == {"rows": "big"}


def test_a_selection_that_drops_everything(project):
    project.spec(SPEC.replace("n_words >= 3", "n_words >= 3000").replace("min: 1", "min: 0"))
    assert project.build().exit_code == 0
    assert project.sql("SELECT count(*) FROM texts") == [(0,)]


def test_tables_of_one_content_are_made_once(project):
    project.spec("tables:\n" + "".join(f"  t{i}: {{source: data.jsonl, scores: [length]}}\n" for i in range(6)))
    states = project.states()
    assert sorted(states[f"t{i}"] for i in range(6)) == ["built"] + ["cached"] * 5
    assert sorted(states[f"t{i}.length"] for i in range(6)) == ["built"] + ["cached"] * 5
