"""The command line: one file a command. Nothing heavy is imported before a command needs it."""

from __future__ import annotations

import importlib
import sys
import traceback

import click

from engine import __version__
from engine.errors import ExitCode, SetwrightError

COMMANDS = (
    "init", "plan", "build", "show", "sql", "why", "diff", "test", "lab", "plateau", "train", "handoff", "ops",
    "doctor", "clean",
)  # fmt: skip
"""In the order of a user's work; `NAME` is `engine.cli.NAME.command`."""


class Commands(click.Group):
    """Imports a command's file when it is called or listed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands in the order of a user's work."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, or None."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"engine.cli.{cmd_name}").command
        return command


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="setwright")
def cli() -> None:
    """Setwright: declarative data sets for aligning language models.

    A spec in YAML names tables and models; the engine plans, builds only what is missing, remembers every model call
    and explains every row. Start with `setwright init`.

    Exit codes: 0 done; 1 finished with failing tests or rows; 2 wrong usage, bad spec or crash; 3 stopped at a
    budget; 130 interrupted.
    """


def main() -> None:
    """Run the command line; errors that a user can mend are printed without a traceback."""
    try:
        sys.exit(cli.main(standalone_mode=False) or 0)
    except SetwrightError as e:
        click.echo(str(e), err=True)
        sys.exit(e.exit_code)
    except click.ClickException as e:
        e.show()
        sys.exit(ExitCode.USAGE)
    except click.Abort:
        sys.exit(ExitCode.INTERRUPTED)
    except BrokenPipeError:  # `| head`
        sys.stderr.close()
        sys.exit(ExitCode.DONE)
    except Exception:
        traceback.print_exc()
        click.echo("setwright crashed; what was finished is kept. Please report the lines above.", err=True)
        sys.exit(ExitCode.USAGE)
