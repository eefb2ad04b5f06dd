"""Masks that lie in the archive: which image each DICOM SEG refers to."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from medray.data import archive
from medray.data.by_size import by_size
from medray.data.masks import unreadable
from medray.data.segmentation import open_segmentation
from medray.errors import LabelError, Quarantined, StoreError

_NAMED = 5
_UNKNOWN_SIZE_BYTES = 4 << 20

Row = Mapping[str, Any]


def referenced_masks(objects: pa.Table, images: Collection[str], chosen: Collection[str] = ()) -> dict[str, str]:
    """SOP Instance UID → URI of the DICOM SEG that refers to it, of each image that one refers to.

    A SEG refers to images by its frames (Derivation Image) or as a whole (Referenced Series, Source Image; PS3.3 C.8.20). On
    images of the whole of which it has no frame it marks nothing (see :func:`medray.data.masks.decode_mask`). Copies are one.

    Args:
        objects: rows of segmentations (:meth:`medray.data.catalog.Catalog.segmentations`); their bytes are read, 64 MiB at once.
        images: SOP Instance UIDs of the images in question.
        chosen: SOP Instance UIDs of the SEGs that count where several refer to one image.

    Raises:
        LabelError: MASKS_SEVERAL, MASKS_UNREADABLE; StoreError.
    """
    found: dict[str, dict[str, str]] = defaultdict(dict)
    wanted = set(images)
    for row, uids in _references(objects.select(["uri", "etag", "size_bytes", "sop_uid"]).sort_by("uri").to_pylist()):
        for uid in uids & wanted:
            found[uid][row["uri"]] = row["sop_uid"]
    masks = {uid: _one(candidates, chosen) for uid, candidates in found.items()}
    if several := sorted(uid for uid, mask in masks.items() if mask is None):
        uris = " and ".join(list(found[several[0]])[:_NAMED])
        more = f", and {len(several) - 1} other images have several" if len(several) > 1 else ""
        raise LabelError("MASKS_SEVERAL", f"the image {several[0]} has the segmentations {uris}{more}", "choose one by its UID")
    return {uid: mask for uid, mask in masks.items() if mask is not None}


def _one(candidates: Mapping[str, str], chosen: Collection[str]) -> str | None:
    """The URI of the one candidate, or of the one that is chosen; None where there is no such one."""
    if len(candidates) > 1:
        candidates = {uri: sop_uid for uri, sop_uid in candidates.items() if sop_uid in chosen}
    return next(iter(candidates)) if len(candidates) == 1 else None


def _references(rows: Sequence[Row]) -> Iterator[tuple[Row, set[str]]]:
    """Each SEG and the images that it refers to; of copies the first."""
    seen: set[tuple[str, bytes]] = set()
    broken = []
    for group in by_size(rows, _size_bytes):
        answers = archive.read_many([row["uri"] for row in group], etags=[row["etag"] for row in group])
        for row, answer in zip(group, answers, strict=True):
            if isinstance(answer, StoreError):
                raise answer
            if not isinstance(answer, bytes):
                broken.append(row["uri"])
                continue
            identity = row["sop_uid"], hashlib.sha256(answer).digest()
            if identity in seen:
                continue
            seen.add(identity)
            try:
                yield row, _images(answer)
            except Quarantined:
                broken.append(row["uri"])
    if broken:
        shown = ", ".join(broken[:_NAMED]) + (", …" if len(broken) > _NAMED else "")
        hint = "look at them with a DICOM viewer, or take them out of the archive"
        raise LabelError("MASKS_UNREADABLE", f"{len(broken)} of {len(rows)} segmentations cannot be read: {shown}", hint)


def _images(data: bytes) -> set[str]:
    with unreadable():
        opened = open_segmentation(data)
        frames = (opened.sources(frame) for frame in range(opened.pixel.frames))
        return {one.sop_uid for references in (opened.instances, *frames) for one in references}


def _size_bytes(row: Row) -> int:
    size: int = row["size_bytes"]
    return size if size >= 0 else _UNKNOWN_SIZE_BYTES
