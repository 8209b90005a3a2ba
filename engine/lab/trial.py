"""A lab from beginning to end: the lines that can run are built, and each is measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from engine.errors import SetwrightError, did_you_mean
from engine.lab.measures import Columns, Measures, Yardstick, overlap
from engine.lab.nodes import Line, build_lines, built_table, checked, line, verdicts
from engine.operators.selectors.deita import EVOL_SCORE
from engine.plan.steps import Plan
from engine.plan.views import named
from engine.progress import Monitor
from engine.relation import Reader
from engine.schema import ROW_ID, is_embedding
from engine.spec.nodes import Spec
from engine.store import Store
from engine.work.whole import evaluate

SOURCE = "source"


@dataclass(frozen=True)
class Trial:
    """What became of a lab; `measures`, `seconds` and `picks` are of the lines that ran, by their labels."""

    table: str
    by: str | None
    lines: Sequence[Line]
    whole: Measures
    measures: Mapping[str, Measures]
    seconds: Mapping[str, float]
    picks: Mapping[str, np.ndarray]

    def line(self, label: str) -> Line:
        """The line of a label."""
        return next(found for found in self.lines if found.label == label)

    def overlap(self, one: str, other: str) -> float:
        """The share of the smaller selection's rows that both keep."""
        return overlap(self.picks[one], self.picks[other])


def hold(
    spec: Spec,
    home: Path,
    table: str,
    labels: Mapping[str, str],
    budget: int | None,
    settings: Mapping[str, Mapping[str, Any]],
    score: str | None,
    by: str | None,
    watch: Callable[[Plan, Monitor], Any] | None = None,
) -> Trial:
    """Hold a lab.

    Args:
        spec: whose table it is.
        home: where it was built.
        table: its name; it is not built here.
        labels: the lines' labels, and the selectors that they stand for.
        budget: rows that each line may keep, where its selector has such a parameter.
        settings: further parameters of each line.
        score: a SQL expression over the table's columns; None takes deita's where it can be computed.
        by: the column whose shares are measured; None takes `source` where there is one.
        watch: as in `builds.build`.

    Raises:
        SetwrightError: the table isn't built, a selector or a column isn't there.
    """
    store = Store(home)
    full, reader = built_table(spec, store, table)
    columns = _columns(reader, score, by)
    proposed = [line(label, selector, full, budget, settings[label]) for label, selector in labels.items()]
    lines = [checked(spec, store, found) for found in proposed]
    able = [found for found in lines if not found.problem]
    states = build_lines(spec, home, able, watch).steps if able else ()
    yardstick = Yardstick(reader, columns, _scores(reader, columns.score), spec.seed)
    measured = {label: yardstick.selection(picks) for label, picks in verdicts(spec, store, able).items()}
    return Trial(
        full,
        columns.by,
        lines,
        yardstick.everything(),
        {label: found for label, (_, found) in measured.items()},
        _seconds(store, states, able),
        {label: positions for label, (positions, _) in measured.items()},
    )


def _columns(reader: Reader, score: str | None, by: str | None) -> Columns:
    schema = reader.schema()
    if by is not None and by not in schema.names:
        raise SetwrightError(f"--by {by}: there is no such column{did_you_mean(by, schema.names)}")
    evolved = {"complexity_scores", "quality_scores"} <= set(schema.names)
    embedding = next((f.name for f in schema if is_embedding(f.type)), None)
    source = SOURCE if SOURCE in schema.names else None
    return Columns(embedding, score or (EVOL_SCORE if evolved else None), by or source)


def _scores(reader: Reader, expression: str | None) -> np.ndarray | None:
    """The score of each row, float64 [n]; NaN where it is null."""
    if expression is None:
        return None
    values = evaluate(expression, reader.table([ROW_ID, *named(expression, reader.schema().names)]))
    numbers: np.ndarray = values.cast(pa.float64()).to_numpy()
    return numbers


def _seconds(store: Store, steps: Sequence[Mapping[str, Any]], lines: Sequence[Line]) -> dict[str, float]:
    """How long each line took when it was built, now or earlier."""
    labels = {found.name: found.label for found in lines}
    manifests = {labels[s["step"]]: store.manifest(s["fingerprint"]) for s in steps if s["step"] in labels}
    return {label: manifest.facts["seconds"] for label, manifest in manifests.items() if manifest is not None}
