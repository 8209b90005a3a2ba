"""What ends a trainer with a message instead of a traceback."""

from __future__ import annotations


class HandoffError(Exception):
    """A hand-off folder that can't be trained on; the message says which file or row, and the cure."""
