"""Progress: a live table on a terminal, a line per interval elsewhere, nothing where a machine reads."""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING

import click

from engine.cli.text import count, seconds

if TYPE_CHECKING:
    from rich.table import Table

    from engine.plan.steps import Plan
    from engine.progress import Monitor, Progress

INTERVAL_S = 5.0
REFRESH_S = 0.25


class Live:
    """Shows a build's counters from a thread of its own, so that showing never slows the work."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._done = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Live:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        if self._thread is not None:
            self._thread.join()

    def watch(self, plan: Plan, monitor: Monitor) -> None:
        """Begin to show; called once before the first step."""
        if self._quiet or not plan.pending():
            return
        show = self._table if sys.stderr.isatty() else self._lines
        self._thread = threading.Thread(target=show, args=(monitor,), name="progress", daemon=True)
        self._thread.start()

    def _table(self, monitor: Monitor) -> None:
        from rich.console import Console
        from rich.live import Live as RichLive

        with RichLive(_render(monitor), console=Console(stderr=True), refresh_per_second=4, transient=True) as live:
            while not self._done.wait(REFRESH_S):
                live.update(_render(monitor))

    def _lines(self, monitor: Monitor) -> None:
        while not self._done.wait(INTERVAL_S):
            running = [(name, p) for name, p in list(monitor.steps.items()) if p.state == "running"]
            for name, p in running:
                click.echo(f"{name}: {count(p.done)} of {count(p.rows)} {p.unit}, {_rates(p)}", err=True)


def _render(monitor: Monitor) -> Table:
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for header in ("step", "state", "rows", "calls/s", "tokens/s", "known", "left"):
        table.add_column(header, justify="left" if header in ("step", "state") else "right")
    for name, p in list(monitor.steps.items()):
        rows = f"{count(p.done)} / {count(p.rows)}{'' if p.unit == 'rows' else f' {p.unit}'}" if p.rows else ""
        state = f"{p.state}: {p.note}" if p.state == "running" and p.note else str(p.state)
        calls, tokens = _per_second(p)
        table.add_row(name, state, rows, calls, tokens, count(p.tally.cached) if p.tally.cached else "", _left(p))
    return table


def _rates(p: Progress) -> str:
    calls, tokens = _per_second(p)
    parts = [
        f"{calls} calls/s, {tokens} tokens/s" if calls else "",
        p.note,
        f"{count(p.tally.cached)} known" if p.tally.cached else "",
    ]
    return ", ".join(
        [*filter(None, parts), f"{_left(p) or seconds(p.seconds)} left" if _left(p) else seconds(p.seconds)]
    )


def _per_second(p: Progress) -> tuple[str, str]:
    if not p.tally.sent or not p.seconds:
        return "", ""
    return f"{p.tally.sent / p.seconds:,.0f}", f"{(p.tally.tokens_in + p.tally.tokens_out) / p.seconds:,.0f}"


def _left(p: Progress) -> str:
    """The time left at the pace so far."""
    if p.state != "running" or not p.rows or not p.done or p.started is None:
        return ""
    return seconds((time.time() - p.started) * max(p.rows - p.done, 0) / p.done)
