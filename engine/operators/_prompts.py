"""Prompts as templates in files: those that are shipped stand in `prompts/`, and a spec may put others in their place.

A parameter that is a template takes the text itself or `{file: PATH}`, a path from the spec's folder. What it holds is
always the text, so that a changed prompt is another table, wherever it came from. Fields are `{name}`; braces that name
no field stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Any

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationInfo
from pydantic_core import CoreSchema, core_schema

FOLDER = Path(__file__).parent / "prompts"
_FIELD = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Template:
    """Annotates a parameter that is a template: `rewrite: Annotated[str, Template("instruction")]`.

    `fields` are those that it can't do without.
    """

    fields: tuple[str, ...]

    def __init__(self, *fields: str) -> None:
        object.__setattr__(self, "fields", fields)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        text = core_schema.no_info_after_validator_function(self._whole, handler(source))
        return core_schema.with_info_before_validator_function(_read, text)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        file = {
            "type": "object", "properties": {"file": {"type": "string"}}, "required": ["file"],
            "additionalProperties": False,
        }  # fmt: skip
        return {"anyOf": [{"type": "string"}, file]}

    def _whole(self, text: str) -> str:
        lacking = [f"{{{name}}}" for name in self.fields if name not in _FIELD.findall(text)]
        if lacking:
            raise ValueError(f"the prompt needs {' and '.join(lacking)}")
        return text


def shipped(name: str) -> Any:
    """The default of a template: the text of `prompts/<name>.txt`."""
    return Field(default_factory=partial(text_of, name))


@cache
def text_of(name: str) -> str:
    """A shipped template, without the line break that ends its file."""
    return (FOLDER / f"{name}.txt").read_text(encoding="utf-8").removesuffix("\n")


def fill(template: str, values: Mapping[str, str]) -> str:
    """A template with its fields filled; braces that name none, and those of the values, stay."""
    parts = list(_cut(template))
    parts[1::2] = [values.get(name, f"{{{name}}}") for name in parts[1::2]]
    return "".join(parts)


@lru_cache(maxsize=256)
def _cut(template: str) -> tuple[str, ...]:
    """A template's texts, and between them the names of its fields."""
    return tuple(_FIELD.split(template))


def _read(value: Any, info: ValidationInfo) -> Any:
    """The text of a file that stands in the place of a text."""
    if not isinstance(value, dict):
        return value
    if set(value) != {"file"} or not isinstance(value["file"], str):
        raise ValueError("a prompt is a text, or {file: PATH}")
    path = Path((info.context or {}).get("folder", ".")) / value["file"]
    try:
        return path.read_text(encoding="utf-8").removesuffix("\n")
    except (OSError, UnicodeDecodeError) as e:
        raise ValueError(f"can't read the prompt {path}: {e}") from e
