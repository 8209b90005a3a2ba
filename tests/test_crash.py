"""SIGKILL at random moments: no finished model call is repeated, and the result is that of an unbroken build."""

import random
import sys
from pathlib import Path

import pytest
from fake_server import FakeServer

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from kill_harness import LATENCY_MS, Trial, run


def kill(folder, *, kills, calls, seed):
    with FakeServer(latency_ms=LATENCY_MS) as server:
        trial = Trial(folder, calls, server, random.Random(seed))
        return trial, run(trial, kills)


def test_a_build_that_is_killed_goes_on_where_it_was(tmp_path):
    trial, outcome = kill(tmp_path, kills=4, calls=200, seed=4)
    assert outcome.violations == []
    assert outcome.calls == 400
    assert any(0 < len(kill.held) < 400 for kill in trial.kills), "no kill fell between the calls"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_twelve_kills(tmp_path):
    _, outcome = kill(tmp_path, kills=12, calls=600, seed=2)
    assert outcome.violations == []
