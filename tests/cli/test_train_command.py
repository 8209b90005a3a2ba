"""`train`: a model node by name; and what the other commands say of a model that was trained."""

import pytest
from project import Project
from story import run
from tiny_model import build_tiny_model

pytestmark = pytest.mark.slow

SPEC = """
models:
  tiny: {use: transformers, model: tiny, params: {dtype: float32}}
  tuned: {train: sft, base: tiny, data: talk, params: {epochs: 2, max_length: 64, learning_rate: RATE}}
tables:
  talk: {source: data.jsonl}
  more: {sql: SELECT count(*) AS n FROM talk}
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    build_tiny_model(folder / "tiny")
    project = Project(folder).spec(SPEC.replace("RATE", "0.001"))
    return project.data([{"instruction": f"What is {i}?", "output": "The sea is wide."} for i in range(5)])


@pytest.fixture(scope="module")
def trained(project):
    """The outcome of the first training."""
    return run("train", project.file, "tuned", "--home", project.home)


def test_it_trains_what_was_named_and_says_where_it_is(project, trained):
    assert trained.code == 0
    table, folder = trained.out.split("\ntuned: ")
    assert "tuned  train: sft" in table
    assert "more" not in table
    assert (project.home / "objects").as_posix() in folder
    found = run("train", project.file, "tuned", "--home", project.home, "--json").json
    assert found["model"] == folder.strip()
    assert {step["state"] for step in found["steps"]} == {"cached"}


@pytest.mark.parametrize(
    ("name", "said"), [("tiny", "models.tiny is used, not trained"), ("tund", "no model 'tund' is trained")]
)
def test_a_name_that_is_no_trained_model(project, name, said):
    outcome = run("train", project.file, name, "--home", project.home)
    assert outcome.code == 2
    assert said in outcome.err


def test_the_shipped_queries_show_the_training(project, trained):
    assert trained.code == 0
    hurt = run("sql", project.file, "rows_that_hurt", "--home", project.home, "--json").json
    assert {row["model"] for row in hurt} == {"tuned"}
    assert {row["found_in"] for row in hurt} == {"talk"}
    assert [row["loss"] for row in hurt] == sorted((row["loss"] for row in hurt), reverse=True)
    assert len(hurt) == len({row["row_id"] for row in hurt}) == 5, "the last epoch alone"
    curve = run("sql", project.file, "training_curve", "--home", project.home, "--json").json
    assert curve[-1]["until_step"] == project.sql("SELECT max(step) FROM train_steps")[0][0]
    assert curve[-1]["epoch"] == 2


def test_a_model_is_no_table(project, trained):
    assert trained.code == 0
    assert "no build of trial made a table 'tuned'" in run("diff", project.file, "tuned", "--home", project.home).err
    assert "no built table 'tuned'" in run("why", project.file, "tuned", "x" * 8, "--home", project.home).err
    assert "n_tokens" in run("show", project.file, "tuned", "--home", project.home).out
    assert "train: sft" in run("plan", project.file, "--home", project.home).out
    assert "train: sft" in run("doctor", project.file, "--home", project.home).out


def test_clean_keeps_the_model_that_a_name_stands_for(project, trained):
    assert trained.code == 0
    first = {path.parent for path in project.home.glob("objects/*/model")}
    project.spec(SPEC.replace("RATE", "0.002")).build()
    (project.home / "training" / "left").mkdir(parents=True)
    freed = run("clean", "--all", "--keep-builds", 0, "--home", project.home)
    assert freed.code == 0
    assert list((project.home / "training").iterdir()) == []
    (kept,) = {path.parent for path in project.home.glob("objects/*/model")}
    assert kept not in first
    assert (kept / "model" / "model.safetensors").exists()
    assert set(project.states().values()) == {"cached"}
