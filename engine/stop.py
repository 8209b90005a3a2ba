"""Ending a build in good order: nothing new is begun, what is in flight is finished and kept."""

from __future__ import annotations

from engine.errors import SetwrightError


class Stopped(SetwrightError):
    """Work that was not begun, or not ended, because the build was asked to stop."""


class Stop:
    """Set once, read by everything that begins something."""

    requested = False

    def check(self, what: str) -> None:
        """Raise `Stopped` if the stop was asked for."""
        if self.requested:
            raise Stopped(f"{what} was stopped; run the same command again to go on")
