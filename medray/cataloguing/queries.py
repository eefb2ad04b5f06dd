"""Queries of a catalog: sums, single rows, SQL, changes between versions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
from pydicom.uid import UID

from medray.data import store
from medray.data.catalog import GONE, IMAGE, open_catalog
from medray.data.query import query

MAX_GROUPS = 20
"""More values of one kind are summed up as "others"."""

_IMAGES = f"state = '{IMAGE}'"
_PRESENT = f"code <> '{GONE}'"


def summary(catalog_uri: str) -> dict[str, Any]:
    """Sums of a catalog: objects by state and code; images by modality, transfer syntax, size, study year, manufacturer and flag.

    Raises:
        StoreError: CATALOG_NOT_FOUND, …
    """
    catalog = open_catalog(catalog_uri)
    tables = {"catalog": catalog.dataset()}
    totals = f"""SELECT count(*) AS objects, coalesce(sum(size_bytes) FILTER (size_bytes > 0), 0)::BIGINT AS size_bytes,
        count(*) FILTER ({_IMAGES}) AS images, coalesce(sum(frames) FILTER ({_IMAGES}), 0)::BIGINT AS frames,
        count(DISTINCT patient_key) FILTER (patient_key <> '') AS patients,
        count(DISTINCT nullif(study_uid, '')) AS studies, count(DISTINCT nullif(series_uid, '')) AS series
        FROM catalog WHERE {_PRESENT}"""
    syntaxes = _groups(tables, "transfer_syntax")
    flags = query(f"SELECT unnest(flags) AS flag FROM catalog WHERE {_IMAGES}", tables)
    return {
        "catalog": catalog.uri,
        "version": catalog.version(),
        **query(totals, tables).to_pylist()[0],
        "states": _groups(tables, "state", "true"),
        "codes": _groups(tables, "code", "code <> ''"),
        "modalities": _groups(tables, "modality"),
        "excluded_modalities": _groups(tables, "modality", "state = 'EXCLUDED'"),
        "transfer_syntaxes": {UID(uid).name: count for uid, count in syntaxes.items()},
        "sizes": _groups(tables, "concat(rows, ' × ', columns)"),
        "study_years": dict(sorted(_groups(tables, "study_year::VARCHAR", limit=1000).items())),
        "manufacturers": _groups(tables, "manufacturer"),
        "flags": _groups({"catalog": flags}, "flag", "true"),
    }


def _groups(tables: Mapping[str, Any], expression: str, where: str = _IMAGES, limit: int = MAX_GROUPS) -> dict[str, int]:
    """Value → number of rows, the most frequent first."""
    grouped = f"""SELECT coalesce(nullif({expression}, ''), 'unknown') AS value, count(*) AS count FROM catalog WHERE {where}
        GROUP BY value ORDER BY count DESC, value"""
    found = [(item["value"], item["count"]) for item in query(grouped, tables).to_pylist()]
    rest = sum(count for _, count in found[limit:])
    return dict(found[:limit]) | ({"others": rest} if rest else {})


def rows(catalog_uri: str, name: str | None, limit: int) -> list[dict[str, Any]]:
    """Rows in order of their URI: all, or those of a URI (also of a shard, or of everything under a prefix) or a UID.

    Raises:
        StoreError: CATALOG_NOT_FOUND, …
    """
    catalog = open_catalog(catalog_uri)
    where = """WHERE uri = $1 OR shard_uri = $1 OR starts_with(uri, rtrim($1, '/') || '/')
        OR sop_uid = $1 OR series_uid = $1 OR study_uid = $1"""
    sql = f"SELECT * FROM catalog {where if name else ''} ORDER BY uri LIMIT {int(limit)}"
    found = query(sql, {"catalog": catalog.dataset()}, [name] if name else []).to_pylist()
    if not found and name and name != (place := store.normalise(name)):
        return rows(catalog_uri, place, limit)
    return list(found)


def answer(catalog_uri: str, sql: str, limit: int) -> pa.Table:
    """The first rows of the result of a SELECT statement on the table ``catalog``.

    Raises:
        ConfigError: QUERY_INVALID; StoreError: CATALOG_NOT_FOUND, …
    """
    return query(sql, {"catalog": open_catalog(catalog_uri).dataset()}, limit=limit)


def diff(catalog_uri: str, before: int, after: int | None, limit: int) -> dict[str, Any]:
    """The difference of two versions of a catalog: the numbers of objects added, changed and gone, and the first of them by URI.

    Raises:
        StoreError: CATALOG_NOT_FOUND, TABLE_VERSION, …
    """
    catalog = open_catalog(catalog_uri)
    newer = catalog.version() if after is None else after
    sql = f"""SELECT uri, change, a_state AS state_before, b_state AS state_after, b_code AS code FROM (
        SELECT coalesce(a.uri, b.uri) AS uri, a.state AS a_state, b.state AS b_state, b.code AS b_code,
            a.uri IS NOT NULL AND a.code <> '{GONE}' AS was, b.uri IS NOT NULL AND b.code <> '{GONE}' AS is_,
            CASE WHEN was AND NOT is_ THEN 'gone' WHEN is_ AND NOT was THEN 'added'
                 WHEN was AND (a.etag, a.size_bytes, a.state, a.code) <> (b.etag, b.size_bytes, b.state, b.code) THEN 'changed'
            END AS change
        FROM a FULL JOIN b ON a.uri = b.uri) WHERE change IS NOT NULL"""
    both = {"a": catalog.dataset(before), "b": catalog.dataset(newer)}
    counts = {
        item["change"]: item["n"] for item in query(f"SELECT change, count(*) AS n FROM ({sql}) GROUP BY ALL", both).to_pylist()
    }
    shown = query(f"{sql} ORDER BY uri LIMIT {int(limit)}", both).to_pylist()
    return {
        "versions": [before, newer],
        **{change: counts.get(change, 0) for change in ("added", "changed", "gone")},
        "rows": shown,
    }
