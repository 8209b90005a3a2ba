"""The data tests of a table: what each takes. How one is run is not known here.

A test holds when no row breaks it. `columns` are the table's columns that it names (a `sql` test may read any), and
`str()` gives its arguments in the short form that labels it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, RootModel, model_validator

Text = Annotated[str, Field(min_length=1)]
Names = Text | Annotated[list[Text], Field(min_length=1)]
Scalar = str | bool | int | float


class Arguments(BaseModel):
    """Base of arguments that are a mapping: strict types, no unknown names, frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the test names."""
        return ()


class Rows(Arguments):
    """`{rows: {min: 100, max: 200}}`: how many rows the table has; both bounds count in."""

    min: int | None = Field(None, ge=0)
    max: int | None = Field(None, ge=0)

    @model_validator(mode="after")
    def _bounded(self) -> Rows:
        _check_bounds(self.min, self.max)
        return self

    def __str__(self) -> str:
        return ", ".join(_bounds(self.min, self.max))


class Columns(RootModel[Names]):
    """A column's name, or a list of names."""

    model_config = ConfigDict(frozen=True, strict=True)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the test names."""
        return (self.root,) if isinstance(self.root, str) else tuple(self.root)

    def __str__(self) -> str:
        return ", ".join(self.columns)


class Unique(Columns):
    """`{unique: row_id}` or `{unique: [a, b]}`: no two rows have the same values in these columns together."""


class NotNull(Columns):
    """`{not_null: response}` or a list: none of these columns holds a null."""


class AcceptedValues(Arguments):
    """`{accepted_values: {column: language, values: [en, de]}}`: the column holds these values or null."""

    column: Text
    values: list[Scalar] = Field(min_length=1)

    @property
    def columns(self) -> tuple[str, ...]:
        """The column."""
        return (self.column,)

    def __str__(self) -> str:
        return f"{self.column}: {', '.join(map(str, self.values))}"


class Range(Arguments):
    """`{range: {column: score, min: 0, max: 1}}`: the column's values lie between the bounds, both included."""

    column: Text
    min: int | float | None = None
    max: int | float | None = None

    @model_validator(mode="after")
    def _bounded(self) -> Range:
        _check_bounds(self.min, self.max)
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """The column."""
        return (self.column,)

    def __str__(self) -> str:
        return ", ".join([self.column, *_bounds(self.min, self.max)])


class Sql(RootModel[Text]):
    """`{sql: "SELECT ..."}`: a query over the table that must return no row."""

    model_config = ConfigDict(frozen=True, strict=True)

    @property
    def columns(self) -> tuple[str, ...]:
        """None by name."""
        return ()

    @property
    def query(self) -> str:
        """The query."""
        return self.root

    def __str__(self) -> str:
        return " ".join(self.root.split())


TestArguments = Rows | Unique | NotNull | AcceptedValues | Range | Sql

DATA_TESTS: Mapping[str, type[TestArguments]] = {
    "rows": Rows,
    "unique": Unique,
    "not_null": NotNull,
    "accepted_values": AcceptedValues,
    "range": Range,
    "sql": Sql,
}


def _check_bounds(low: float | None, high: float | None) -> None:
    if low is None and high is None:
        raise ValueError("give min, max, or both")
    if low is not None and high is not None and low > high:
        raise ValueError(f"min {low} is above max {high}")


def _bounds(low: float | None, high: float | None) -> list[str]:
    return [f"{name}={value}" for name, value in (("min", low), ("max", high)) if value is not None]
