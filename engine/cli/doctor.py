"""`setwright doctor`: whether this machine and home can build, and whether a spec's models are there."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from engine.cli.options import Command, home_option, json_option
from engine.cli.text import echo_json
from engine.errors import ExitCode

if TYPE_CHECKING:
    from engine.doctor.machine import Finding


@click.command(cls=Command)
@click.argument("spec", type=click.Path(path_type=Path, dir_okay=False), required=False)
@home_option
@json_option
def command(spec: Path | None, home: Path, as_json: bool) -> None:
    """Check this machine and the home and, with SPEC, that its models are there. Exits with 1 if a check fails.

    Changes nothing. Of variables, keys and addresses no more is shown than names, hosts and ports.
    """
    from engine.doctor.machine import check_home, check_machine

    found = [*check_machine(), *check_home(home)]
    if spec is not None:
        from engine.doctor.models import check_spec

        found += check_spec(spec)
    if as_json:
        echo_json([dataclasses.asdict(finding) for finding in found])
    else:
        click.echo("\n".join(_line(finding) for finding in found))
    sys.exit(ExitCode.FAILURES if any(finding.level == "fail" for finding in found) else ExitCode.DONE)


def _line(finding: Finding) -> str:
    said = finding.detail.replace("\n", "\n      ")
    cure = f"\n      cure: {finding.cure}" if finding.cure else ""
    return f"{finding.level:<4}  {finding.what}: {said}{cure}"
