"""Which input has which mask: as a table of masks or a column of labels names them, and whether each is there."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping, Sequence

import pyarrow as pa

from medray.data import store
from medray.data.label_values import as_labels
from medray.data.labels import folder_of, read_labels, require_columns
from medray.errors import LabelError, StoreError

KEY_COLUMNS = {"sop_uid": "SOPInstanceUID", "series_uid": "SeriesInstanceUID"}

_NAMED = 5
_LISTINGS = 64
_ABSENT = {"STORE_NOT_FOUND", "STORE_EMPTY"}


def read_masks(uri: str, key: str = "sop_uid") -> pa.Table:
    """A table of masks: the key of each input and ``mask``, the URI of its mask.

    Args:
        uri: CSV or Parquet table with the columns SOPInstanceUID (or SeriesInstanceUID) and mask: a URI, or a path relative to
            the table; an empty one means that there is none.
        key: ``sop_uid`` for masks of images, ``series_uid`` for those of volumes; rows without it are for others.

    Raises:
        LabelError: LABELS_UNREADABLE, LABELS_NO_KEY, MASKS_COLUMNS, MASKS_CONFLICT.
        StoreError: the table cannot be fetched.
    """
    table = read_labels(uri)
    if not {key, "mask"} <= set(table.column_names):
        raise LabelError("MASKS_COLUMNS", f"{uri} lacks a column {KEY_COLUMNS[key]} or mask", "give the columns these names")
    found: dict[str, str] = {}
    for uid, mask in zip(table[key].to_pylist(), mask_uris(table, "mask"), strict=True):
        if uid and mask and found.setdefault(uid, mask) != mask:
            raise LabelError("MASKS_CONFLICT", f"{uri} names two masks for one {KEY_COLUMNS[key]}, {uid}", "merge them into one")
    return pa.table({key: pa.array(found, pa.string()), "mask": pa.array(found.values(), pa.string())})


def mask_uris(labels: pa.Table, column: str) -> list[str]:
    """The URI of the mask that each row of a label table names, "" where it names none.

    Args:
        labels: as :func:`medray.data.labels.read_labels` or :meth:`medray.data.catalog.Catalog.labels` returns it.
        column: its values are URIs, absolute paths, or paths relative to the folder where the label table lay.

    Raises:
        LabelError: LABELS_NO_TARGET; MASKS_NO_FOLDER where paths are relative and the labels were kept without their folder.
    """
    require_columns(labels, [column])
    folder = folder_of(labels)
    return [_place(value, folder) for value in as_labels(labels[column]).to_pylist()]


def _place(mask: str, folder: str | None) -> str:
    if not mask or "://" in mask:
        return store.normalise(mask) if mask else ""
    if folder is None and not mask.startswith("/"):
        raise LabelError(
            "MASKS_NO_FOLDER", f"nothing says which folder the mask {mask} lies in", "run `medray ingest … --labels FILE` again"
        )
    protocol, separator, path = (mask if mask.startswith("/") else f"{folder}/{mask}").rpartition("://")
    return protocol + separator + posixpath.normpath(path)


def with_masks(
    rows: pa.Table, masks: Sequence[str], etags: Mapping[str, str] | None = None, *, all_there: bool = True
) -> pa.Table:
    """The rows with the columns ``mask`` and ``mask_etag``, "" where there is none; they replace columns of these names.

    Args:
        rows: of inputs.
        masks: the URI of the mask of each row, or "".
        etags: of masks, by URI, where they are known; the folders of the others are listed.
        all_there: refuse a mask that is not there; else its etag is "", and reading it will fail.

    Raises:
        LabelError: MASKS_NOT_FOUND; StoreError.
    """
    named = [mask for mask in dict.fromkeys(masks) if mask]
    known = dict(etags or {})
    try:
        known |= _listed([mask for mask in named if mask not in known])
    except StoreError as error:
        if not all_there or error.code not in _ABSENT:
            raise
        raise LabelError("MASKS_NOT_FOUND", f"there are no masks: {error.message}", error.hint) from error
    if all_there and (missing := [mask for mask in named if mask not in known]):
        shown = ", ".join(missing[:_NAMED]) + (", …" if len(missing) > _NAMED else "")
        raise LabelError("MASKS_NOT_FOUND", f"{len(missing)} of {len(named)} masks are not there: {shown}", "correct their names")
    etag = pa.array([known.get(mask, "") for mask in masks], pa.string())
    rows = rows.select([name for name in rows.column_names if name not in ("mask", "mask_etag")])
    return rows.append_column("mask", pa.array(masks, pa.string())).append_column("mask_etag", etag)


def _listed(uris: Sequence[str]) -> dict[str, str]:
    """Etag of each object that is there, by a listing of each folder."""
    wanted = set(uris)
    return {info.uri: info.etag for folder in _folders(uris) for info in store.list_objects(folder) if info.uri in wanted}


def _folders(uris: Iterable[str]) -> list[str]:
    """Few folders that hold all objects, none inside another; where there are many, what is above them."""
    found = _outermost(uri.rpartition("/")[0] + "/" for uri in uris)
    while len(found) > _LISTINGS and (above := _outermost(map(_parent, found))) != found:
        found = above
    return found


def _outermost(folders: Iterable[str]) -> list[str]:
    found: list[str] = []
    for folder in sorted(set(folders)):
        if not found or not folder.startswith(found[-1]):
            found.append(folder)
    return found


def _parent(folder: str) -> str:
    """The folder above one; a bucket, and the root of a disk, has none."""
    protocol, separator, path = folder.rpartition("://")
    above = path.rstrip("/").rpartition("/")[0] + "/"
    return folder if separator and above == "/" else protocol + separator + above
