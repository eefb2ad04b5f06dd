"""Archive → catalog: list, look at what is new or changed, record one row for each object."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from pydicom.uid import UID

from medray.data import store
from medray.data.catalog import IMAGE, Catalog, row
from medray.data.dicom import decode, inspect
from medray.data.labels import join_keys, read_labels
from medray.data.store import ObjectInfo
from medray.errors import InputError, LabelError, RunError, StoreError
from medray.lifecycle.summary import Progress
from medray.types import Header, State

HEAD_BYTES = 64 * 1024
TAIL_BYTES = 4 * 1024
BATCH = 256
_SEQUENCE_DELIMITER = bytes.fromhex("feffdde000000000")  # ends encapsulated pixel data (PS3.5 A.4)


@dataclass(frozen=True)
class IngestSummary:
    """objects = images + excluded + quarantined + failed; unchanged of them were known from before."""

    objects: int
    images: int
    excluded: int
    quarantined: int
    failed: int
    unchanged: int
    labelled: int | None = None
    reasons: dict[str, int] = field(default_factory=dict)


def ingest(source: str, catalog_uri: str, labels_uri: str | None = None, progress: Progress | None = None) -> IngestSummary:
    """Bring the catalog up to date with an archive; objects whose size and etag are known are not read again.

    What is no longer in the archive stays in the catalog as FAILED, so that nothing is trained on it.

    Args:
        source: prefix of the archive.
        catalog_uri: where the catalog is or will be.
        labels_uri: a label table to keep with the catalog.

    Raises:
        StoreError: the archive cannot be listed, or nothing of it could be read.
        LabelError: the labels cannot be read or match no object.
    """
    objects = store.list_objects(source)
    labels = read_labels(labels_uri) if labels_uri else None
    catalog = Catalog(catalog_uri)
    known = catalog.known()
    changed = [info for info in objects if known.get(info.uri) != (info.size, info.etag)]
    rows = list(_inspected(changed, progress))
    if rows and all(item["state"] == State.FAILED for item in rows):
        raise StoreError(
            str(rows[0]["code"]), f"no object of {source} could be read: {rows[0]['message']}", "nothing was recorded"
        )
    rows += _gone(known, objects, store.normalise(source))
    if rows:
        catalog.upsert(rows)
    labelled = None
    if labels is not None:
        labelled = join_keys(catalog.images(), labels)
        if not labelled:
            raise LabelError("LABELS_NO_MATCH", f"no image of {catalog.uri} has a label in {labels_uri}", "check the key column")
        catalog.set_labels(labels)
    return _summary(catalog, objects, len(objects) - len(changed), labelled)


def _gone(known: Mapping[str, tuple[int, str]], objects: list[ObjectInfo], source: str) -> list[dict[str, object]]:
    """Rows for objects under ``source`` that the catalog knows and the archive no longer has."""
    missing = known.keys() - {info.uri for info in objects}
    error = StoreError("OBJECT_GONE", "no longer in the archive")
    return [row(ObjectInfo(uri, *known[uri]), error) for uri in sorted(missing) if uri.startswith(source + "/")]


def _inspected(objects: list[ObjectInfo], progress: Progress | None) -> Iterator[dict[str, object]]:
    done = 0
    for batch in _batches(objects):
        heads = store.read_many([info.uri for info in batch], [(0, min(info.size, HEAD_BYTES)) for info in batch])
        yield from map(_row, batch, heads)
        done += len(batch)
        if progress:
            progress("ingest", done, len(objects))


def _batches(objects: list[ObjectInfo]) -> Iterable[list[ObjectInfo]]:
    return (objects[start : start + BATCH] for start in range(0, len(objects), BATCH))


def _row(info: ObjectInfo, head: bytes | StoreError) -> dict[str, object]:
    try:
        if isinstance(head, StoreError):
            raise head
        return row(info, _header(info, head))
    except (InputError, StoreError) as error:
        return row(info, error)


def _header(info: ObjectInfo, head: bytes) -> Header:
    """Read the header alone; the whole object only where the header is long or its end looks cut."""
    header = inspect(head, info.size)
    if header is not None and (len(head) >= info.size or not _looks_cut(info, header)):
        return header if len(head) < info.size else decode(head).header
    return decode(store.read(info.uri)).header


def _looks_cut(info: ObjectInfo, header: Header) -> bool:
    if not UID(header.transfer_syntax).is_encapsulated:
        return False
    (tail,) = store.read_many([info.uri], [(max(0, info.size - TAIL_BYTES), info.size)])
    return isinstance(tail, bytes) and _SEQUENCE_DELIMITER not in tail


def _summary(catalog: Catalog, objects: list[ObjectInfo], unchanged: int, labelled: int | None) -> IngestSummary:
    present = {info.uri for info in objects}
    rows = [item for item in catalog.to_arrow().select(["uri", "state", "code"]).to_pylist() if item["uri"] in present]
    states = Counter(item["state"] for item in rows)
    if len(rows) != len(objects):
        raise RunError("RUN_DOES_NOT_RECONCILE", f"{len(objects)} objects, {len(rows)} catalog rows", "report this")
    reasons = dict(sorted(Counter(item["code"] for item in rows if item["code"]).items()))
    images, excluded, quarantined, failed = (states[key] for key in (IMAGE, State.EXCLUDED, State.QUARANTINED, State.FAILED))
    return IngestSummary(len(objects), images, excluded, quarantined, failed, unchanged, labelled, reasons)
