"""The name of a spec, read without checking the rest of it: a catalog can be asked while the spec is being mended."""

from __future__ import annotations

from pathlib import Path

from engine.errors import SetwrightError


def spec_name(path: Path) -> str:
    """The `name:` of a spec file.

    Raises:
        SetwrightError: the file can't be read, or has no name.
    """
    from engine.spec.document import Document

    data = Document.read(path).data
    if not isinstance(data, dict) or not isinstance(data.get("name"), str):
        raise SetwrightError(f"{path}: the spec has no name", cure="add `name: ...` on its first lines")
    return str(data["name"])
