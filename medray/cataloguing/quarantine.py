"""Objects that need attention: list them by code, show one, read them again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from medray.cataloguing.duplicates import settle_duplicates
from medray.cataloguing.ingest import Update, gone
from medray.cataloguing.queries import rows
from medray.data import store
from medray.data.catalog import GONE, open_catalog
from medray.data.pseudonym import using
from medray.data.query import query
from medray.data.store import ObjectInfo
from medray.errors import ConfigError, StoreError
from medray.progress import Progress
from medray.remedies import FLAGS, REMEDIES, RETRY
from medray.types import State

STATES = (State.QUARANTINED.value, State.FAILED.value)
LISTINGS_AT_ONCE = 16


def listed(catalog_uri: str) -> list[dict[str, Any]]:
    """Code, state, number of objects and what to do, the most frequent first.

    Raises:
        StoreError: CATALOG_NOT_FOUND, …
    """
    sql = f"SELECT code, state, count(*) AS count FROM catalog WHERE state IN {STATES} GROUP BY ALL ORDER BY count DESC, code"
    found = query(sql, {"catalog": open_catalog(catalog_uri).dataset()}).to_pylist()
    return [{**item, "what_to_do": _remedy(item["code"])} for item in found]


def details(catalog_uri: str, uri: str) -> dict[str, Any]:
    """The row of one object without what is unknown, what to do about its code, and what its flags mean.

    Raises:
        ConfigError: OBJECT_UNKNOWN; StoreError: CATALOG_NOT_FOUND, …
    """
    names = {uri, store.normalise(uri)}
    found = [row for row in rows(catalog_uri, uri, 1) if names & {row["uri"], row["shard_uri"], row["sop_uid"]}]
    if not found:
        raise ConfigError("OBJECT_UNKNOWN", f"the catalog has no row of {uri}", "see `medray catalog show`")
    row = {name: value for name, value in found[0].items() if value not in (None, "", [])}
    meanings = {flag: FLAGS.get(flag, "") for flag in found[0]["flags"] or []}
    return {**row, **({"what_to_do": _remedy(row["code"])} if "code" in row else {}), **({"flags": meanings} if meanings else {})}


def _remedy(code: str) -> str:
    """What to do about a code."""
    return REMEDIES.get(code, RETRY)


def retry(
    catalog_uri: str, code: str | None = None, progress: Progress | None = None, key_file: str | None = None
) -> dict[str, Any]:
    """Read quarantined and failed objects again (those of one code alone), each as it is in the archive now.

    Returns:
        ``objects`` read again, how many are ``images`` now, how many are ``gone``, and the ``reasons`` of the others.

    Raises:
        StoreError: CATALOG_NOT_FOUND, …; ConfigError: the key is not that of the catalog, or lost.
    """
    catalog = open_catalog(catalog_uri)
    key = catalog.key(key_file)
    table = catalog.table(key)
    keys = sorted({key for part in table.scan(["shard_uri", "state", "code"]) for key in _troubled(part, code)})
    found = _now(keys)
    infos = [info for info in found if isinstance(info, ObjectInfo)]
    missing = [key for key, info in zip(keys, found, strict=True) if info is None]
    update = Update(table, progress, len(infos))
    with using(key):
        update.look(infos)
    table.rewrite(lambda content: _marked(content, missing))
    settle_duplicates(table, progress)
    again, codes = pa.array([info.uri for info in infos], pa.string()), Counter[str]()
    for part in table.scan(["shard_uri", "code"]):
        codes.update(part.filter(pc.is_in(part["shard_uri"], value_set=again))["code"].to_pylist())
    images = codes.pop("", 0)
    reasons = dict(sorted(codes.items()))
    return {"objects": images + codes.total(), "images": images, "gone": len(missing), "reasons": reasons}


def _troubled(rows: pa.Table, code: str | None) -> list[str]:
    chosen = pc.is_in(rows["state"], value_set=pa.array(STATES))
    if code is not None:
        chosen = pc.and_(chosen, pc.equal(rows["code"], code))
    return list(rows.filter(chosen)["shard_uri"].unique().to_pylist())


def _now(uris: Sequence[str]) -> list[ObjectInfo | None]:
    """Each object as it is now; None where there is none any more.

    Raises:
        StoreError: the store does not answer.
    """
    with ThreadPoolExecutor(LISTINGS_AT_ONCE) as pool:
        return list(pool.map(_found, uris))


def _found(uri: str) -> ObjectInfo | None:
    try:
        return next((info for info in store.list_objects(uri) if info.uri == uri), None)
    except StoreError as error:
        if error.code in ("STORE_NOT_FOUND", "STORE_EMPTY"):
            return None
        raise


def _marked(rows: pa.Table, missing: Sequence[str]) -> pa.Table | None:
    """The rows with those of missing objects marked as gone; None where nothing differs."""
    lost = pc.and_(pc.is_in(rows["shard_uri"], value_set=pa.array(missing, pa.string())), pc.not_equal(rows["code"], GONE))
    if not pc.any(lost).as_py():
        return None
    return pa.concat_tables([rows.filter(pc.invert(lost)), gone(rows.filter(lost))])
