"""Does the quickstart's selection beat chance? The same pool, the same training, the deita rows against random ones.

For each seed a pool is generated and scored, a hundred rows are selected by `select: deita` and a hundred by
`select: random`, a model is tuned on each, and both take the quickstart's exam. Printed: each model's share of right
answers, the mean difference over the seeds, and its 95 % interval (Student's t). Whatever comes out is printed.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from pathlib import Path

import numpy as np
import yaml
from _measure import HERE, measured, setwright

SPECS = HERE.parent / "specs"
T_975 = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}
"""Quantiles of Student's t by degrees of freedom."""

SUMMARY = """
SELECT a.model, count(*) AS questions, avg((a.response IN (e.answer, e.short_answer))::INT) AS share
FROM (SELECT 'untuned' AS model, * FROM answers_before UNION ALL BY NAME
      SELECT 'deita' AS model, * FROM answers_after UNION ALL BY NAME
      SELECT 'random' AS model, * FROM answers_random) AS a
JOIN exam AS e ON a.parent_id = e.row_id GROUP BY a.model
"""


def variant(seed: int, rows: int, budget: int) -> dict[str, object]:
    """The quickstart's spec with another seed, and a second model that is tuned on a random selection."""
    spec = yaml.safe_load((SPECS / "quickstart.yaml").read_text(encoding="utf-8"))
    spec |= {"name": f"circle_{seed}", "seed": seed}
    tables, models = spec["tables"], spec["models"]
    tables["pool"]["params"]["rows"] = rows
    tables["curated"]["params"]["budget"] = budget
    tables["curated"]["tests"] = [{"rows": {"min": budget}}]
    tables["exam"]["source"] = str(SPECS / tables["exam"]["source"])
    tables["by_chance"] = {"select": "random", "from": "pool", "params": {"k": budget}}
    models["tuned_by_chance"] = {**models["tuned"], "data": "by_chance"}
    tables["answers_random"] = {**tables["answers_after"], "model": "tuned_by_chance"}
    return spec


def shares(seed: int, rows: int, budget: int, home: Path) -> dict[str, float]:
    """Build one variant; the share of right answers of each model."""
    file = home / f"circle_{seed}.yaml"
    file.write_text(yaml.safe_dump(variant(seed, rows, budget), sort_keys=False), encoding="utf-8")
    measured(setwright("build", file, "--home", home / "home"), timeout=3600)
    found = measured(setwright("sql", file, SUMMARY, "--json", "--home", home / "home"))
    return {row["model"]: row["share"] for row in found.json}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=400)
    parser.add_argument("--budget", type=int, default=100)
    args = parser.parse_args()
    found = []
    with tempfile.TemporaryDirectory() as home:
        for seed in range(1, args.seeds + 1):
            found.append(shares(seed, args.rows, args.budget, Path(home)))
            print(f"seed {seed}: " + ", ".join(f"{name} {share:.3f}" for name, share in sorted(found[-1].items())))
    differences = np.array([shares["deita"] - shares["random"] for shares in found])
    half = T_975[len(found) - 1] * differences.std(ddof=1) / math.sqrt(len(found))
    print(f"deita - random: {differences.mean():+.4f}, 95 % interval {differences.mean() - half:+.4f} to "
          f"{differences.mean() + half:+.4f} over {len(found)} seeds")  # fmt: skip


if __name__ == "__main__":
    main()
