"""The parameters of a source node."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from engine.operator import Params


class SourceParams(Params):
    """What `params:` of a source may say.

    `shape` names the layout of the rows (None: detected, see `engine.shapes`). `on_bad: error` reports all bad records
    and stops, `skip` keeps the good ones. `format` overrides what the file's ending says. `as_json` names columns of
    JSON or JSONL whose values have no one type and are kept as JSON text. `split`, `config` and `revision` are those
    of the Hugging Face `datasets` library, for `hf:` alone.
    """

    shape: Literal["preference", "openai", "sharegpt", "alpaca", "prompt_completion", "text", "raw"] | None = None
    on_bad: Literal["error", "skip"] = "error"
    format: Literal["jsonl", "json", "csv", "parquet", "arrow"] | None = None
    as_json: list[str] = Field(default_factory=list)
    split: str | None = None
    config: str | None = None
    revision: str | None = None
