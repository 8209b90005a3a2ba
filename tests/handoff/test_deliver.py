"""Folders on disk: what is written over and what isn't, and folders that are trained from."""

import hashlib
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from handoff.launch import command
from project import Project
from tiny_model import build_tiny_model

from engine.errors import SetwrightError
from engine.handoff.deliver import TARGETS, deliver
from engine.handoff.folder import write_folder
from engine.handoff.order import make_order
from engine.handoff.preflight import Refused
from engine.store import Store

MARKED = (
    "{% for m in messages %}{{ '<|' + m['role'] + '|>' }}{% if m['role'] == 'assistant' %}"
    "{% generation %}{{ m['content'] + '<|end|>' }}{% endgeneration %}{% else %}{{ m['content'] + '<|end|>' }}"
    "{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)

SPEC = """
models:
  tiny: {use: transformers, model: tiny, params: {dtype: float32}}
tables:
  talk: {source: data.jsonl}
  short: {select: random, from: talk, params: {k: 6}, scores: [length]}
handoffs:
  sft:
    data: short
    format: sft
    base: tiny
    params: {max_steps: 2, batch_size: 2, max_length: LENGTH, dtype: float32, chat_template: TEMPLATE}
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("handed_over")
    build_tiny_model(folder / "tiny")
    project = Project(folder)
    project.data([{"instruction": f"What is {i}?", "output": "The sea is wide."} for i in range(10)])
    return project


def ordered(project, length=64, template=MARKED):
    project.spec(SPEC.replace("LENGTH", str(length)).replace("TEMPLATE", json.dumps(template)))
    project.build()
    return make_order(project.plan(), Store(project.home), "sft")


def handoff_of(folder):
    return json.loads((folder / "handoff.json").read_text(encoding="utf-8"))


def test_the_rows_of_the_table_are_written_with_their_hashes(project, tmp_path):
    order, source = ordered(project)
    write_folder(order, source, tmp_path / "out")
    record = handoff_of(tmp_path / "out")
    assert (record["version"], record["trainer"], record["seed"], record["data"]["rows"]) == (1, "sft", 7, 6)
    assert record["params"]["max_length"] == 64
    assert record["params"]["epochs"] == 1.0, "defaults are filled in"
    for file in record["data"]["files"]:
        data = (tmp_path / "out" / file["path"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == file["sha256"]
    rows = pa.concat_tables(pq.read_table(tmp_path / "out" / file["path"]) for file in record["data"]["files"])
    assert rows.column_names == ["row_id", "messages"]
    expected = project.sql("SELECT row_id FROM short")
    assert [(row,) for row in rows["row_id"].to_pylist()] == expected


def test_a_folder_of_something_else_is_left_alone(project, tmp_path):
    order, source = ordered(project)
    thesis = tmp_path / "mine/data/part-00000.parquet"
    thesis.parent.mkdir(parents=True)
    thesis.write_text("years of work")
    with pytest.raises(SetwrightError, match="something else than a hand-off"):
        deliver(order, source, TARGETS["native"], tmp_path / "mine")
    assert thesis.read_text() == "years of work"
    with pytest.raises(SetwrightError, match="is a file"):
        deliver(order, source, TARGETS["native"], thesis)


def test_what_a_target_refuses_is_refused_before_anything_is_written(project, tmp_path):
    order, source = ordered(project)
    with pytest.raises(Refused, match="no other template"):
        deliver(order, source, TARGETS["llamafactory"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_native_folder_trains_by_itself(project, tmp_path):
    order, source = ordered(project)
    folder = tmp_path / "native"
    left = tmp_path / ".native.partial/data/part-00007.parquet"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"of a writing that was killed")
    done = deliver(order, source, TARGETS["native"], folder)
    assert (done.rows, done.folder) == (6, folder)
    assert done.target_tokens > 0
    assert [path.name for path in tmp_path.iterdir()] == ["native"]
    assert len(list((folder / "data").iterdir())) == len(handoff_of(folder)["data"]["files"])
    handoff = handoff_of(folder)
    assert handoff["hashes"].keys() == {"template", "tokenizer"}
    assert done.command in (folder / "README.md").read_text(encoding="utf-8")
    outcome = command(done)
    assert outcome.returncode == 0, outcome.stderr
    record = json.loads((folder / "out/model/training.json").read_text(encoding="utf-8"))
    assert handoff["data"]["fingerprint"] in json.dumps(record)

    deliver(order, source, TARGETS["axolotl"], folder)
    assert (folder / "out/model/training.json").exists(), "what was trained stays"
    assert not (folder / "trainers").exists(), "and the files of the other target do not"
    deliver(order, source, TARGETS["native"], folder)

    part = folder / "data/part-00000.parquet"
    pq.write_table(pq.read_table(part).slice(0, 5), part)
    outcome = command(done)
    assert outcome.returncode != 0
    assert "isn't as it was written" in outcome.stderr


@pytest.mark.slow
def test_trl_trains_two_steps_from_the_folder(project, tmp_path):
    order, source = ordered(project)
    done = deliver(order, source, TARGETS["trl"], tmp_path / "trl")
    outcome = command(done)
    assert outcome.returncode == 0, outcome.stderr[-3000:]
    assert "2/2" in outcome.stderr
    assert (done.folder / "out/model.safetensors").exists()
    assert (done.folder / "out/chat_template.jinja").read_text(encoding="utf-8") == MARKED


@pytest.mark.slow
@pytest.mark.parametrize(
    ("length", "template", "said"),
    [(4, MARKED, "over_long: "), (64, "{{ raise_exception('no system prompt') }}", "template_refuses: ")],
)
def test_what_the_pre_flight_refuses_is_told_with_rows_and_cure(project, tmp_path, length, template, said):
    order, source = ordered(project, length, template)
    with pytest.raises(Refused, match=said) as refusal:
        deliver(order, source, TARGETS["native"], tmp_path / "out")
    first = project.sql("SELECT row_id FROM short LIMIT 1")[0][0]
    assert f"(6 rows: {first}, " in str(refusal.value)
    report = json.loads((tmp_path / "out/preflight.json").read_text(encoding="utf-8"))
    assert report["problems"][0]["cure"] in str(refusal.value)
    assert not (tmp_path / "out/trainers").exists(), "a refused folder gets no command to run"
