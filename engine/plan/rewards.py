"""Rewards that a build gives while a trainer runs: scorers' steps over the trainer's answers, which are no table.

An answer has the columns `prompt` (as the data has it), `messages`, `instruction` (the first turn of the user) and
`response`, and all others of its prompt's row. What a reward's number is made of is found out here; scoring is
`work.rewards`' business.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa

from engine.models._checkpoint import Checkpoint, find
from engine.needs import MODEL
from engine.operator import Kind, Params
from engine.operators.trainers._rewards import ModelReward
from engine.plan.sql import as_query, first_line, result_schema
from engine.plan.steps import Columns, Step, Verb
from engine.plan.views import Column, View, named, schema_of
from engine.registry import operator
from engine.schema import MESSAGES, PARENT_ID, ROW_ID, is_number, is_text
from engine.spec.nodes import TrainedNode

if TYPE_CHECKING:
    from engine.plan.columns import ColumnsPass

ANSWERS = "an answer"
"""In the place of a table's name: what the rewards' steps read."""

NUMBER = "number"
"""Under this name `Columns.expressions` has the SQL of a reward's number."""


def reward_steps(model: TrainedNode) -> tuple[Step, ...]:
    """The rewards of a trained model that the build gives; their names are the rewards'."""
    return tuple(
        Step(
            name=reward.name,
            verb=Verb.SCORE if reward.operator else Verb.SQL,
            table=model.name,
            sources=(ANSWERS,),
            path=("models", model.name, "params", "rewards", reward.index),
            operator=operator(Kind.SCORE, reward.operator) if reward.operator else None,
            params=reward.params,
            models_by_role=reward.models,
            mapping=reward.columns,
            text=reward.sql,
        )
        for reward in model.rewards
    )


def answer_types(prompt: pa.DataType | None) -> dict[str, pa.DataType]:
    """An answer's own columns, for prompts of a type; None where they are the beginnings of conversations."""
    asked = pa.string() if prompt is not None and is_text(prompt) else MESSAGES
    columns = dict.fromkeys((ROW_ID, "instruction", "response"), pa.string())
    return columns | {"prompt": asked, "messages": MESSAGES}


def reward_columns(walk: ColumnsPass, step: Step, reads: Mapping[str, str], table: View) -> dict[str, Columns]:
    """The columns of the rewards that the build gives a trainer; what is wrong with them is noted.

    Args:
        walk: where problems are noted.
        step: the training.
        reads: what it reads for its prompts.
        table: the rows of its prompts, whose columns a reward may read where an answer has none of the name.
    """
    own = answer_types(table[reads["prompt"]].type if "prompt" in reads else None)
    taken = {PARENT_ID, *own}  # in SQL, names are the same in upper and lower case
    view = {name: column for name, column in table.items() if name.lower() not in taken}
    answer = view | {name: Column(kind, ANSWERS) for name, kind in own.items()}
    return {reward.name: _columns(walk, reward, answer) for reward in step.rewards}


def _columns(walk: ColumnsPass, reward: Step, answer: View) -> Columns:
    """What a reward reads; `owners` are those of columns that are its prompt's and not the answer's."""
    if reward.operator is not None and reward.operator.by_table:
        walk.problem(reward, ("score",), f"{reward.label} looks at a whole table, and can't judge an answer by itself")
    reads = {} if reward.operator is None else walk.reads(reward, answer)
    writes = {} if reward.operator is None else walk.declared(reward)
    whole = answer | {name: Column(kind, reward.name) for name, kind in writes.items()}
    text, wrong = _number(reward, writes, whole)
    if wrong:
        walk.problem(reward, ("sql" if reward.operator is None else "column",), wrong)
    used = [*reads.values(), *(named(text, whole) if not wrong else ())]
    owners = {name: answer[name].owner for name in used if name in answer and name not in writes}
    theirs = {name: owner for name, owner in owners.items() if owner != ANSWERS}
    return Columns(reads, {NUMBER: text}, theirs, writes)


def _number(reward: Step, writes: Mapping[str, pa.DataType], whole: View) -> tuple[str, str]:
    """The SQL of a reward's number, and what is wrong with it: nothing where it is right."""
    if reward.text is None and len(writes) != 1:
        return "", f"missing ({reward.label} writes {', '.join(writes)}: say which of them, or what of them)"
    text = f'"{next(iter(writes))}"' if reward.text is None else reward.text
    try:
        (found,) = result_schema(as_query(text), {"given": schema_of(whole)})
    except duckdb.Error as e:
        return text, first_line(e)
    if is_number(found.type) or pa.types.is_boolean(found.type):
        return text, ""
    return text, f"a reward is a number, and this is {found.type}"


def reward_bodies(step: Step, columns: Columns, asked: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """What is hashed of the rewards besides the trainer's params: scorers, what they read, and the models they ask."""
    bodies: dict[str, dict[str, Any]] = {}
    for reward in step.rewards:
        if reward.operator is None:
            continue
        params = {} if reward.params is None else reward.params.model_dump(mode="json")
        reads = dict(columns.rewards[reward.name].reads)
        name = f"{reward.operator.kind}/{reward.operator.name}"
        body = {"operator": name, "version": reward.operator.version, "params": params, "reads": reads}
        bodies[reward.name] = body | models_body(reward, asked)
    return bodies


def models_body(step: Step, asked: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """What is hashed of the models that a step asks, from what is hashed of each."""
    if not step.models_by_role:
        return {}
    models = {role: asked[model] for role, model in step.models_by_role.items()}
    return {"model": models[MODEL]} if models.keys() == {MODEL} else {"models": models}


def classifiers(params: Params | None, folder: Path) -> Iterator[tuple[ModelReward, Checkpoint]]:
    """The classifiers that a trainer loads itself, and where they are.

    Raises:
        SetwrightError: one is neither a folder, from the spec's `folder`, nor on the hub.
    """
    for reward in getattr(params, "rewards", ()):
        if isinstance(reward, ModelReward):
            yield reward, find(reward.model, reward.revision, folder)
