"""What may stand in a spec's file: the keys of each mapping, their types and what they are for.

The loader reads with these and the JSON Schema for editors is made of them. Which keys go together (a table's verb and
its params, a backend and its address) is decided by the loader. Every field may be absent here, so that one missing
or wrong value doesn't hide what stands beside it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr
from pydantic.json_schema import SkipJsonSchema

VERSION = 1
NAME = r"[a-z][a-z0-9_]*"
SPEC_VERSION = 1
NAME = r"[a-z][a-z0-9_-]*"

Absent = SkipJsonSchema[None]
Text = Annotated[str, Field(min_length=1)]
Tags = list[Text]


class Form(BaseModel):
    """Base of all forms. A key without a value (`params:` and nothing after it) counts as absent."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    _broken: frozenset[str] = PrivateAttr(default=frozenset())

    def broken(self, key: str) -> bool:
        """Whether the key's value was wrong and has been reported."""
        return key in self._broken


class ModelForm(Form):
    """A model: a backend and what it needs to know."""

    use: Text | Absent = Field(None, description="The backend that answers the calls.")
    model: Text | Absent = Field(None, description="A hub name, a local path, or the name under which a server serves it.")
    revision: Text | Absent = Field(None, description="The revision on the hub: a tag or a commit.")
    base_url: Text | Absent = Field(None, description="The server's address, http(s)://HOST[:PORT]/PATH. Never fingerprinted.")
    api_key: Text | Absent = Field(None, description="The server's key, as ${NAME} of the environment. Never written to disk.")
    params: dict[str, Any] | Absent = Field(None, description="The backend's own parameters.")
    description: str | Absent = Field(None, description="What it is for; changing it rebuilds nothing.")
    tags: Tags | Absent = Field(None, description="Names for --select tag:NAME; changing them rebuilds nothing.")
    owner: str | Absent = Field(None, description="Who answers for it; changing it rebuilds nothing.")


class ScoreForm(Form):
    """A score of a table: an operator that adds columns and keeps the rows."""

    score: Text | Absent = Field(None, description="The scorer.")
    model: Text | Absent = Field(None, description="The model that the scorer asks.")
    params: dict[str, Any] | Absent = Field(None, description="The scorer's parameters.")
    columns: dict[str, Text] | Absent = Field(None, description="The scorer's column: the table's column to read for it.")
    as_: Text | Absent = Field(None, alias="as", description="Another name, for a second score by the same scorer.")


class TableForm(Form):
    """A table: exactly one of source, generate, select and sql, and what goes with it."""

    source: Text | Absent = Field(None, description="A path or glob of jsonl, json, csv, parquet or arrow files, or hf:NAME.")
    generate: Text | Absent = Field(None, description="The generator that makes the rows.")
    select: Text | Absent = Field(None, description="The selector that picks rows of `from`.")
    sql: Text | Absent = Field(None, description="A SELECT over other tables of the spec.")
    from_: Text | list[Text] | Absent = Field(None, alias="from", description="The table, or the tables, to read.")
    model: Text | Absent = Field(None, description="The model that the generator asks.")
    params: dict[str, Any] | Absent = Field(None, description="Parameters of the source, generator or selector.")
    columns: dict[str, Text] | Absent = Field(None, description="The operator's column: the table's column to read for it.")
    scores: list[Any] | Absent = Field(None, description="Scorers; each adds columns and none rebuilds another.")
    tests: list[Any] | Absent = Field(None, description="Data tests; a failing one stops everything downstream.")
    description: str | Absent = Field(None, description="What it is for; changing it rebuilds nothing.")
    tags: Tags | Absent = Field(None, description="Names for --select tag:NAME; changing them rebuilds nothing.")
    owner: str | Absent = Field(None, description="Who answers for it; changing it rebuilds nothing.")


class TestForm(Form):
    """A data test: one of these, and how much a failure means. What each takes stands in `data_tests`."""

    rows: Any = None
    unique: Any = None
    not_null: Any = None
    accepted_values: Any = None
    range: Any = None
    sql: Any = None
    severity: Literal["error", "warn"] | Absent = Field(None, description="A failing `warn` stops nothing; `error` by default.")


class RunForm(Form):
    """How to run; never part of a fingerprint."""

    runner: Literal["local"] | Absent = Field(None, description="Where the work is done.")
    workers: int | Absent = Field(None, ge=1, description="Workers for vector work; by default one a processor.")
    concurrency: int | Absent = Field(None, ge=1, description="Calls in flight to each model at most; 256 by default.")
    endpoints: dict[str, Text] | Absent = Field(None, description="A model's name: the address to use instead of its own.")


class SpecForm(Form):
    """A spec."""

    version: int | Absent = Field(None, json_schema_extra={"const": VERSION}, description="The version of this language.")
    name: Annotated[str, Field(pattern=f"^{SPEC_NAME}$")] | Absent = Field(None, description="The spec's name in the store.")
    seed: int | Absent = Field(None, ge=0, description="The seed of all random draws; 0 by default.")
    description: str | Absent = Field(None, description="What it is for; changing it rebuilds nothing.")
    models: dict[str, Any] | Absent = Field(None, description="Models by name.")
    tables: dict[str, Any] | Absent = Field(None, description="Tables by name.")
    run: dict[str, Any] | Absent = Field(None, description="How to run; never part of a fingerprint.")
