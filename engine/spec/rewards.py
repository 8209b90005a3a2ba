"""Rewards that the build itself gives while a trainer runs: scores of its answers, and SQL expressions over them.

They are read as a table's scores are. What else may stand among a trainer's `rewards` is its own params' business.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from engine.operator import Kind
from engine.spec.composer import Keys
from engine.spec.forms import HandoffForm, ModelForm, ScoreForm
from engine.spec.nodes import RewardNode
from engine.spec.scope import Scope, SqlText
from engine.spec.uses import read_use
from engine.spec.validate import read_form

ASKED = ("score", "model", "models", "params", "columns")
"""What a reward says as a score does."""


def read_rewards(node: str, form: ModelForm, path: Keys, scope: Scope) -> tuple[RewardNode, ...]:
    """The rewards of a trained model that the build gives and that have no problems of their own."""
    found = [_read(node, i, item, (*path, "params", "rewards", i), scope) for i, item in _served(form)]
    return tuple(reward for reward in found if reward is not None)


def refuse_rewards(form: HandoffForm, path: Keys, scope: Scope) -> None:
    """A hand-off trains where this engine isn't: what it would have to give is refused."""
    for i, item in _served(form):
        key = "score" if "score" in item else "sql"
        scope.problems.add(
            (*path, "params", "rewards", i, key),
            f"a reward by {key} is given by the build, and a hand-off trains elsewhere; write it with use: length, "
            "model or command, or train here: a model with train: " + str(form.format),
            of="key",
        )


def _served(form: ModelForm | HandoffForm) -> Iterator[tuple[int, dict[str, Any]]]:
    """The items that a build gives, and their places; those that are no rewards at all are reported with the params."""
    items = (form.params or {}).get("rewards")
    if isinstance(items, list):
        yield from (
            (i, item) for i, item in enumerate(items) if isinstance(item, dict) and ("score" in item or "sql" in item)
        )


def _read(node: str, index: int, item: dict[str, Any], path: Keys, scope: Scope) -> RewardNode | None:
    key = "column" if "score" in item else "sql"
    text, name = item.get(key), item.get("name")
    if isinstance(text, str) and text:
        scope.expressions.append(SqlText((*path, key), text, node))
    if key == "sql":
        return RewardNode(str(name), index, text) if isinstance(text, str) else None
    said = {key: value for key, value in item.items() if key in ASKED}
    form = read_form(ScoreForm, said, path, "a reward", scope.problems)
    if form is None or form.score is None:
        return None
    use = read_use(Kind.SCORE, form.score, form, path, node, scope)
    if use.params is None:
        return None
    sql = text if isinstance(text, str) else None
    return RewardNode(str(name), index, sql, form.score, use.models, use.params, form.columns or {})
