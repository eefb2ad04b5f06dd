"""SQL on Arrow data, through DuckDB in memory: it reads what it is given and nothing else, no files and no network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa

from medray.errors import ConfigError

if TYPE_CHECKING:
    from pyarrow.dataset import Dataset  # importing it takes as long as all the rest of this layer


def query(sql: str, tables: Mapping[str, Dataset | pa.Table], values: Sequence[Any] = (), limit: int | None = None) -> pa.Table:
    """The result of one SELECT statement, or its first rows.

    Args:
        sql: the statement; ``?`` stands for the next of ``values``.
        tables: what the names in it mean.

    Raises:
        ConfigError: QUERY_INVALID.
    """
    with _connection() as connection:
        for name, table in tables.items():
            connection.register(name, table)
        try:
            statements = connection.extract_statements(sql)
            if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
                raise ConfigError("QUERY_INVALID", "this is not one SELECT statement", "write SELECT … FROM " + ", ".join(tables))
            result = connection.sql(sql, params=list(values))
            return (result if limit is None else result.limit(limit)).to_arrow_table()
        except duckdb.Error as error:
            lines = [line for line in str(error).splitlines() if line.strip()]
            raise ConfigError("QUERY_INVALID", lines[0] if lines else type(error).__name__, "see duckdb.org/docs/sql") from error


def _connection() -> duckdb.DuckDBPyConnection:
    locked: dict[str, str | bool | int | float | list[str]] = {
        "enable_external_access": False,
        "python_enable_replacements": False,
        "lock_configuration": True,
    }
    return duckdb.connect(":memory:", config=locked)


def hashes(parts: Iterable[pa.ChunkedArray]) -> Iterator[pa.Array]:
    """A 64-bit hash of each text of each part, uint64 (n,); the same in one process only."""
    with _connection() as connection:
        for part in parts:
            connection.register("texts", pa.table({"text": part}))
            yield connection.sql("SELECT hash(text) AS hash FROM texts").to_arrow_table()["hash"].combine_chunks()
