"""What may stand in a spec's file: the keys of each mapping, their types and what they are for.

The loader reads with these and the JSON Schema for editors is made of them. Which keys go together (a table's verb and
its params, a backend and its address) is decided by the loader. Every key may be absent here, so that one missing or
wrong value doesn't hide what stands beside it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr
from pydantic.json_schema import SkipJsonSchema

VERSION = 1
NAME = r"[a-z][a-z0-9_]*"
SPEC_NAME = r"[a-z][a-z0-9_-]*"

Absent = SkipJsonSchema[None]
Text = Annotated[str, Field(min_length=1)]
SpecName = Annotated[str, Field(json_schema_extra={"pattern": f"^{SPEC_NAME}$"})]
Version = Annotated[int, Field(json_schema_extra={"const": VERSION})]
Seed = Annotated[int, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]


def _key(description: str, alias: str | None = None) -> Any:
    return Field(None, alias=alias, description=description)


class Form(BaseModel):
    """Base of all forms. A key without a value (`params:` and nothing after it) counts as absent."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    _broken: frozenset[str] = PrivateAttr(default=frozenset())

    def broken(self, key: str) -> bool:
        """Whether the key's value was wrong and has been reported."""
        return key in self._broken


class Described(Form):
    """Base of what can be described, tagged and owned; changing any of these rebuilds nothing."""

    description: str | Absent = _key("What it is for.")
    tags: list[Text] | Absent = _key("Names for `--select tag:NAME`.")
    owner: str | Absent = _key("Who answers for it.")


class ModelForm(Described):
    """A model: a backend and what it needs to know, or a trainer and what it trains on."""

    use: Text | Absent = _key("The backend that answers the calls.")
    train: Text | Absent = _key("The trainer that makes the model of `base` and `data`.")
    model: Text | Absent = _key("A hub name, a local path, or the name under which a server serves it.")
    revision: Text | Absent = _key("The revision on the hub: a tag or a commit.")
    base_url: Text | Absent = _key("The server's address, http(s)://HOST[:PORT]/PATH. Never fingerprinted.")
    api_key: Text | Absent = _key("The server's key, as ${NAME} of the environment. Never written to disk.")
    params: dict[str, Any] | Absent = _key("The backend's or the trainer's own parameters.")
    base: Text | Absent = _key("The model that training starts from.")
    data: Text | list[Text] | Absent = _key("The table, or the tables, to train on.")
    columns: dict[str, Text] | Absent = _key("What the trainer reads: the table's column to read for it.")


class ScoreForm(Form):
    """A score of a table: an operator that adds columns and keeps the rows."""

    score: Text | Absent = _key("The scorer.")
    model: Text | Absent = _key("The model that the scorer asks.")
    models: dict[str, Text] | Absent = _key("The models that it asks, by their roles, where it asks several.")
    with_: dict[str, Text] | Absent = _key("Side tables that it reads as a whole.", alias="with")
    params: dict[str, Any] | Absent = _key("The scorer's parameters.")
    columns: dict[str, Text] | Absent = _key("What the scorer reads: the table's column to read for it.")
    as_: Text | Absent = _key("Another name, for a second score by the same scorer.", alias="as")


class TableForm(Described):
    """A table: exactly one of source, generate, select and sql, and what goes with it."""

    source: Text | Absent = _key("A path or glob of jsonl, json, csv, parquet or arrow files, or hf:NAME.")
    generate: Text | Absent = _key("The generator that makes the rows.")
    select: Text | Absent = _key("The selector that picks rows of `from`.")
    sql: Text | Absent = _key("A SELECT over other tables of the spec.")
    from_: Text | list[Text] | Absent = _key("The table, or the tables, to read.", alias="from")
    model: Text | Absent = _key("The model that the generator asks.")
    models: dict[str, Text] | Absent = _key("The models that it asks, by their roles, where it asks several.")
    with_: dict[str, Text] | Absent = _key("Side tables that the operator reads as a whole.", alias="with")
    params: dict[str, Any] | Absent = _key("Parameters of the source, generator or selector.")
    columns: dict[str, Text] | Absent = _key("What the operator reads: the table's column to read for it.")
    scores: list[Any] | Absent = _key("Scorers; each adds columns and none rebuilds another.")
    tests: list[Any] | Absent = _key("Data tests; a failing one stops everything downstream.")


class TestForm(Form):
    """A data test: one of these, and how much a failure means. What each takes stands in `data_tests`."""

    rows: Any = None
    unique: Any = None
    not_null: Any = None
    accepted_values: Any = None
    range: Any = None
    sql: Any = None
    severity: Literal["error", "warn"] | Absent = _key("`error`, the default, stops what follows; `warn` only tells.")


class HandoffForm(Form):
    """A hand-off: a table, the trainer that is to read it, and the model to start from."""

    data: Text | Absent = _key("The table to hand over.")
    format: Text | Absent = _key("The trainer that reads it; its params say how to train.")
    base: Text | Absent = _key("The model that training starts from.")
    params: dict[str, Any] | Absent = _key("The trainer's parameters.")
    columns: dict[str, Text] | Absent = _key("What the trainer reads: the table's column to read for it.")


class RunForm(Form):
    """How to run; never part of a fingerprint."""

    runner: Literal["local"] | Absent = _key("Where the work is done.")
    workers: Count | Absent = _key("Workers for vector work; by default one a processor.")
    concurrency: Count | Absent = _key("Calls in flight to each model at most; 256 by default.")
    launch: Text | Absent = _key("How trainers are started, as in `accelerate launch --num_processes 4`.")
    endpoints: dict[str, Text] | Absent = _key("A model's name: the address to use instead of its own.")


class ChangeForm(Form):
    """What is different in one round: of its nodes, the keys that have other values there."""

    round: Count | Absent = _key("The round, counted from 1.")
    models: dict[str, dict[str, Any]] | Absent = _key("Models by name; keys that are not named stay as they are.")
    tables: dict[str, dict[str, Any]] | Absent = _key("Tables by name; keys that are not named stay as they are.")


class RoundsForm(Form):
    """Nodes that repeat: each becomes a node `name@1`, `name@2` and so on."""

    count: Count | Absent = _key("How many rounds there are, at most where there is a stop rule.")
    first: dict[str, Text | None] | Absent = _key("What `name@previous` means in round 1; null for nothing.")
    until: Text | Absent = _key("A SELECT of one boolean over the rounds so far; where it is true, no round follows.")
    change: list[Any] | Absent = _key("What is different in some rounds.")
    models: dict[str, Any] | Absent = _key("Models by name, made anew in each round.")
    tables: dict[str, Any] | Absent = _key("Tables by name, made anew in each round.")


class SpecForm(Form):
    """A Setwright spec."""

    version: Version | Absent = _key("The version of this language.")
    name: SpecName | Absent = _key("The spec's name in the store.")
    seed: Seed | Absent = _key("The seed of all random draws; 0 by default.")
    description: str | Absent = _key("What it is for.")
    models: dict[str, Any] | Absent = _key("Models by name.")
    tables: dict[str, Any] | Absent = _key("Tables by name.")
    rounds: dict[str, Any] | Absent = _key("Tables and models that repeat, each round after the other.")
    handoffs: dict[str, Any] | Absent = _key("What can be handed over to trainers elsewhere, by name.")
    run: dict[str, Any] | Absent = _key("How to run; never part of a fingerprint.")
