"""A good spec as typed nodes; and the turns of the loader that no broken spec shows."""

from pathlib import Path

import pytest

from engine.errors import Place, SetwrightError, SpecError
from engine.models.hashing import HashingParams
from engine.operators.selectors.deita import DeitaParams
from engine.operators.trainers.sft import SftParams
from engine.sourcing import SourceParams
from engine.spec.load import load_spec
from engine.spec.nodes import RunOptions

GOOD = Path(__file__).parent / "good.yaml"


@pytest.fixture
def load(tmp_path):
    def load(text):
        path = tmp_path / "spec.yaml"
        path.write_text(text, encoding="utf-8")
        return load_spec(path)

    return load


@pytest.fixture
def good(monkeypatch):
    monkeypatch.setenv("SETWRIGHT_TEST_KEY", "sk-very-secret")
    return load_spec(GOOD)


def minimal(tables="  pool: {source: data.jsonl}\n", head="", models=""):
    return f"version: 1\nname: small\n{head}" + (f"models:\n{models}" if models else "") + f"tables:\n{tables}"


def test_the_head(good):
    assert (good.version, good.name, good.seed) == (1, "good-spec", 0)
    assert good.file == GOOD
    assert good.run == RunOptions(
        "local", workers=2, concurrency=256, endpoints={"teacher": "http://localhost:8000/v1"}
    )
    assert good.place(("tables", "curated", "params", "budget"), of="key") == Place(str(GOOD), 32, 14)
    problem = good.problem(("tables", "pool", "source"), "no such file")
    assert str(problem) == f"{GOOD}:16:13: tables.pool.source: no such file"


def test_models(good):
    embedder, teacher = good.models["embedder"], good.models["teacher"]
    assert (embedder.use, embedder.config.params, embedder.tags) == ("hashing", HashingParams(dim=64), ("cheap",))
    assert (teacher.config.model, teacher.config.revision) == ("Qwen/Qwen3-8B", "main")
    assert teacher.config.base_url == "http://localhost:8000/v1"  # run.endpoints has the last word
    assert teacher.config.api_key.get_secret_value() == "sk-very-secret"
    assert teacher.config.params.model_dump(include={"temperature", "stop"}) == {"temperature": 0.7, "stop": ("\n",)}
    assert "sk-very-secret" not in repr(good.models) + repr(good.tables)


def test_tables(good):
    pool, answers, curated, long_ones = good.tables.values()
    assert (pool.verb, pool.source, pool.params, pool.inputs) == (
        "source",
        "data/*.jsonl",
        SourceParams(on_bad="skip"),
        (),
    )
    assert (answers.verb, answers.operator, answers.models, answers.inputs) == (
        "generate",
        "respond",
        {"model": "teacher"},
        ("pool",),
    )
    assert (answers.params.n, answers.owner, answers.tags) == (2, "data team", ("nightly",))
    assert (curated.verb, curated.inputs) == ("select", ("answers", "pool"))
    assert curated.params == DeitaParams(budget=100, score="n_chars")
    assert (long_ones.verb, long_ones.params, long_ones.operator) == ("sql", None, None)
    assert long_ones.inputs == ("curated", "pool")


def test_scores(good):
    length, embedding, prompt = good.tables["pool"].scores
    assert (length.name, length.operator, length.models, length.rename) == ("pool.length", "length", {}, None)
    assert (embedding.name, embedding.models, embedding.columns) == ("pool.embedding", {"model": "embedder"}, {})
    assert (prompt.name, prompt.rename, prompt.columns) == (
        "pool.prompt_embedding",
        "prompt_embedding",
        {"text": "instruction"},
    )


def test_data_tests(good):
    tests = good.tables["curated"].tests
    assert [test.label for test in tests] == [
        "rows(min=90, max=100)",
        "unique(row_id, response)",
        "not_null(response)",
        "range(n_chars, min=0)",
        "accepted_values(language: en, de)",
        "sql(SELECT * FROM curated WHERE n_chars < 0)",
    ]
    assert [test.severity for test in tests] == ["error", "error", "warn", "error", "error", "error"]
    assert [test.columns for test in tests] == [
        (),
        ("row_id", "response"),
        ("response",),
        ("n_chars",),
        ("language",),
        (),
    ]
    assert tests[2].path == ("tables", "curated", "tests", 2)


def test_handoffs(good):
    (sft,) = good.handoffs.values()
    assert (sft.name, sft.trainer, sft.data, sft.base) == ("sft", "sft", "answers", "small")
    assert (sft.params, sft.columns) == (SftParams(epochs=2), {"messages": "talk"})


def test_an_empty_key_counts_as_absent(load):
    spec = load(
        minimal("  pool:\n    source: data.jsonl\n    params:\n    scores:\n    tests:\n", head="seed:\nmodels:\n")
    )
    assert spec.seed == 0
    assert spec.tables["pool"].params == SourceParams()


def test_anchors_and_merges_serve_tables(load):
    tables = """\
  pool: {source: data.jsonl, scores: &scores [length]}
  a: &top {select: top_k, from: pool, params: {k: 1, by: n_chars}}
  b: {<<: *top, from: a, scores: *scores}
"""
    b = load(minimal(tables)).tables["b"]
    assert (b.inputs, b.params.k, b.scores[0].name) == (("a",), 1, "b.length")


def test_tables_may_stand_in_any_order(load):
    tables = "  b: {sql: SELECT * FROM a}\n  a: {sql: SELECT * FROM pool}\n  pool: {source: data.jsonl}\n"
    assert load(minimal(tables)).tables["b"].inputs == ("a",)


def test_a_chain_deeper_than_the_stack(load):
    chain = "".join(f"  t{i}: {{sql: SELECT * FROM t{i + 1}}}\n" for i in range(1500))
    assert len(load(minimal(chain + "  t1500: {source: data.jsonl}\n")).tables) == 1501


def test_numbers_from_the_environment(load, monkeypatch):
    monkeypatch.setenv("SETWRIGHT_TEST_K", "7")
    monkeypatch.setenv("SETWRIGHT_TEST_SHARE", "5e-1")
    monkeypatch.setenv("SETWRIGHT_TEST_FLAG", "false")
    monkeypatch.setenv("SETWRIGHT_TEST_TEXT", "8")
    tables = """\
  pool:
    source: ${SETWRIGHT_TEST_TEXT}
    scores: [{score: embedding, model: embedder, params: {normalize: "${SETWRIGHT_TEST_FLAG}"}}]
  a: {select: top_k, from: pool, params: {k: "${SETWRIGHT_TEST_K}", by: n_chars}}
  b: {select: random, from: pool, params: {share: "${SETWRIGHT_TEST_SHARE}"}}
"""
    spec = load(minimal(tables, head='seed: "${SETWRIGHT_TEST_K}"\n', models="  embedder: {use: hashing}\n"))
    assert spec.seed == 7
    assert spec.tables["pool"].source == "8"  # text stays text
    assert spec.tables["pool"].scores[0].params.normalize is False
    assert spec.tables["a"].params.k == 7
    assert spec.tables["b"].params.share == 0.5


def test_no_message_repeats_a_key_or_an_address(load, monkeypatch):
    monkeypatch.setenv("SETWRIGHT_TEST_KEY", "sk-very-secret")
    monkeypatch.setenv("SETWRIGHT_TEST_URL", "user:sk-very-secret@host")
    models = """\
  a: {use: hashing, api_key: "${SETWRIGHT_TEST_KEY}"}
  b: {use: openai, model: m, base_url: "${SETWRIGHT_TEST_URL}", api_key: ["${SETWRIGHT_TEST_KEY}"]}
  c: {use: openai, model: m, params: {temperature: "${SETWRIGHT_TEST_KEY}"}}
  d: {use: openai, model: m, api_key: 13371337, base_url: {sk-very-secret: 1}}
"""
    with pytest.raises(SpecError) as error:
        load(minimal(models=models))
    assert len(error.value.problems) == 7
    assert "secret@" not in str(error.value)
    assert "sk-very" not in str(error.value)
    assert "1337" not in str(error.value)


def test_a_spec_that_is_not_there():
    with pytest.raises(SetwrightError, match=r"there is no file nowhere\.yaml"):
        load_spec(Path("nowhere.yaml"))
