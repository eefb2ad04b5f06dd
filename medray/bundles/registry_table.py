"""The rows of a registry: an append-only Delta table, read and added to in order, whoever else writes.

Entries are numbered. A commit is refused where another writer was first; then the newer table is read, and decided on again.
"""

from __future__ import annotations

import getpass
import json
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, Self

import pyarrow as pa

from medray.bundles.scorer import Scorer
from medray.data import store, tables
from medray.data.splits import OUT_OF_FOLD
from medray.errors import StoreError

PUBLISHED, PROMOTED, NOT_PROMOTED, ROLLED_BACK = "published", "promoted", "not_promoted", "rolled_back"
NEWEST = "newest"
"""What earlier versions took for the champion: the best model of the newest run, whatever its figures. It is none any more."""

SCHEMA = pa.schema(
    [
        pa.field("entry", pa.int64()),
        *(pa.field(name, pa.string()) for name in ("at", "event", "by", "policy", "reason", "replaced", "figures")),
        *(pa.field(name, pa.string()) for name in ("run", "model", "family", "task", "target", "question")),
        *(pa.field(name, pa.string()) for name in ("bundle", "fingerprint", "monitor")),
        pa.field("value", pa.float64()),
    ]
)
_EVENTS = {PUBLISHED, PROMOTED, NOT_PROMOTED, ROLLED_BACK, NEWEST}
_OF_EVERY_LAYOUT = {"run", "model", "family", "bundle", "fingerprint"}
_TRIES = 200


@dataclass(frozen=True)
class Published:
    """A bundle as the registry knows it; ``value`` is its monitored figure on validation, None where undefined."""

    bundle: str
    fingerprint: str
    question: str
    task: str
    target: str
    run: str
    model: str
    family: str
    monitor: str
    value: float | None

    @classmethod
    def of(cls, bundle: Scorer) -> Self:
        """What is recorded of an opened bundle."""
        manifest = bundle.manifest
        return cls(
            bundle=bundle.uri,
            fingerprint=bundle.fingerprint,
            question=manifest.task.question,
            task=manifest.task.kind,
            target=manifest.task.target,
            run=str(manifest.provenance.get("run", "")),
            model=bundle.uri.rsplit("/", 1)[-1],
            family=manifest.family,
            monitor=manifest.task.monitor.figure,
            value=_decided_on(manifest.metrics),
        )

    def is_same(self, other: Published) -> bool:
        """Whether both are the bundle at one place with one content."""
        return (self.bundle, self.fingerprint) == (other.bundle, other.fingerprint)


def _decided_on(metrics: Mapping[str, Any]) -> float | None:
    """The monitored figure on the images that the decision was chosen on."""
    try:
        value = metrics[OUT_OF_FOLD if OUT_OF_FOLD in metrics else "val"]["monitor"]["value"]
    except (KeyError, TypeError):
        return None
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


@dataclass(frozen=True)
class Entry(Published):
    """One row of the registry.

    Attributes:
        event: ``published``, ``promoted``, ``not_promoted`` (a policy left the champion where it is), ``rolled_back`` (this
            bundle is champion again), or ``newest`` of an earlier version.
        entry: number in the table, from 0.
        at: time, ISO 8601 in UTC.
        by: who: a user of the operating system, or what ``--by`` said.
        policy: that of a training run; "" by hand.
        reason: why, in words.
        replaced: fingerprint of the champion that was replaced, or kept where the event is ``not_promoted``; "" for none.
        figures: what a policy compared.
    """

    event: str = PUBLISHED
    entry: int = -1
    at: str = ""
    by: str = ""
    policy: str = ""
    reason: str = ""
    replaced: str = ""
    figures: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def about(cls, bundle: Published, event: str, **others: Any) -> Self:
        """A new entry about a bundle; number and time are given when it is added."""
        known = {one.name: getattr(bundle, one.name) for one in fields(Published)}
        return cls(**known, **{"by": user(), **others, "event": event})

    def repeats(self, other: Entry) -> bool:
        """Whether another entry says the same of the same bundle and champion, for the same reason."""
        mine, its = ((one.event, one.replaced, one.policy, one.reason) for one in (self, other))
        return self.is_same(other) and mine == its

    @property
    def why(self) -> str:
        """What happened to it, when, by whom, and why, in a few words."""
        policy = f" ({self.policy})" if self.policy else ""
        return f"{self.event.replace('_', ' ')} {self.at[:16].replace('T', ' ')} UTC by {self.by}{policy}: {self.reason}"


def user() -> str:
    """Who runs this process."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user has a number alone
        return f"uid {os.getuid()}"


def registry_uri(output: str) -> str:
    """The registry table of an output root."""
    return store.join(output, "registry")


def history(output: str) -> list[Entry]:
    """Every entry, oldest first, those of earlier versions before all others; empty where nothing was published.

    Raises:
        StoreError: REGISTRY_FORMAT.
    """
    return _read(output, None) if tables.is_table(registry_uri(output)) else []


def change(output: str, new: Callable[[Sequence[Entry]], list[Entry]]) -> list[Entry]:
    """Append what ``new`` makes of the entries so far, in one commit; it is called again where another writer was first.

    Raises:
        StoreError: TABLE_BUSY, REGISTRY_FORMAT; what ``new`` raises.
    """
    uri = registry_uri(output)
    for tried in range(1, _TRIES + 1):
        table = tables.open_table(uri) if tables.is_table(uri) else None
        entries = _read(output, table.version()) if table else []
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        added = [Entry(**{**asdict(one), "entry": len(entries) + at, "at": now}) for at, one in enumerate(new(entries))]
        if not added:
            break
        if table is None:
            tables.create(uri, SCHEMA)
            table = tables.open_table(uri, 0)
        try:
            tables.append_next(table, pa.Table.from_pylist(list(map(_row, added)), schema=SCHEMA))
            break
        except StoreError as error:
            if error.code != "TABLE_BUSY" or tried == _TRIES:
                raise
            time.sleep(0.01)
    return added


def _row(entry: Entry) -> dict[str, Any]:
    return {**asdict(entry), "figures": json.dumps(entry.figures, sort_keys=True)}


def _read(output: str, version: int | None) -> list[Entry]:
    table = tables.read_table(registry_uri(output), version)
    if lacking := _OF_EVERY_LAYOUT - set(table.column_names):
        raise _unreadable(output, f"it has no column {', '.join(sorted(lacking))}")
    return [_entry(output, number, row) for number, row in enumerate(sorted(table.to_pylist(), key=_order))]


def _order(row: Mapping[str, Any]) -> tuple[int, str, str]:
    """Entries by their number, after those of earlier versions, which have a time alone."""
    number = row.get("entry")
    return (-1 if number is None else number, row.get("published_at") or "", row["model"] or "")


def _entry(output: str, number: int, row: Mapping[str, Any]) -> Entry:
    event = row.get("event") or (NEWEST if row.get("champion") else PUBLISHED)
    if event not in _EVENTS:
        raise _unreadable(output, f"it says {event!r}, which this version does not know")
    texts = {one.name: row.get(one.name) or "" for one in fields(Entry) if one.type == "str"}
    try:
        figures = json.loads(row.get("figures") or "{}")
    except ValueError as error:
        raise _unreadable(output, f"the figures of entry {number} are broken") from error
    at = texts["at"] or row.get("published_at") or ""
    return Entry(**{**texts, "event": event, "at": at, "entry": number, "figures": figures, "value": row.get("value")})


def _unreadable(output: str, why: str) -> StoreError:
    hint = "read it with the medray that wrote it, or set it aside and publish anew"
    return StoreError("REGISTRY_FORMAT", f"{registry_uri(output)} is no registry that can be read: {why}", hint)
