"""The catalog: one row per object of an archive, as a Delta table, with the labels beside it.

A catalog is a folder: ``instances/`` holds the objects, ``labels/`` the label files given to ingest. Every ingest makes versions.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, get_type_hints

import pyarrow as pa
import pyarrow.compute

from medray.data import store, tables
from medray.data.key_file import the_key
from medray.data.key_record import made_with, marked_schema
from medray.data.pseudonym import Key
from medray.data.sorted_table import SortedTable
from medray.data.store import ObjectInfo
from medray.errors import ConfigError, Excluded, InputError, MedrayError, Quarantined, StoreError
from medray.types import Header, State, UltrasoundRegion

if TYPE_CHECKING:
    from pyarrow.dataset import Dataset  # importing it takes as long as all the rest of this layer


IMAGE = "IMAGE"
"""State of a catalog row that is a usable image; others carry EXCLUDED, QUARANTINED or FAILED."""

GONE = "OBJECT_GONE"
"""Code of a row whose object is no longer in the archive."""

SEGMENTATION = "OBJECT_SEGMENTATION"
"""Code of a row whose object is a DICOM segmentation, EXCLUDED because it is no image."""

_ARROW = {
    str: pa.string(),
    bool: pa.bool_(),
    int: pa.int64(),
    int | None: pa.int64(),
    float | None: pa.float64(),
    tuple[str, ...]: pa.list_(pa.string()),
    tuple[float, float] | None: pa.list_(pa.float64()),
    tuple[float, float, float] | None: pa.list_(pa.float64()),
    tuple[float, float, float, float, float, float] | None: pa.list_(pa.float64()),
    tuple[UltrasoundRegion, ...]: pa.list_(pa.list_(pa.float64())),
}
"""Type of a Header field → type of its column."""

SCHEMA = pa.schema(
    [
        pa.field("uri", pa.string()),
        pa.field("shard_uri", pa.string()),
        pa.field("member", pa.string()),
        pa.field("size_bytes", pa.int64()),
        pa.field("etag", pa.string()),
        pa.field("content_sha256", pa.string()),
        pa.field("image_sha256", pa.string()),
        pa.field("state", pa.string()),
        pa.field("code", pa.string()),
        pa.field("message", pa.string()),
        *(pa.field(name, _ARROW[kind]) for name, kind in get_type_hints(Header).items()),
    ]
)
"""``shard_uri`` is the object that holds the bytes: the row's own URI unless it is the ``member`` of a shard. ``image_sha256`` is
of the image, whatever its encoding, where it had to be compared with others: see :func:`medray.data.duplicates.images_of`."""

_SURROGATE = re.compile("[\ud800-\udfff]")
_logger = logging.getLogger("medray")
_HEADER_NAMES = tuple(field.name for field in fields(Header))


@dataclass(frozen=True)
class Entry:
    """An object of the archive: its header, or the error that it raised.

    Attributes:
        info: where it is; ``etag`` is that of the shard for a member of one.
        shard_uri, member: the shard and the member's name in it; "" for a loose object.
        content_sha256: of the whole object, or "" when only a part was read.
    """

    info: ObjectInfo
    outcome: Header | MedrayError
    shard_uri: str = ""
    member: str = ""
    content_sha256: str = ""


def rows_of(entries: Sequence[Entry]) -> pa.Table:
    """The catalog rows of objects; header columns are null where there is no header, as in what is broken."""
    headers = [_header(entry.outcome) for entry in entries]
    errors = [entry.outcome if isinstance(entry.outcome, MedrayError) else None for entry in entries]
    columns: dict[str, list[object]] = {
        "uri": [entry.info.uri for entry in entries],
        "shard_uri": [entry.shard_uri or entry.info.uri for entry in entries],
        "member": [entry.member for entry in entries],
        "size_bytes": [entry.info.size for entry in entries],
        "etag": [entry.info.etag for entry in entries],
        "content_sha256": [entry.content_sha256 for entry in entries],
        "image_sha256": [""] * len(entries),
        "state": [terminal_state(error).value if error else IMAGE for error in errors],
        "code": [error.code if error else "" for error in errors],
        "message": [error.message if error else "" for error in errors],
    }
    for name in _HEADER_NAMES:
        columns[name] = [None if header is None else getattr(header, name) for header in headers]
    return pa.table({name: pa.array(values, SCHEMA.field(name).type) for name, values in columns.items()}, schema=SCHEMA)


def _header(outcome: Header | MedrayError) -> Header | None:
    if isinstance(outcome, Header):
        return outcome
    return outcome.header if isinstance(outcome, Excluded) else None


def as_text(name: str) -> str:
    """A name as valid Unicode: an invalid byte becomes U+FFFD and two hexadecimal digits, so the name sorts in the same place."""
    return name if name.isascii() else _SURROGATE.sub(lambda found: f"\ufffd{ord(found[0]) & 0xFF:02x}", name)


def terminal_state(error: MedrayError) -> State:
    """The terminal state of an input that raised this error."""
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
        found = tables.read_table(self.instances_uri, version).sort_by("uri")
        self._warn_of_unknown_key(found.schema)
        return found

    def dataset(self, version: int | None = None, needed: Collection[str] = ()) -> Dataset:
        """The rows as an Arrow dataset, which reads what a query needs.

        Raises:
            StoreError: CATALOG_NOT_FOUND, TABLE_VERSION; TABLE_FORMAT when an older medray made it without the
                columns that are ``needed``.
        """
        self.require()
        found = tables.dataset(self.instances_uri, version)
        if not set(needed) <= set(found.schema.names):
            raise StoreError("TABLE_FORMAT", f"{self.uri} was made by another version of medray", "ingest into a new one")
        self._warn_of_unknown_key(found.schema)
        return found

    def _warn_of_unknown_key(self, schema: pa.Schema) -> None:
        if made_with(schema) is None:
            _logger.warning(
                f"the pseudonyms in {self.uri} may have been made with a key that everybody knows, so that record numbers can be "
                "found by trying: ingest into a new catalog, and remove this one"
            )

    def images(self, version: int | None = None) -> pa.Table:
        """The rows that are usable images, sorted by URI."""
        rows = self.to_arrow(version)
        return rows.filter(pa.compute.equal(rows["state"], IMAGE))

    def segmentations(self, version: int | None = None) -> pa.Table:
        """The rows that are DICOM segmentations, sorted by URI."""
        rows = self.to_arrow(version)
        return rows.filter(pa.compute.equal(rows["code"], SEGMENTATION))

    def table(self, key: Key) -> SortedTable:
        """The instances by the object that holds them, to read and change ranges; made by the first change.

        Args:
            key: that makes the pseudonyms of what is added.

        Raises:
            StoreError: TABLE_FORMAT when another version of medray made it; ConfigError: PSEUDONYM_KEYS.
        """
        return SortedTable(self.instances_uri, marked_schema(SCHEMA, key.id), key="shard_uri", then="uri")

    def made_with(self) -> str | None:
        """Identifier of the key that made the pseudonyms; None where an older medray recorded none."""
        return made_with(tables.schema(tables.open_table(self.instances_uri)))

    def key(self, file: str | None = None) -> Key:
        """The key to add pseudonyms with (see :func:`medray.data.key_file.the_key`): the one that made those that are there.

        Args:
            file: path of the local file that holds it.

        Raises:
            ConfigError: PSEUDONYM_KEYS, PSEUDONYM_KEY_LOST, PSEUDONYM_KEY_INVALID; PSEUDONYM_KEY_UNKNOWN when an older medray
                made the catalog, which kept no record of the key and had one that everybody knows.
        """
        if not self.exists():
            return the_key(file)
        known = self.made_with()
        if known is None:
            message = f"{self.uri} does not say which key made its pseudonyms: it may be one that everybody knows"
            raise ConfigError("PSEUDONYM_KEY_UNKNOWN", message, "ingest into a new catalog, and remove this one")
        return the_key(file, known, self.uri)

    def set_labels(self, labels: pa.Table) -> None:
        """Keep a label table with the catalog, replacing the one before (which stays readable as an older version)."""
        tables.replace(self.labels_uri, labels)

    def has_labels(self) -> bool:
        """Whether ingest was given a label table."""
        return tables.is_table(self.labels_uri)

    def labels(self) -> pa.Table:
        """The label table given to ingest.

        Raises:
            StoreError: LABELS_NOT_FOUND.
        """
        if not self.has_labels():
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
