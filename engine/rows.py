"""A whole table as an operator may read it: small columns at once, large ones part by part, as often as it likes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import pyarrow as pa


class Rows(Protocol):
    """The rows of a table under the operator's own names of columns; the order of parts and rows is the table's.

    That order and the cut into parts are no one's business: results that depend on an order take that of `row_id`.
    """

    @property
    def num_rows(self) -> int:
        """How many rows there are."""
        ...

    @property
    def columns(self) -> Sequence[str]:
        """The columns that are there besides row_id: those declared, less optional ones that the table lacks."""
        ...

    def whole(self, *columns: str) -> pa.Table:
        """row_id and the named columns of all rows, in memory."""
        ...

    def parts(self, *columns: str) -> Iterator[pa.Table]:
        """row_id and the named columns, part by part, each read when it is asked for."""
        ...
