"""What pairs with the labels of people say of their judge: whether it may judge pairs without them.

The labels are compared with verdicts that are there already; no model is asked.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.needs import Reads, Side
from engine.schema import BOOLEAN_TYPE, TEXT_TYPE
from engine.statistics.intervals import Interval, bootstrap, mean

CHOSEN, REJECTED, TIE = "chosen", "rejected", "tie"
LABELS = (CHOSEN, REJECTED, TIE)
"""What a verdict and a label can be."""

GOLD = Side(
    {
        "label": Reads(TEXT_TYPE),
        "judge_verdict": Reads(TEXT_TYPE),
        "judge_flipped": Reads(BOOLEAN_TYPE),
        "judge_model": Reads(TEXT_TYPE),
        "judge_protocol": Reads(TEXT_TYPE),
    },
    optional=True,
    goes_with="min_agreement",
)
SEED = 0  # of the intervals


def same_model(one: str, other: str) -> bool:
    """Whether two values of `judge_model` (`NAME@IDENTITY`) mean one model, by whatever name."""
    return one.rpartition("@")[2] == other.rpartition("@")[2]


@dataclass(frozen=True)
class Gold:
    """Of the labelled pairs that were put before a judge: how many, by whom, how, and what became of them.

    A tie is a verdict like any other. A pair whose replies could not be read counts against the judge.
    """

    pairs: int
    models: tuple[str, ...]
    protocols: tuple[str, ...]
    unknown: tuple[str, ...]  # labels that are none
    agreement: Interval
    flips: Interval

    def refusal(self, model: str, protocol: str, least: float) -> str | None:
        """Why a judge may not judge other pairs; None where it may."""
        if not self.pairs:
            return "no gold pair has both a label and a judge: judge them by the same scorer, and label them"
        if self.unknown:
            return f"the gold labels are {', '.join(map(repr, self.unknown))}, and a label is {', '.join(LABELS)}"
        strangers = [name for name in self.models if not same_model(name, model)]
        if strangers:
            return f"the gold pairs were judged by {' and '.join(strangers)}, and these are judged by {model}"
        if self.protocols != (protocol,):
            return "the gold pairs were judged with other params: what the judge was asked there says nothing of here"
        if self.agreement.value >= least:
            return None
        return (
            f"the judge agrees with the gold labels on {_percent(self.agreement)} of {self.pairs} pairs "
            f"({_bounds(self.agreement)}), below min_agreement {least:g}; "
            f"the order of the answers changes its verdict on {_percent(self.flips)} ({_bounds(self.flips)})"
        )


def read_gold(table: pa.Table) -> Gold:
    """Compares the verdicts on gold pairs with their labels; `table` has the columns of `GOLD`."""
    asked = table.filter(pc.and_(pc.is_valid(table["label"]), pc.is_valid(table["judge_model"])))
    right = pc.fill_null(pc.equal(asked["judge_verdict"], asked["label"]), False)
    return Gold(
        pairs=asked.num_rows,
        models=_unique(asked["judge_model"]),
        protocols=_unique(asked["judge_protocol"]),
        unknown=tuple(label for label in _unique(asked["label"]) if label not in LABELS),
        agreement=_share(right),
        flips=_share(pc.drop_null(asked["judge_flipped"])),
    )


def _unique(column: pa.ChunkedArray) -> tuple[str, ...]:
    return tuple(sorted(filter(None, pc.unique(column).to_pylist())))


def _share(values: pa.ChunkedArray) -> Interval:
    return bootstrap(values.to_numpy().astype(np.float64), mean, seed=SEED)


def _percent(share: Interval) -> str:
    return f"{100 * share.value:.3g} %"


def _bounds(share: Interval) -> str:
    return f"95 %: {100 * share.low:.3g} to {100 * share.high:.3g}"
