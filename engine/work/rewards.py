"""Rewards of a trainer's answers, by the scorers and expressions of a spec, and a log of what they asked and lacked.

A scorer runs as it does over a table, and its model's calls go through the ledger: what was answered once, before a
training was stopped or in another one, is not asked again. How the answers come here is `reward_server`'s business.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from engine.bound import BoundModel
from engine.calls import Asker, Gate
from engine.context import StepContext
from engine.plan.rewards import NUMBER, answer_types
from engine.plan.steps import Columns, Planned, Step
from engine.relation import Reader
from engine.schema import ROW_ID
from engine.work.answers import Expressions, answer_rows, with_rows
from engine.work.job import ERRORS, ROW_CALLS
from engine.work.scoring import Errors, score_rows

NO_NUMBER = "the reward is not a finite number"

Numbers = list[float | None]


class Rewards:
    """The rewards of one training."""

    def __init__(
        self,
        planned: Planned,
        source: Reader,
        seed: int,
        gates: Mapping[str, Gate],
        asker: Asker,
        home: Path,
        log: Path,
    ) -> None:
        self._steps = {reward.name: reward for reward in planned.step.rewards}
        self._columns = planned.columns.rewards
        reads = planned.columns.reads
        self._types = answer_types(source.schema().field(reads["prompt"]).type if "prompt" in reads else None)
        theirs = {name for columns in self._columns.values() for name in columns.owners}
        self._rows = source.table([ROW_ID, *sorted(theirs)])
        self._seed, self._gates, self._asker = seed, gates, asker
        self._sql = Expressions(home)
        self._log = log.open("a", encoding="utf-8")
        self.last_reason = ""  # why an answer had no number

    async def of(self, asked: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[dict[str, float | None]]:
        """The named rewards of each answer; null where there is none, for a reason that the log has."""
        answers = with_rows(answer_rows(asked, self._types), self._rows)
        found = await asyncio.gather(*(self._reward(name, answers) for name in names))
        return [dict(zip(names, values, strict=True)) for values in zip(*found, strict=True)]

    def close(self) -> None:
        """Close the log, and let go of the connection."""
        self._log.close()
        self._sql.close()

    async def _reward(self, name: str, answers: pa.Table) -> Numbers:
        step, columns, table = self._steps[name], self._columns[name], answers
        errors: Errors = {}
        if step.operator is not None:
            scores, errors = await self._score(step, columns, answers)
            for column in columns.writes:
                table = _with(table, column, scores[column])
        values, wrong = await asyncio.to_thread(self._sql.numbers, columns.expressions[NUMBER], table)
        return self._known(name, answers[ROW_ID].to_pylist(), values, wrong, errors)

    async def _score(self, step: Step, columns: Columns, answers: pa.Table) -> tuple[pa.Table, Errors]:
        assert step.operator is not None
        contexts: list[StepContext] = []

        def bind(row_id: str | None) -> StepContext:
            asked = step.models_by_role.items()
            bound = {role: BoundModel(self._gates[model], self._asker, row_id) for role, model in asked}
            contexts.append(StepContext(self._seed, bound))
            return contexts[-1]

        reads = {ROW_ID: answers[ROW_ID]} | {name: answers[column] for name, column in columns.reads.items()}
        scores, errors = await score_rows(step.operator, step.params, pa.table(reads), columns.writes, bind)
        if step.operator.by_row and step.models_by_role:
            self._note(_calls(answers[ROW_ID].to_pylist(), contexts))
        return scores, errors

    def _known(
        self, name: str, row_ids: Sequence[str], values: Numbers, wrong: Mapping[int, str], errors: Errors
    ) -> Numbers:
        """The values without those that are none, and of those the reasons in the log."""
        known: Numbers = []
        for i, (row_id, value) in enumerate(zip(row_ids, values, strict=True)):
            reason = errors[row_id][0] if row_id in errors else wrong.get(i)
            if reason is None and (value is None or not math.isfinite(value)):
                reason = NO_NUMBER
            known.append(value if reason is None else None)
            if reason is not None:
                self.last_reason = f"{name}: {reason}"
                self._note([{ROW_ID: row_id, "error": self.last_reason}])
        return known

    def _note(self, records: Iterable[Mapping[str, str]]) -> None:
        self._log.writelines(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
        self._log.flush()


def _calls(row_ids: Sequence[str], contexts: Sequence[StepContext]) -> Iterator[dict[str, str]]:
    """Which model calls stand behind each answer."""
    for row_id, context in zip(row_ids, contexts, strict=True):
        yield from ({ROW_ID: row_id, "call_id": id_.hex()} for id_ in context.call_ids)


def _with(table: pa.Table, name: str, column: pa.ChunkedArray) -> pa.Table:
    """A table with a column, in the place of another of its name."""
    at = table.schema.get_field_index(name)
    return table.append_column(name, column) if at < 0 else table.set_column(at, name, column)


def read_log(log: Path) -> dict[str, pa.Table]:
    """What a training's rewards lacked and asked, as side files of its object; a resumed one repeats its last steps."""
    records = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()] if log.exists() else []
    errors = [{**record, "transient": False} for record in records if "error" in record]
    calls = [record for record in records if "call_id" in record]
    sides = {"errors": (errors, ERRORS), "calls": (calls, ROW_CALLS)}
    return {
        side: pa.Table.from_pylist(_each_once(found), schema=schema) for side, (found, schema) in sides.items() if found
    }


def _each_once(records: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [dict(items) for items in dict.fromkeys(tuple(record.items()) for record in records)]
