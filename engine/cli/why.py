"""`setwright why`: the life of one row, told from its oldest ancestor to the selection that kept or dropped it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from engine.cli.options import Command, home_option, json_option, spec_argument
from engine.cli.text import count, echo_json, seconds, shorten
from engine.errors import SetwrightError

if TYPE_CHECKING:
    from engine.explore.life import Life, RowCall, RowVerdict, Stage

WIDTH = 100


@click.command(cls=Command)
@spec_argument
@click.argument("table")
@click.argument("row_id")
@home_option
@json_option
def command(spec: Path, table: str, row_id: str, home: Path, as_json: bool) -> None:
    """Tell the life of a row of TABLE, also of one that a selection dropped from it.

    ROW_ID may be the first characters of an id. Shown are the rows that it came from, the model calls behind it,
    every score with the step that wrote it, and every selection that saw it, with the row that displaced it.
    """
    from engine.catalog import connect
    from engine.cli.spec_name import spec_name
    from engine.explore.why import life
    from engine.ledger import Ledger
    from engine.store import Store

    if not (home / "objects").exists():
        raise SetwrightError(f"nothing is built under {home}", cure=f"setwright build {spec}")
    store, name, ledger = Store(home), spec_name(spec), Ledger(home)
    try:
        with connect(store, ledger, name) as con:
            found = life(store, con, name, table, row_id)
    finally:
        ledger.close()
    if as_json:
        echo_json(dataclasses.asdict(found))
    else:
        click.echo("\n".join(render(found)))


def render(life: Life) -> Iterator[str]:
    """The lines of a life: a paragraph for each table."""
    yield f"row {life.row_id} of {life.table}"
    for stage in life.stages:
        yield ""
        yield from _stage(stage)
    if life.failures:
        yield ""
        for failure in life.failures:
            again = " (the next build tries again)" if failure.transient else ""
            yield f"failed in {failure.step}{again}: {shorten(failure.error, WIDTH)}"


def _stage(stage: Stage) -> Iterator[str]:
    yield f"{stage.table}  {stage.label}{_settings(stage.params)}"
    if stage.verdict is not None:
        yield from _verdict(stage.verdict)
    else:
        yield f"  row_id: {stage.row_id}"
        yield from _fields(stage.row, "  ")
    yield from _calls(stage)
    for score in stage.scores:
        values = ", ".join(f"{name} {_short(value)}" for name, value in score.values.items())
        yield f"  {score.step} ({score.label}): {values}"


def _settings(params: Mapping[str, Any]) -> str:
    given = [f"{name}: {shorten(value, 60)}" for name, value in params.items() if value not in (None, "", [], {})]
    return f" ({', '.join(given)})" if given else ""


def _verdict(verdict: RowVerdict) -> Iterator[str]:
    if verdict.selected:
        yield f"  kept, rank {verdict.select_rank}"
    else:
        yield f"  dropped: {verdict.drop_reason}"
    if verdict.nn_id is not None:
        said = "nearest earlier pick" if verdict.selected else "displaced by"
        yield f"  {said} {verdict.nn_id}, similarity {_short(verdict.nn_sim)}"
        yield from _fields(verdict.other or {}, "    ")


def _fields(row: Mapping[str, Any], indent: str) -> Iterator[str]:
    """A row's columns but for the empty ones, and without `messages` where its turns stand beside it."""
    hidden = {"row_id", "parent_id"} | ({"messages"} if row.get("instruction") or row.get("response") else set())
    for name, value in row.items():
        if value not in (None, "") and name not in hidden:
            yield f"{indent}{name}: {_short(value)}"


def _calls(stage: Stage) -> Iterator[str]:
    """The calls; those that answered a row's siblings are only counted where the row's own are known."""
    own = [call for call in stage.calls if call.made or call.step != stage.table]
    siblings = [call for call in stage.calls if call not in own]
    if not any(call.made for call in own):
        own, siblings = list(stage.calls), []
    for call in own:
        yield from _call(call)
    if siblings:
        yield f"  {len(siblings)} more calls for the same parent: {', '.join(c.call_id for c in siblings)}"


def _call(call: RowCall) -> Iterator[str]:
    tokens = f"{count(call.tokens_in)} tokens in, {count(call.tokens_out)} out"
    yield f"  call {call.call_id} by {call.step}: {call.model}, {call.kind}, {tokens}, {seconds(call.latency_s)}"
    yield f"    at {call.at:%Y-%m-%d %H:%M:%S} UTC, in build {call.build}"
    yield f"    asked: {_asked(call.request)}"
    if call.error is not None:
        yield f"    failed: {shorten(call.error, WIDTH)}"
    else:
        made = f" (the row's {call.made})" if call.made else ""
        yield f"    answered{made}: {_answered(call.response or {})}"


def _asked(request: Mapping[str, Any]) -> str:
    """What was asked: of a conversation its last turn, which the others lead up to."""
    if request.get("messages"):
        turns = request["messages"]
        before = f" (after {len(turns) - 1} other turns)" if len(turns) > 1 else ""
        return _turn(turns[-1]) + before
    given = (request.get(key) for key in ("prompt", "context", "continuation", "candidates", "text"))
    return " -> ".join(shorten(value, WIDTH) for value in given if value is not None)


def _answered(response: Mapping[str, Any]) -> str:
    given = (response.get(key) for key in ("text", "value", "logprobs", "tool_calls"))
    return ", ".join(_short(value) for value in given if value is not None)


def _turn(message: Mapping[str, Any]) -> str:
    return f"{message.get('role')}: {shorten(message.get('content'), WIDTH)}"


def _short(value: Any) -> str:
    """A value on one line: numbers to 4 digits, vectors by their length, conversations turn by turn."""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list) and value:
        if all(isinstance(item, float) for item in value):
            return f"[{len(value)} numbers]"
        if all(isinstance(item, dict) and "role" in item for item in value):
            return " / ".join(_turn(message) for message in value)
    return shorten(value, WIDTH)
