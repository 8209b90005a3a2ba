import math

import numpy as np
import pytest
from story import run, shell, tell

from engine.cli.chart import chart

HH = "VALUES (0, 18.27), (10, 78.73), (25, 81.32), (50, 81.60), (75, 83.17), (100, 82.71)"
CURVE = "SELECT x, 80 - 60 * exp(-0.1 * x) FROM (VALUES (100), (0), (10), (25), (50)) p(x)"


@pytest.fixture(scope="session")
def story(tmp_path_factory):
    story = tell(tmp_path_factory.mktemp("plateau"))
    story.build()
    return story


def test_points_in_the_query_need_no_home(tmp_path):
    found = run("plateau", CURVE, "--at", "20,5", "--enough", "0.9", "--home", tmp_path / "none", "--json").json
    assert [found[name]["value"] for name in ("r", "a", "b")] == pytest.approx([80, 20, 0.1], rel=1e-6)
    assert found["enough"]["part"] == 0.9
    assert found["enough"]["value"] == pytest.approx(math.log(60 / 8) / 0.1)
    assert [point["share"] for point in found["points"]] == [0, 10, 25, 50, 100]
    assert found["at"] == [
        {"share": 20, "curve": pytest.approx(80 - 60 * math.exp(-2))},
        {"share": 5, "curve": pytest.approx(80 - 60 * math.exp(-0.5))},
    ]
    assert found["warnings"] == []
    assert not (tmp_path / "none").exists()


def test_the_text_tells_parameters_points_and_the_curve():
    lines = run("plateau", HH, "--at", "3.5").out.splitlines()
    assert lines[1].split()[:5] == ["r", "82.22", "80.87", "to", "83.64"]
    assert lines[4].split()[:2] == ["enough", "9.461"]
    assert ["10", "78.73", "78.7", "0.02751"] in [line.split() for line in lines]
    assert ["3.5", "-", "59.05", "-"] in [line.split() for line in lines]
    assert not any("warning" in line for line in lines)


def test_a_seed_gives_the_same_intervals():
    one, again, other = (run("plateau", HH, "--seed", seed, "--json").json["r"] for seed in (1, 1, 2))
    assert one == again
    assert one["low"] < one["value"] < one["high"]
    assert other["value"] == one["value"]
    assert other["low"] != one["low"]


def test_what_speaks_against_a_fit_is_said():
    oasst = "VALUES (0,8.45), (10,15.23), (25,10.42), (50,17.51), (75,21.69), (100,24.66)"
    assert "warning: the law misses the point at 25" in run("plateau", oasst).out
    three = run("plateau", "VALUES (0, 1), (10, 5), (20, 6)", "--json").json
    assert (three["r"]["low"], three["r"]["high"]) == (None, None)
    assert "- to -" in run("plateau", "VALUES (0, 1), (10, 5), (20, 6)").out


def test_points_from_the_tables_of_a_spec(story):
    query = "SELECT x, x * (SELECT count(*) FROM questions)::DECIMAL(9, 2) FROM (VALUES (1), (2), (3)) p(x)"
    found = run("plateau", story.file, query, "--home", story.home, "--json").json
    assert [point["measured"] for point in found["points"]] == [6, 12, 18]
    assert "straight line" in " ".join(found["warnings"])


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("VALUES (0, 1), (1, 2)", "2 different shares can't tell"),
        ("VALUES (0, 1), (1, 2), (2, NULL)", "not a share of at least 0 with a finite quality"),
        ("VALUES (0, 'much')", "not a number"),
        ("SELECT 1", "the query gave 1 rows of 1 columns"),
        ("SELECT 1, 2 WHERE false", "the query gave 0 rows"),
        ("SELECT * FROM curated", "curated"),
        ("SELECT * FROM read_csv('/etc/passwd')", "disabled"),
        ("COPY (SELECT 1) TO 'out.csv'", "disabled"),
    ],
)
def test_what_can_not_be_fitted(query, said, tmp_path):
    outcome = run("plateau", query, "--home", tmp_path)
    assert outcome.code == 2
    assert said in outcome.err


def test_wrong_usage(story, tmp_path):
    assert "takes numbers" in run("plateau", HH, "--at", "ten").err
    assert run("plateau", HH, "--enough", "1").code == 2
    assert "one query at most" in run("plateau", story.file, "SELECT", "1").err
    assert "nothing is built" in run("plateau", story.file, HH, "--home", tmp_path / "none").err


def test_in_a_process_of_its_own():
    outcome = shell("plateau", HH)
    assert outcome.code == 0, outcome.err
    assert "share for 0.95 of r" in outcome.out


def test_a_chart_has_the_points_over_the_curve_over_the_mark():
    drawn = chart(lambda x: x, np.array([0.0, 4.0]), np.array([0.0, 4.0]), 2.0, width=5, height=5)
    assert drawn.splitlines() == ["4   | o", "    |.", "    .", "   .|", "0 o |", "  0   4"]
    flat = chart(lambda x: 0 * x + 1, np.array([0.0, 1.0]), np.array([1.0, 1.0]), 9.0, width=3, height=2)
    assert flat.splitlines() == ["1 o.o", "1", "  0 1"]
