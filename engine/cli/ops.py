"""`setwright ops`: the operators, source formats, shapes and model backends that a spec can use."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from engine.cli.options import Command, json_option
from engine.cli.text import columns, echo_json
from engine.errors import SetwrightError, did_you_mean

if TYPE_CHECKING:
    import pyarrow as pa
    from pydantic import BaseModel

    from engine.needs import Reads

Record = dict[str, Any]
BOUNDS = {
    "minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<", "minLength": "length >=",
    "minItems": "items >=", "pattern": "matching",
}  # fmt: skip


@click.command(cls=Command)
@click.argument("name", required=False)
@json_option
def command(name: str | None, as_json: bool) -> None:
    """List what a spec can use; with NAME, all that is to be known of it: what it reads and writes, its parameters."""
    known = list(_known())
    if name is None:
        records = [describe() for _, _, describe in known]
        click.echo(_listing(records)) if not as_json else echo_json(records)
        return
    found = [describe() for _, n, describe in known if n == name]
    if not found:
        hint = did_you_mean(name, {n for _, n, _ in known})
        raise SetwrightError(
            f"there is no operator, format, shape or backend {name!r}{hint}", cure="see `setwright ops`"
        )
    click.echo("\n\n\n".join("\n".join(_details(record)) for record in found)) if not as_json else echo_json(found)


def _known() -> Iterator[tuple[str, str, Callable[[], Record]]]:
    """Everything there is, by the word that a spec writes before its name."""
    from engine.operator import Kind
    from engine.registry import backend_names, operator_names
    from engine.shapes import SHAPES

    for name in operator_names(Kind.SOURCE):
        yield "source", name, partial(_module, "source", name, f"engine.operators.sources.{name}")
    for name in SHAPES:
        yield "shape", name, partial(_module, "shape", name, f"engine.shapes.{name}")
    for kind in (Kind.GENERATE, Kind.SCORE, Kind.SELECT, Kind.TRAIN):
        for name in operator_names(kind):
            yield kind, name, partial(_operator, kind, name)
    for name in backend_names():
        yield "use", name, partial(_backend, name)


def _module(kind: str, name: str, module: str) -> Record:
    return {"kind": kind, "name": name, "doc": inspect.getdoc(importlib.import_module(module)) or ""}


def _operator(kind: str, name: str) -> Record:
    from engine.needs import MODEL
    from engine.registry import operator

    found = operator(kind, name)
    # The columns may depend on parameters: those shown are of the defaults.
    params = found.params.model_construct()
    roles = found.roles_of(params)
    return {
        "kind": str(found.kind),
        "name": name,
        "version": found.version,
        "doc": inspect.getdoc(found.fn) or "",
        "needs": [] if roles.keys() != {MODEL} else sorted(roles[MODEL].needs),
        "models": [
            {"role": role, "needs": sorted(wanted.needs), "default": wanted.default}
            for role, wanted in roles.items()
            if role != MODEL
        ],
        "seeded": found.seeded,
        "reads": list(_reads(found.reads_of(params))),
        "with": [
            {"name": side, "optional": of.optional, "reads": list(_reads(of.reads))} for side, of in found.sides.items()
        ],
        "writes": [{"name": n, "type": _arrow(t)} for n, t in found.writes_of(params, None).items()],
        "params": list(_params(found.params, found.expressions)),
        "params_doc": inspect.getdoc(found.params) if found.params.model_fields else "",
    }


def _reads(reads: Mapping[str, Reads]) -> Iterator[Record]:
    for name, column in reads.items():
        columns = list(column.default or (name,))
        yield {"name": name, "type": str(column.type), "columns": columns, "optional": column.optional}


def _backend(name: str) -> Record:
    from engine.registry import backend

    found = backend(name)
    return {
        "kind": "use",
        "name": name,
        "doc": inspect.getdoc(inspect.getmodule(found)) or "",
        "offers": sorted(found.offers),
        "requires": sorted(found.requires),
        "accepts": sorted(found.accepts),
        "params": list(_params(found.Params)),
        "params_doc": inspect.getdoc(found.Params) or "",
    }


def _arrow(kind: pa.DataType) -> str:
    """The type's name; the length of an embedding is its model's."""
    from engine.schema import EMBEDDING_TYPE, is_embedding

    return str(EMBEDDING_TYPE) if is_embedding(kind) else str(kind)


def _params(model: type[BaseModel], expressions: tuple[str, ...] = ()) -> Iterator[Record]:
    properties = model.model_json_schema().get("properties", {})
    for name, field in model.model_fields.items():
        yield {
            "name": name,
            "type": "SQL expression" if name in expressions else _type(properties[name]),
            "required": field.is_required(),
            "default": _plain(None if field.is_required() else field.get_default(call_default_factory=True)),
            "description": field.description or "",
        }


def _plain(default: Any) -> Any:
    """A default that JSON can hold."""
    return default.model_dump(mode="json") if hasattr(default, "model_dump") else default


def _type(schema: Mapping[str, Any]) -> str:
    """A JSON Schema type in a few words: `integer >= 1`, `list of string`."""
    if "enum" in schema:
        return " | ".join(str(value) for value in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(_type(option) for option in schema["anyOf"] if option.get("type") != "null")
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    known = "list of " + _type(schema["items"]) if "items" in schema else schema.get("type", schema.get("const", "any"))
    return " ".join(
        [str(known), ", ".join(f"{sign} {schema[key]}" for key, sign in BOUNDS.items() if key in schema)]
    ).strip()


def _listing(records: list[Record]) -> str:
    rows = [(f"{r['kind']}: {r['name']}", _summary(r)) for r in records]
    return columns(("name", "what it does"), rows)


def _summary(record: Record) -> str:
    """The first sentence of its documentation, and what a backend offers."""
    sentence = re.split(r"\.(?:\s|$)", " ".join(record["doc"].split()))[0]
    sentence = re.sub(r"^`[^`]*`: ", "", sentence)
    return f"{sentence} ({', '.join(record['offers'])})" if "offers" in record else sentence


def _details(record: Record) -> Iterator[str]:
    version = f" (version {record['version']})" if "version" in record else ""
    yield f"{record['kind']}: {record['name']}{version}"
    yield ""
    yield record["doc"]
    for key in ("needs", "offers", "requires", "accepts"):
        if record.get(key):
            yield f"\n{key}: {', '.join(record[key])}"
    if record.get("reads"):
        rows = [
            (r["name"], r["type"], " or ".join(r["columns"]) + (" (optional)" if r["optional"] else ""))
            for r in record["reads"]
        ]
        yield "\n" + columns(("reads", "type", "from the column"), rows)
    if record.get("models"):
        asked = [(m["role"], ", ".join(m["needs"]), m["default"] or "") for m in record["models"]]
        yield "\n" + columns(("models", "must offer", "else that of"), asked)
    for side in record.get("with", ()):
        rows = [(r["name"], r["type"], " or ".join(r["columns"])) for r in side["reads"]]
        optional = " (optional)" if side["optional"] else ""
        yield "\n" + columns((f"with {side['name']}{optional}", "type", "from the column"), rows)
    if record.get("writes"):
        yield "\n" + columns(("writes", "type"), [(w["name"], w["type"]) for w in record["writes"]])
    if record.get("params"):
        params = [
            (p["name"], p["type"], "required" if p["required"] else _default(p["default"]), p["description"])
            for p in record["params"]
        ]
        yield "\n" + columns(("params", "type", "default", ""), params)
        yield f"\n{record['params_doc']}"


def _default(value: Any) -> str:
    text = "none" if value is None else ", ".join(value) if isinstance(value, dict) else str(value)
    return text if len(text) <= 40 else text[:37] + "..."
