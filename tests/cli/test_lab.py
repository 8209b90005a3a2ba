"""`setwright lab`: selectors side by side on a real table, and the nodes that they leave behind."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from click.testing import CliRunner
from project import Project

from engine.cli.lab import command
from engine.errors import SetwrightError

SPEC = """
tables:
  pool: {source: pool.parquet, params: {shape: raw}}
"""


@pytest.fixture
def pool(tmp_path):
    """200 rows in 10 tight clusters; the score falls with the row's number, so the first clusters score best."""
    rng = np.random.default_rng(3)
    centres = rng.normal(size=(10, 16))
    vectors = np.repeat(centres, 20, axis=0) + 0.01 * rng.normal(size=(200, 16))
    embedding = pa.FixedSizeListArray.from_arrays(pa.array(vectors.astype(np.float32).reshape(-1)), 16)
    names = [f"text {i}" for i in range(200)]
    source = ["a" if i < 50 else "b" for i in range(200)]
    table = pa.table({"text": names, "worth": np.arange(200.0)[::-1], "source": source, "embedding": embedding})
    project = Project(tmp_path).spec(SPEC)
    pq.write_table(table, tmp_path / "pool.parquet")
    project.build()
    return project


def lab(project, *args):
    found = CliRunner().invoke(command, [str(project.file), "pool", "--home", str(project.home), *args])
    if found.exception is not None and not isinstance(found.exception, SystemExit):
        raise found.exception
    return found


def lines(project, *args):
    told = json.loads(lab(project, "--json", *args).stdout)
    return {line["selector"]: line for line in told["lines"]}, told["all"]


THREE = ("--selectors", "deita,top_k,random", "--budget", "20", "--set", "deita.score=worth", "--set", "top_k.by=worth")


def test_measures_tell_selectors_apart(pool):
    found, everyone = lines(pool, *THREE, "--score", "worth")
    best, different, drawn = (found[name]["measures"] for name in ("top_k", "deita", "random"))
    assert (best["rows"], best["score"], everyone["score"]) == (20, 189.5, 99.5)
    assert different["rows"] == 10  # one of each cluster is all that deita can keep
    assert different["redundancy"] == 0
    assert best["redundancy"] == 1  # all of one cluster
    assert different["clusters"] == pytest.approx(10)
    assert best["clusters"] < 5  # cells that are parts of the one cluster
    assert different["coverage"] > 0.99 > best["coverage"]
    assert best["groups"] == {"a": 1.0}
    assert everyone["groups"] == {"b": 0.75, "a": 0.25}
    assert drawn["rows"] == 20


def test_overlap_is_the_share_of_the_smaller_selection(pool):
    found, _ = lines(pool, *THREE, "--score", "worth")
    assert found["top_k"]["overlap"]["deita"] == pytest.approx(0.1)  # the best row of the first cluster
    assert found["top_k"]["overlap"]["top_k"] == 1


def test_an_exported_node_is_in_the_store_already(pool):
    lab(pool, *THREE)
    text = lab(pool, *THREE, "--export", "deita").stdout
    assert yaml.safe_load(text) == {
        "pool_by_deita": {"select": "deita", "from": "pool", "params": {"budget": 20, "score": "worth"}}
    }
    pool.spec(SPEC + text)
    assert pool.states()["pool_by_deita"] == "cached"
    assert len(pool.sql("SELECT * FROM pool_by_deita")) == 10


def test_a_selector_twice_under_labels(pool):
    args = ("--selectors", "loose=deita,strict=deita", "--budget", "30", "--set", "strict.max_similarity=0.5")
    found, _ = lines(pool, *args, "--set", "strict.score=worth", "--set", "loose.score=worth")
    assert found["strict"]["node"]["pool_by_strict"]["params"]["max_similarity"] == 0.5
    assert found["loose"]["measures"]["rows"] >= found["strict"]["measures"]["rows"] > 0


def test_a_selector_that_cannot_run_does_not_stop_the_others(pool):
    said = lab(pool, "--selectors", "random,deita,top_k", "--budget", "5", "--set", "top_k.by=worthh")
    assert said.exit_code == 1
    assert "complexity_scores" in said.output
    assert "top_k: params.by" in said.output
    assert "random" in said.output.splitlines()[1]


def test_the_chart_and_the_tables_are_text(pool):
    said = lab(pool, *THREE).output
    assert "rows in both" in said
    assert "share by source" in said
    assert "█" in said


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--selectors", "ditea", "--budget", "5"), "unknown selector 'ditea' .did you mean 'deita'"),
        (("--selectors", "random", "--budget", "5", "--by", "sorce"), "no such column .did you mean 'source'"),
        (("--selectors", "random", "--set", "randm.k=5"), "names no parameter"),
        (("--selectors", "random,random"), "two have one label"),
        (("--selectors", "random", "--export", "deita"), "none of the selectors"),
    ],
)
def test_mistakes_name_their_cure(pool, args, message):
    with pytest.raises(SetwrightError, match=message):
        lab(pool, *args)


def test_a_table_that_is_not_built(tmp_path):
    project = Project(tmp_path).spec(SPEC)
    with pytest.raises(SetwrightError, match="no built table 'pool'") as raised:
        lab(project, "--selectors", "random", "--budget", "5")
    assert "--select +pool" in str(raised.value)
