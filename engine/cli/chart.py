"""A curve and the points that it was fitted to, in plain characters."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

POINT, CURVE, MARK = "o", ".", "|"


def chart(
    curve: Callable[[np.ndarray], np.ndarray], x: np.ndarray, y: np.ndarray, mark: float, *, width: int, height: int
) -> str:
    """A grid of so many characters with its axes: points over the curve over a line that goes up at `mark`.

    Horizontally it goes from 0 to the largest share, vertically over the points and the curve. A mark beyond the
    largest share is not drawn.
    """
    across = np.linspace(0, x.max(), width)
    along = curve(across)
    low, high = min(y.min(), along.min()), max(y.max(), along.max())
    step = (high - low) / (height - 1) or 1.0
    grid = np.full((height, width), " ")

    def draw(at: np.ndarray, values: np.ndarray, sign: str) -> None:
        columns = np.rint(at / x.max() * (width - 1)).astype(int)
        grid[np.rint((high - values) / step).astype(int), columns] = sign

    if mark <= x.max():
        draw(np.full(height, mark), np.linspace(low, high, height), MARK)
    draw(across, along, CURVE)
    draw(x, y, POINT)
    labels = [f"{high:.4g}", *[""] * (height - 2), f"{low:.4g}"]
    room = max(map(len, labels))
    lines = [f"{label:>{room}} {''.join(row)}".rstrip() for label, row in zip(labels, grid, strict=True)]
    last = f"{x.max():g}"
    return "\n".join([*lines, f"{'':{room}} 0{last:>{width - 1}}"])
