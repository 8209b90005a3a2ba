"""Arguments and options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

spec_argument: Decorator = click.argument("spec", type=click.Path(path_type=Path, dir_okay=False))

home_option: Decorator = click.option(
    "--home",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="SETWRIGHT_HOME",
    default=Path(".setwright"),
    show_default=True,
    help="Where tables, calls and the catalog are kept.",
)

json_option: Decorator = click.option("--json", "as_json", is_flag=True, help="For machines: JSON on standard output.")
