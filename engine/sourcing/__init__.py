"""How data gets in: a source of the spec becomes parts of rows with ids, and a list of what could not be read.

`files` finds the inputs and says what identifies them, `read` takes them through format, shape and ids, `ids` derives
the ids, `parts` cuts. Formats are `engine.operators.sources`, shapes `engine.shapes`; where rows go is not known here.
"""

from __future__ import annotations

from engine.operators.sources._reader import Widened
from engine.sourcing.files import Source, identity, resolve
from engine.sourcing.params import SourceParams
from engine.sourcing.parts import REJECTS, SourcePart
from engine.sourcing.read import count, peek, read, read_once

__all__ = [
    "REJECTS", "Source", "SourceParams", "SourcePart", "Widened", "count", "identity", "peek", "read", "read_once",
    "resolve",
]  # fmt: skip
