"""The registry: every published bundle of an output root, in order, with its figures; one of them is the champion."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from medray.bundles.manifest import MANIFEST
from medray.data import store, tables
from medray.errors import BundleError

SCHEMA = pa.schema(
    [
        pa.field("published_at", pa.string()),
        pa.field("run", pa.string()),
        pa.field("model", pa.string()),
        pa.field("family", pa.string()),
        pa.field("task", pa.string()),
        pa.field("target", pa.string()),
        pa.field("bundle", pa.string()),
        pa.field("fingerprint", pa.string()),
        pa.field("monitor", pa.string()),
        pa.field("value", pa.float64()),
        pa.field("champion", pa.bool_()),
    ]
)


def registry_uri(output: str) -> str:
    """The registry table of an output root."""
    return store.join(output, "registry")


def publish(output: str, rows: list[dict[str, Any]]) -> None:
    """Record the bundles of a run in one commit; a bundle that is recorded already with the same standing is left alone.

    Args:
        rows: the columns of :data:`SCHEMA` of each but ``published_at``; ``value`` is that of the monitored figure on validation,
            None where it is undefined.
    """
    newest = history(output)[-len(rows) :]
    if sorted(map(_key, newest)) == sorted(map(_key, rows)):
        return
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    tables.append(registry_uri(output), pa.Table.from_pylist([{**row, "published_at": now} for row in rows], schema=SCHEMA))


def _key(row: dict[str, Any]) -> tuple[str, str, bool]:
    return row["run"], row["fingerprint"], row["champion"]


def history(output: str) -> list[dict[str, Any]]:
    """Every record, oldest first; empty where nothing was published."""
    if not tables.is_table(registry_uri(output)):
        return []
    rows: list[dict[str, Any]] = (
        tables.read_table(registry_uri(output)).sort_by([("published_at", "ascending"), ("model", "ascending")]).to_pylist()
    )
    return rows


def champion(output: str) -> str:
    """URI of the bundle published last as champion.

    Raises:
        BundleError: BUNDLE_NO_CHAMPION, BUNDLE_SEVERAL_TASKS, BUNDLE_NOT_FOUND.
    """
    chosen = [row for row in history(output) if row["champion"]]
    if not chosen:
        raise BundleError("BUNDLE_NO_CHAMPION", f"no bundle was published under {output}", "train one, or name a bundle")
    tasks = sorted({f"{row['task']} of {row['target'] or 'no label'}" for row in chosen if row.get("task")})
    if len(tasks) > 1:
        message = f"the champions under {output} learnt different tasks: {', '.join(tasks)}"
        raise BundleError("BUNDLE_SEVERAL_TASKS", message, "name the bundle that is meant")
    uri: str = chosen[-1]["bundle"]
    if not store.exists(store.join(uri, MANIFEST)):
        raise BundleError("BUNDLE_NOT_FOUND", f"the champion {uri} is gone", "train again, or name a bundle")
    return uri


def recorded(output: str, uri: str) -> str | None:
    """The fingerprint under which a bundle was published last, to be compared as it is opened; None where it never was."""
    found = [str(row["fingerprint"]) for row in history(output) if row["bundle"] == uri]
    return found[-1] if found else None
