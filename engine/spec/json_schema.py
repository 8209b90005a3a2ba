"""The JSON Schema of specs for editors (draft 2020-12), made of the loader's own forms and the registry.

It knows what can be known without the rest of the spec: keys, types, the names of operators and backends and their
params. Names of tables, columns and models are the loader's business.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel

from engine.needs import MODEL
from engine.operator import Kind
from engine.registry import backend, backend_names, operator, operator_names
from engine.spec.data_tests import DATA_TESTS
from engine.spec.forms import (
    NAME,
    ChangeForm,
    HandoffForm,
    ModelForm,
    RoundsForm,
    RunForm,
    ScoreForm,
    SpecForm,
    TableForm,
    TestForm,
)
from engine.spec.tables import VERBS, source_params

Schema = dict[str, Any]

_REFERENCE: Schema = {"type": "string", "pattern": r"^\$\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\}$"}
"""A value that is read from the environment."""

_SERVED = {"model", "revision", "base_url", "api_key"}
_TRAINED = {"base", "data", "columns"}
"""The keys that only a model that is used takes, and only one that is trained."""


def json_schema() -> Schema:
    """The schema of a whole spec."""
    defs: dict[str, Schema] = {}
    spec = _of(SpecForm, "", defs)
    properties = spec["properties"]
    properties["models"] |= {"propertyNames": {"pattern": f"^{NAME}$"}, "additionalProperties": _model(defs)}
    properties["tables"] |= {
        "propertyNames": {"pattern": f"^{NAME}$"},
        "additionalProperties": _table(defs),
        "minProperties": 1,
    }
    properties["handoffs"] |= {"propertyNames": {"pattern": f"^{NAME}$"}, "additionalProperties": _handoff(defs)}
    properties["rounds"] = _rounds(defs)
    properties["run"] = _of(RunForm, "run", defs)
    spec |= {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "A Setwright spec"}
    spec["anyOf"] = [{"required": ["tables"]}, {"required": ["rounds"]}]
    return spec | {"required": ["version", "name"], "$defs": defs}


def _model(defs: dict[str, Schema]) -> Schema:
    schema = _of(ModelForm, "model", defs)
    schema["oneOf"] = [{"required": ["use"]}, {"required": ["train"]}]
    schema["properties"]["use"] |= {"enum": list(backend_names())}
    schema["allOf"] = []
    for name in backend_names():
        found = backend(name)
        refused = (_SERVED - found.requires - found.accepts) | _TRAINED
        needed = found.requires - {"base_url"}  # which run.endpoints may give instead
        params = _of(found.Params, f"use.{name}", defs)
        schema["allOf"].append(_when("use", name, params, needed, refused))
    schema["properties"]["train"] |= {"enum": list(operator_names(Kind.TRAIN))}
    for name in operator_names(Kind.TRAIN):
        params = _of(operator(Kind.TRAIN, name).params, f"train.{name}", defs)
        schema["allOf"].append(_when("train", name, params, {"base", "data"}, _SERVED))
        scored = defs.get(f"train.{name}.ScoreReward")
        if scored is not None:  # which names its scorer as a score of a table does
            scored["allOf"] = []
            _operators(Kind.SCORE, scored, defs)
    return schema


def _table(defs: dict[str, Schema]) -> Schema:
    schema = _of(TableForm, "table", defs)
    properties = schema["properties"]
    properties["scores"]["items"] = _score(defs)
    properties["tests"]["items"] = _test(defs)
    schema["oneOf"] = [{"required": [verb]} for verb in VERBS]
    source = _when("source", None, _of(source_params(), "source", defs), (), ("from", "model", "columns"))
    query = _when("sql", None, {}, (), ("from", "model", "columns", "params"))
    schema["allOf"] = [source, query]
    for kind in (Kind.GENERATE, Kind.SELECT):
        _operators(kind, schema, defs)
    return schema


def _rounds(defs: dict[str, Schema]) -> Schema:
    """Rounds hold models and tables as a spec does; what changes in one of them is any part of a node."""
    schema, change = _of(RoundsForm, "rounds", defs), _of(ChangeForm, "change", defs)
    for kind in ("models", "tables"):
        node = {"$ref": f"#/properties/{kind}/additionalProperties"}
        schema["properties"][kind] |= {"propertyNames": {"pattern": f"^{NAME}$"}, "additionalProperties": node}
    schema["properties"]["tables"]["minProperties"] = 1
    schema["properties"]["change"]["items"] = change | {"required": ["round"]}
    return schema | {"required": ["count", "tables"]}


def _handoff(defs: dict[str, Schema]) -> Schema:
    schema = _of(HandoffForm, "handoff", defs)
    schema["required"] = ["data", "format", "base"]
    schema["properties"]["format"] |= {"enum": list(operator_names(Kind.TRAIN))}
    schema["allOf"] = [
        _when("format", name, _of(operator(Kind.TRAIN, name).params, f"format.{name}", defs), (), ())
        for name in operator_names(Kind.TRAIN)
    ]
    return schema


def _score(defs: dict[str, Schema]) -> Schema:
    schema = _of(ScoreForm, "score", defs)
    schema["required"] = ["score"]
    schema["allOf"] = []
    _operators(Kind.SCORE, schema, defs)
    return {"anyOf": [schema["properties"]["score"], schema]}


def _operators(kind: Kind, schema: Schema, defs: dict[str, Schema]) -> None:
    """Name the operators of a kind, each with what it does, and its params under the condition of its name."""
    found = [operator(kind, name) for name in operator_names(kind)]
    schema["properties"][kind.value] |= {"oneOf": [{"const": o.name, "description": o.doc} for o in found]}
    for o in found:
        params = _of(o.params, f"{kind}.{o.name}", defs)
        roles = o.roles_of(o.params.model_construct())
        asks = {"model"} if roles.keys() == {MODEL} else {"models"} if roles else set()
        reads = set() if kind is Kind.SCORE or o.roots is not None else {"from"}
        sides = {"with"} if any(not side.optional for side in o.sides.values()) else set()
        refused = {"model", "models"} - asks | ({"with"} if not o.sides else set())
        schema["allOf"].append(_when(kind.value, o.name, params, reads | asks | sides, refused))


def _test(defs: dict[str, Schema]) -> Schema:
    schema = _of(TestForm, "test", defs)
    for name, arguments in DATA_TESTS.items():
        schema["properties"][name] = _of(arguments, f"test.{name}", defs)
    schema["oneOf"] = [{"required": [name]} for name in DATA_TESTS]
    return schema


def _when(key: str, name: str | None, params: Schema, needed: Iterable[str], refused: Iterable[str]) -> Schema:
    """If `key` is there (and says `name`): the params, the keys that must be there, and those that must not."""
    condition: Schema = {"required": [key]} | ({} if name is None else {"properties": {key: {"const": name}}})
    required = [*sorted(needed), *(["params"] if params.get("required") else [])]
    return {
        "if": condition,
        "then": {"required": required, "properties": {"params": params} | dict.fromkeys(sorted(refused), False)},
    }


def _of(model: type[BaseModel], prefix: str, defs: dict[str, Schema]) -> Schema:
    """A model's schema; the definitions that it refers to go to `defs` under a name that is this model's alone."""
    schema = model.model_json_schema(ref_template=f"#/$defs/{prefix}.{{model}}")
    for name, definition in schema.pop("$defs", {}).items():
        defs[f"{prefix}.{name}"] = _readable(definition)
    readable: Schema = _readable(schema)
    return readable


def _readable(schema: Any) -> Any:
    """Without pydantic's titles and null defaults; where more than any text is wanted, the environment may give it."""
    if isinstance(schema, list):
        return [_readable(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: _readable(item) for key, item in schema.items() if key != "title" and (key, item) != ("default", None)}
    if "properties" in schema:  # whose keys are names, not words of JSON Schema
        kept["properties"] = {name: _readable(item) for name, item in schema["properties"].items()}
    if kept.get("type") in ("integer", "number", "boolean") or kept.keys() & {"enum", "const", "pattern"}:
        notes = {key: kept.pop(key) for key in ("description", "default") if key in kept}
        return {"anyOf": [kept, _REFERENCE]} | notes
    return kept
