"""Several objects with one SOP Instance UID: the same instance twice, or a contradiction."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

import pyarrow as pa

from medray.data import archive
from medray.errors import InputError
from medray.types import State

DUPLICATE, CONFLICT = "DUPLICATE_INSTANCE", "DICOM_UID_CONFLICT"
_MESSAGES = {
    "": "",
    DUPLICATE: "the same instance as another object",
    CONFLICT: "other objects have the same SOP Instance UID, and other pixels or attributes",
}
_NONE_KNOWN: Mapping[str, str] = MappingProxyType({})


def settled(rows: pa.Table, usable: State | str, images: Mapping[str, str] = _NONE_KNOWN) -> pa.Table:
    """The rows with ``state``, ``code`` and ``message`` set for duplicates and contradictions.

    Of the rows of one SOP Instance UID with equal content, the first by URI is usable and the others are EXCLUDED
    DUPLICATE_INSTANCE; where contents differ, all are QUARANTINED DICOM_UID_CONFLICT. What an earlier call decided is decided
    afresh, so that a row becomes usable again when its equals have gone. A content that is not known ("") equals no other.

    Args:
        rows: usable rows and those with one of these two codes; columns uri, sop_uid, content_sha256, state, code, message.
        usable: the state of a row that has no trouble.
        images: content_sha256 → what the image is, see :func:`images_of`; contents of one image are equal.
    """
    uris, contents = rows["uri"].to_pylist(), rows["content_sha256"].to_pylist()
    codes = [""] * len(uris)
    for indices in _together(rows).values():
        first = min(indices, key=lambda index: uris[index])
        different = {images.get(contents[index], contents[index]) or index for index in indices}
        conflict = len(different) > 1
        for index in indices:
            codes[index] = CONFLICT if conflict else "" if index == first else DUPLICATE
    states = {"": str(usable), DUPLICATE: State.EXCLUDED.value, CONFLICT: State.QUARANTINED.value}
    columns = {"state": [states[code] for code in codes], "code": codes, "message": [_MESSAGES[code] for code in codes]}
    for name, values in columns.items():
        rows = rows.set_column(rows.column_names.index(name), name, pa.array(values, pa.string()))
    return rows


def _together(rows: pa.Table) -> dict[str, list[int]]:
    """Numbers of the rows of each SOP Instance UID."""
    groups: dict[str, list[int]] = defaultdict(list)
    for index, sop_uid in enumerate(rows["sop_uid"].to_pylist()):
        groups[sop_uid].append(index)
    return groups


def images_of(
    rows: pa.Table, known: Mapping[str, str] = _NONE_KNOWN, progress: Callable[[int, int], None] | None = None
) -> dict[str, str]:
    """content_sha256 → what the image is, of the rows whose SOP Instance UID is there with several contents.

    That is :func:`medray.data.identity.image_digest`, for which each of these objects is read whole and decoded, one at a time;
    where its pixels cannot be decoded, its content_sha256: then only equal bytes are equal. What cannot be read is left out.

    Args:
        rows: columns uri, etag, sop_uid, content_sha256; a content may be unknown ("").
        known: what an earlier call gave.
        progress: called with (done, total) objects.
    """
    todo = dict(_unlike(rows, known))
    images = dict(known)
    for done, (content, (uri, etag)) in enumerate(todo.items(), 1):
        (data,) = archive.read_many([uri], etags=[etag])
        if isinstance(data, bytes) and hashlib.sha256(data).hexdigest() == content:
            images[content] = _image(data, content)
        if progress:
            progress(done, len(todo))
    return images


def _unlike(rows: pa.Table, known: Mapping[str, str]) -> Iterator[tuple[str, tuple[str, str]]]:
    """Each content that is not known and has to be compared with another one, and where it is."""
    uris, etags, contents = (rows[name].to_pylist() for name in ("uri", "etag", "content_sha256"))
    for indices in _together(rows).values():
        if len({contents[index] for index in indices}) > 1:
            for index in indices:
                if contents[index] and contents[index] not in known:
                    yield contents[index], (uris[index], etags[index])


def _image(data: bytes, content: str) -> str:
    from medray.data.identity import image_digest  # here, because a run that compares nothing loads no decoder

    try:
        return image_digest(data)
    except InputError:
        return content
