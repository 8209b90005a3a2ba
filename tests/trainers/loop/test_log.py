"""What a run says, and to whom: words and a bar, JSON lines, the file, trackers, and warnings in time."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="needs the extra `train`")

from accelerate import Accelerator  # noqa: E402

from trainers.errors import HandoffError  # noqa: E402
from trainers.loop.log import Log  # noqa: E402
from trainers.loop.metrics import StepRecord  # noqa: E402
from trainers.loop.trackers import check_installed, follow  # noqa: E402
from trainers.loop.watch import SPAN, Watch  # noqa: E402

RECORD = StepRecord(
    step=3, epoch=0.5, loss=1.25, lr=1e-4, grad_norm=0.5, tokens=100, target_tokens=50, accuracy=0.25, seconds=0.1,
    tokens_per_s=1000.0, mfu=0.41, peak_memory=2**31, figures={"rewards/margins": 0.5},
)  # fmt: skip


def log_of(folder, **options):
    return Log(Accelerator(cpu=True), folder, **options)


def test_a_step_in_words_has_a_bar_and_what_decides_whether_to_go_on(tmp_path, capsys):
    log_of(tmp_path).step(RECORD, 6)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("[############............] 3/6  epoch 0.50  loss 1.2500")
    assert line.endswith("1,000 tokens/s  MFU 41%  2.0 GiB")


def test_a_program_gets_json_and_the_file_gets_it_too(tmp_path, capsys):
    log = log_of(tmp_path, json_lines=True)
    log.start(steps=6)
    log.step(RECORD, 6)
    log.warning("look")
    log.stopped(step=3)
    lines = capsys.readouterr().out.splitlines()
    assert lines == (tmp_path / "log.jsonl").read_text().splitlines()
    start, step, warning, stopped = map(json.loads, lines)
    assert (start, stopped) == ({"event": "start", "steps": 6}, {"event": "stopped", "step": 3})
    assert (step["event"], step["loss"], step["rewards/margins"]) == ("step", 1.25, 0.5)
    assert warning == {"event": "warning", "message": "look"}


def test_a_run_that_goes_on_adds_to_the_file(tmp_path):
    for _ in range(2):
        log_of(tmp_path).start(steps=6)
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == 2


class Fearful:
    def concerns(self, records):
        return [("steep", "it is steep")] if records[-1].step > 1 else []


def test_each_trouble_is_told_once(tmp_path):
    watch = Watch(Fearful(), log_of(tmp_path))
    records = [replace(RECORD, step=step, grad_norm=1.0 if step < SPAN else 11.0) for step in range(1, 60)]
    for count in range(1, len(records) + 1):
        watch.look(records[:count])
    told = [json.loads(line)["message"] for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert told[0] == "step 2: it is steep"
    assert len(told) == 2
    assert "gradients are 11 times as large as at the beginning" in told[1]


def test_a_tracker_that_is_not_there_is_asked_for_by_name(monkeypatch):
    check_installed("none")
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(HandoffError, match=r"params.report_to is 'wandb', not installed: pip install wandb"):
        check_installed("wandb")


def test_tensorboard_has_the_figures(tmp_path):
    pytest.importorskip("tensorboard", reason="needs the extra `dev`")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    accelerator = Accelerator(cpu=True, log_with="tensorboard", project_dir=tmp_path)
    follow(accelerator, "tensorboard", "tuned", {"seed": 1}, tmp_path)
    log = Log(accelerator, tmp_path)
    log.step(RECORD, 6)
    log.done()
    events = EventAccumulator(str(tmp_path / "tuned")).Reload()
    (loss,), (margin,) = events.Scalars("loss"), events.Scalars("rewards/margins")
    assert (loss.step, loss.value, margin.value) == (3, 1.25, 0.5)
