"""Metadata to more metadata: distinct pairs of the seeds' use cases and skills."""

from collections import Counter

import pytest
from operators.fakes import FakeContext
from operators.talker import in_turn, made, side

from engine.errors import RowError
from engine.registry import operator

MIX, DECODE = operator("generate", "codeclm_mix"), operator("generate", "codeclm_decode")

SEEDS = [
    {"use_case": "tea advice", "skills": ["leaf lore", "brewing", "taste"]},
    {"use_case": "letters", "skills": ["polite tone", "brevity"]},
    {"use_case": "debugging", "skills": ["code reading", "logic", "tests", "patience"]},
]


def mixed(seeds, *, seed=17, **params):
    """The rows of a table of mixed pairs."""
    return made(MIX, {}, context=FakeContext(seed, sides={"pool": side(seeds)}), **params)


def keys(rows):
    return [(row["use_case"], frozenset(row["skills"])) for row in rows]


def test_200_distinct_pairs_of_the_seeds_use_cases_and_skills():
    rows = mixed(SEEDS)
    assert len(rows) == len(set(keys(rows))) == len({row["metadata_id"] for row in rows}) == 200
    use_cases = {seed["use_case"] for seed in SEEDS}
    skills = {skill for seed in SEEDS for skill in seed["skills"]}
    assert {row["use_case"] for row in rows} == use_cases
    assert {skill for row in rows for skill in row["skills"]} == skills
    own = {(seed["use_case"], frozenset(seed["skills"])) for seed in SEEDS}
    assert set(keys(rows[:3])) == own
    assert [row["origin"] for row in rows] == ["seed"] * 3 + ["mixed"] * 197
    assert all(1 <= len(set(row["skills"])) == len(row["skills"]) <= 3 for row in rows[3:])


def test_how_many_skills_a_mixed_pair_has_is_drawn_evenly():
    seeds = [{"use_case": f"u{i}", "skills": [f"s{3 * i}", f"s{3 * i + 1}", f"s{3 * i + 2}"]} for i in range(50)]
    rows = mixed(seeds, pairs=650)
    sizes = Counter(len(row["skills"]) for row in rows if row["origin"] == "mixed")
    assert all(160 <= sizes[n] <= 240 for n in (1, 2, 3)), sizes


def test_the_pairs_depend_on_the_seed_and_the_pool_alone():
    rows = mixed(SEEDS)
    assert mixed(list(reversed(SEEDS)) * 2) == rows
    assert mixed(SEEDS, pairs=300)[:200] == rows
    assert mixed(SEEDS, seed=18) != rows


def test_duplicate_seeds_and_other_spellings_are_one_pair():
    seeds = [*SEEDS, *SEEDS, {"use_case": "Letters", "skills": ["Brevity", "Polite tone"]}]
    rows = mixed(seeds, pairs=20)
    assert [row["origin"] for row in rows].count("seed") == 3


def test_seeds_without_metadata_are_passed_over():
    empty = [{"use_case": None, "skills": None}, {"use_case": "x", "skills": []}, {"use_case": "", "skills": ["y"]}]
    rows = mixed([*empty, *SEEDS])
    assert {row["use_case"] for row in rows} == {seed["use_case"] for seed in SEEDS}


@pytest.mark.parametrize(
    ("seed", "possible"),
    [
        ({"use_case": "a", "skills": ["x", "y"]}, 3),
        (
            {"use_case": "a", "skills": ["w", "x", "y", "z"]},
            4 + 6 + 4 + 1,
        ),  # its own pair has more skills than mixed ones
        ({"use_case": None, "skills": ["x"]}, 0),
    ],
)
def test_a_pool_that_is_too_small_says_what_it_gives(seed, possible):
    with pytest.raises(RowError, match=f"can give {possible} distinct pairs, and `pairs` asks for {possible + 1}"):
        mixed([seed], pairs=possible + 1)
    if possible:
        assert len(set(keys(mixed([seed], pairs=possible)))) == possible


def test_a_pool_that_is_too_large_gives_a_random_choice():
    seeds = [{"use_case": f"u{i:03}", "skills": ["s"]} for i in range(300)]
    rows = mixed(seeds)
    assert {row["origin"] for row in rows} == {"seed"}
    assert len(set(keys(rows))) == 200
    late = sum(row["use_case"] >= "u150" for row in rows)
    assert 80 <= late <= 120


def test_200_pairs_and_1000_rows_are_5_instructions_each():
    pairs = mixed(SEEDS)
    five = "\n".join(f"{k}. Ask {k}." for k in range(1, 6))
    rows = [row for p in pairs for row in made(DECODE, p, context=FakeContext(model=in_turn(five)), per_pair=5)]
    assert len(rows) == 1000
    assert set(Counter(row["metadata_id"] for row in rows).values()) == {5}
