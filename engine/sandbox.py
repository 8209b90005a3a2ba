"""DuckDB connections for SQL that users wrote: read-only, and without a way to files, settings or extensions.

Only the Parquet files of the home's store can be reached, through the views that the engine makes.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb


def sandbox(home: Path, database: Path | None = None, threads: int | None = None) -> duckdb.DuckDBPyConnection:
    """A connection (in memory, or to a catalog opened read-only); call `seal` before a user's SQL runs on it."""
    import duckdb

    config: dict[str, str | bool | int | float | list[str]] = {"autoinstall_known_extensions": "false"}
    if threads is not None:
        config["threads"] = threads
    con = duckdb.connect(
        ":memory:" if database is None else str(database), read_only=database is not None, config=config
    )
    folders = ", ".join(f"'{(home / name).resolve().as_posix()}/'" for name in ("objects", "catalog"))
    con.execute(f"SET allowed_directories = [{folders}]")
    return con


def seal(con: duckdb.DuckDBPyConnection) -> None:
    """From now on: no files outside the allowed folders, no extensions, no change of these settings."""
    con.execute("SET enable_external_access = false")
    con.execute("SET lock_configuration = true")
