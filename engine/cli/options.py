"""What the commands share: arguments, options, and a quick start."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any

import click

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


class NoPandas(MetaPathFinder):
    """While it is asked, there is no pandas."""

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> None:
        """Refuse pandas; have nothing to say of other modules."""
        if fullname == "pandas":
            raise ImportError("not needed by the command line")


class Command(click.Command):
    """A command that keeps pandas out of its process.

    pyarrow looks for pandas when the first array is made, and importing it takes a second that no command has a use
    for. pyarrow remembers that it found none; whoever imports pandas later (`datasets` does) gets it all the same.
    """

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        if "pyarrow" not in sys.modules and "pandas" not in sys.modules:
            finder = NoPandas()
            sys.meta_path.insert(0, finder)
            import pyarrow as pa

            pa.array([])
            sys.meta_path.remove(finder)
        return super().invoke(ctx)


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
