"""`setwright init`: a starter project, copied from a shipped spec with the data that it reads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from engine.cli.options import Command
from engine.cli.text import columns, shorten
from engine.errors import SetwrightError, did_you_mean


@click.command(cls=Command)
@click.argument("directory", metavar="[DIR]", type=click.Path(path_type=Path, file_okay=False), default=Path())
@click.option("--from", "name", metavar="NAME", default="curate", show_default=True, help="The spec to start from.")
@click.option("--list", "listing", is_flag=True, help="List the specs to start from.")
def command(directory: Path, name: str, listing: bool) -> None:
    """Write a spec and the small data file that it reads into DIR (default: here). Never overwrites a file."""
    from engine.assets import folder

    shipped = {path.stem: path for path in sorted(folder("specs").glob("*.yaml"))}
    if listing:
        click.echo(columns(("name", "what it does"), [(n, _description(path)) for n, path in shipped.items()]))
        return
    if name not in shipped:
        raise SetwrightError(
            f"no shipped spec {name!r}{did_you_mean(name, shipped)}", cure="see `setwright init --list`"
        )
    written = _copy(shipped[name], directory)
    click.echo("\n".join(f"wrote {path}" for path in written))
    click.echo(_next_steps(written[0]))


def _description(spec: Path) -> str:
    from engine.spec.document import Document

    return shorten(Document.read(spec).data.get("description", ""))


def _copy(spec: Path, directory: Path) -> list[Path]:
    """Copy a spec and its data, with the spec first; nothing is written if any of the files is there already.

    Raises:
        SetwrightError: a file would be overwritten, or can't be written.
    """
    sources = [spec, *_data_files(spec)]
    targets = [directory / source.relative_to(spec.parent) for source in sources]
    there = [str(target) for target in targets if target.exists()]
    if there:
        raise SetwrightError(f"already there: {', '.join(there)}", cure="name another DIR; nothing was written")
    for source, target in zip(sources, targets, strict=True):
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as f:  # x: fails where somebody was faster
                f.write(source.read_bytes())
        except OSError as e:
            raise SetwrightError(f"can't write {target}: {e.strerror}", cure="name another DIR") from e
    return targets


def _data_files(spec: Path) -> Iterator[Path]:
    """The files beside a spec that its tables read unless the environment says otherwise."""
    from engine.spec.document import Document
    from engine.spec.environment import Reader
    from engine.spec.problems import Problems

    document = Document.read(spec)
    plain = Reader(Problems(document), {}).read(document.data)
    for table in plain["tables"].values():
        source = table.get("source")
        if isinstance(source, str) and not source.startswith("hf:"):
            yield from sorted(spec.parent.glob(source))


def _next_steps(spec: Path) -> str:
    steps = [
        (f"  setwright plan {spec}", "what a build would do, and why"),
        (f"  setwright build {spec}", "do it"),
        (f"  setwright show {spec}", "the tables that came of it"),
        (f"  setwright sql {spec} funnel", "what became of the rows"),
    ]
    return "\n" + columns(("Next:", ""), steps)
