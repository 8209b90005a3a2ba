"""Python's collector of cycles while a build has thousands of rows in flight. Nothing here knows what a build is."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def rare_collections() -> Iterator[None]:
    """Let the cycle collector look rarely, and not at what was there before.

    Thousands of rows in flight are a million live objects; looking through them again and again took a fifth of the
    time of a call, and they are freed by counting references.
    """
    thresholds = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()
