"""DPO on real pairs: a tiny model learns what politeness is, and finds it in answers that it has not seen."""

from __future__ import annotations

import pytest
from polite import DATA, polite_pairs, preference_accuracy
from tiny_model import build_tiny_model
from tuning import write_handoff

torch = pytest.importorskip("torch", reason="needs the extra `train`")

from trainers.dpo import DPO  # noqa: E402
from trainers.loop.command import train  # noqa: E402


@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_file(), reason="needs the shared data set of polite and rude answers")
def test_polite_answers_that_it_never_saw_are_preferred(tmp_path):
    torch.set_num_threads(1)
    base = build_tiny_model(tmp_path / "base")
    rows, others = polite_pairs(held_out=220)
    params = {"learning_rate": 3e-3, "epochs": 3, "batch_size": 2, "max_length": 512}
    seen = write_handoff(tmp_path / "seen", base, rows, trainer="dpo", **params)
    unseen = write_handoff(tmp_path / "unseen", base, others, trainer="dpo")
    assert train(DPO, seen, tmp_path / "out")
    assert preference_accuracy(tmp_path / "out/model", base, seen) > 0.95
    assert preference_accuracy(base, base, unseen) == 0  # all are ties
    assert preference_accuracy(tmp_path / "out/model", base, unseen) > 0.7  # six standard errors above chance
