"""`setwright clean`: delete what no name points to and no recent build needs. Model calls are never deleted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from engine.cli.options import home_option
from engine.cli.text import columns, size
from engine.errors import SetwrightError

if TYPE_CHECKING:
    from engine.store import Store
