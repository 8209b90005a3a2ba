"""The stop rule of rounds: a question in SQL that is asked after each of them, and that the next one waits for."""

from __future__ import annotations

from engine.names import STOP_RULE, round_of
from engine.spec.composer import Keys
from engine.spec.forms import RoundsForm
from engine.spec.nodes import StopRule
from engine.spec.scope import Scope, SqlText

PATH: Keys = ("rounds", "until")


def ask_stop_rule(rounds: RoundsForm | None, scope: Scope) -> None:
    """Note the query of each question, to be read with those of the tables."""
    if rounds is None or rounds.until is None:
        return
    for number in _asked_after(scope):
        name = f"{STOP_RULE}@{number}"
        scope.edges[name] = {}
        scope.queries.append(SqlText(PATH, rounds.until, name))


def wait_for_stop_rule(scope: Scope) -> None:
    """Note that all nodes of a round stand on the question that is asked after the round before."""
    asked = {number: f"{STOP_RULE}@{number}" for number in _asked_after(scope)}
    place = scope.problems.document.place(PATH)
    for node, edges in scope.edges.items():
        question = asked.get((round_of(node) or 0) - 1)
        if question in scope.edges:
            edges[question] = (PATH, place)


def stop_rules(rounds: RoundsForm | None, scope: Scope) -> tuple[StopRule, ...]:
    """The questions as steps, once all SQL has been read."""
    if rounds is None or rounds.until is None:
        return ()
    names = [f"{STOP_RULE}@{number}" for number in _asked_after(scope)]
    return tuple(StopRule(name, rounds.until, scope.tables_of(name), scope.names.get(name, {})) for name in names)


def _asked_after(scope: Scope) -> range:
    """The rounds after which it is asked: none needs to ask after the last that may be."""
    return range(1, min(scope.loop.built, scope.loop.count - 1) + 1)
