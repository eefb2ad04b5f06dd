"""The catalog: one row per object of an archive, as a Delta table, with the labels beside it.

A catalog is a folder: ``instances/`` holds the objects, ``labels/`` the label files given to ingest. Every ingest is a version.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict

import pyarrow as pa
import pyarrow.compute

from medray.data import store, tables
from medray.data.store import ObjectInfo
from medray.errors import InputError, MedrayError, Quarantined, StoreError
from medray.types import Header, State

IMAGE = "IMAGE"
"""State of a catalog row that is a usable image; others carry EXCLUDED, QUARANTINED or FAILED."""

_HEADER_FIELDS = [
    pa.field("sop_uid", pa.string()),
    pa.field("series_uid", pa.string()),
    pa.field("study_uid", pa.string()),
    pa.field("patient_key", pa.string()),
    pa.field("modality", pa.string()),
    pa.field("rows", pa.int32()),
    pa.field("columns", pa.int32()),
    pa.field("frames", pa.int32()),
    pa.field("transfer_syntax", pa.string()),
    pa.field("photometric", pa.string()),
    pa.field("bits_stored", pa.int32()),
    pa.field("manufacturer", pa.string()),
    pa.field("body_part", pa.string()),
    pa.field("laterality", pa.string()),
    pa.field("spacing_mm", pa.list_(pa.float64())),
    pa.field("voi_window", pa.list_(pa.float64())),
]
SCHEMA = pa.schema(
    [
        pa.field("uri", pa.string()),
        pa.field("size_bytes", pa.int64()),
        pa.field("etag", pa.string()),
        pa.field("state", pa.string()),
        pa.field("code", pa.string()),
        pa.field("message", pa.string()),
        *_HEADER_FIELDS,
    ]
)


def row(info: ObjectInfo, outcome: Header | MedrayError) -> dict[str, object]:
    """The catalog row of an object: its header, or why it has none."""
    base = {"uri": info.uri, "size_bytes": info.size, "etag": info.etag}
    if isinstance(outcome, Header):
        return {**base, "state": IMAGE, "code": "", "message": "", **asdict(outcome)}
    return {**base, "state": terminal_state(outcome).value, "code": outcome.code, "message": outcome.message}


def terminal_state(error: MedrayError) -> State:
    """The state in which an input ends that raised this error."""
    if isinstance(error, Quarantined):
        return State.QUARANTINED
    return State.EXCLUDED if isinstance(error, InputError) else State.FAILED


class Catalog:
    """A catalog at a URI."""

    def __init__(self, uri: str) -> None:
        self.uri = store.normalise(uri)
        self.instances_uri = store.join(self.uri, "instances")
        self.labels_uri = store.join(self.uri, "labels")

    def exists(self) -> bool:
        """Whether anything was ingested here."""
        return tables.is_table(self.instances_uri)

    def require(self) -> None:
        """Raise StoreError CATALOG_NOT_FOUND unless something was ingested here."""
        if not self.exists():
            raise StoreError("CATALOG_NOT_FOUND", f"there is no catalog at {self.uri}", "make one with `medray ingest`")

    def version(self) -> int:
        """Version of the instances table."""
        return int(tables.open_table(self.instances_uri).version())

    def to_arrow(self, version: int | None = None) -> pa.Table:
        """Every row, sorted by URI.

        Raises:
            StoreError: CATALOG_NOT_FOUND.
        """
        self.require()
        return tables.read_table(self.instances_uri, version).sort_by("uri")

    def images(self, version: int | None = None) -> pa.Table:
        """The rows that are usable images, sorted by URI."""
        rows = self.to_arrow(version)
        return rows.filter(pa.compute.equal(rows["state"], IMAGE))

    def known(self) -> dict[str, tuple[int, str]]:
        """URI → (size, etag) of everything ingested whose row is final; FAILED rows are tried again."""
        if not self.exists():
            return {}
        rows = tables.read_table(self.instances_uri, columns=["uri", "size_bytes", "etag", "state"]).to_pylist()
        return {item["uri"]: (item["size_bytes"], item["etag"]) for item in rows if item["state"] != State.FAILED}

    def upsert(self, rows: Iterable[dict[str, object]]) -> None:
        """Add or replace rows, in one commit."""
        tables.upsert(self.instances_uri, pa.Table.from_pylist(list(rows), schema=SCHEMA), key="uri")

    def set_labels(self, labels: pa.Table) -> None:
        """Keep a label table with the catalog, replacing the one before (which stays readable as an older version)."""
        tables.replace(self.labels_uri, labels)

    def labels(self) -> pa.Table:
        """The label table given to ingest.

        Raises:
            StoreError: LABELS_NOT_FOUND.
        """
        if not tables.is_table(self.labels_uri):
            raise StoreError("LABELS_NOT_FOUND", f"the catalog {self.uri} has no labels", "run `medray ingest … --labels FILE`")
        return tables.read_table(self.labels_uri)


def open_catalog(uri: str) -> Catalog:
    """The catalog at ``uri``.

    Raises:
        StoreError: CATALOG_NOT_FOUND.
    """
    catalog = Catalog(uri)
    catalog.require()
    return catalog
