"""The outcome row of one input: its identifiers, its one terminal state, and what a job made of it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import pyarrow as pa

from medray.bundles.inputs import in_groups
from medray.data import archive
from medray.data.catalog import terminal_state
from medray.data.correct import corrected, corrected_mask, needed_permissions
from medray.data.dicom import decode
from medray.data.masks import decode_mask
from medray.data.pseudonym import key_in_use
from medray.data.segmentation import MaskChoice
from medray.data.volume import build_volume
from medray.data.volume_masks import decode_volume_mask
from medray.errors import InputError, MedrayError, Quarantined, StoreError
from medray.imaging.place import masked
from medray.types import Bool, Image, State
from medray.work.job import Done, ImageJob, Volumes, Work

OUTCOME = [
    pa.field("uri", pa.string()),
    pa.field("etag", pa.string()),
    pa.field("sop_uid", pa.string()),
    pa.field("series_uid", pa.string()),
    pa.field("study_uid", pa.string()),
    pa.field("patient_key", pa.string()),
    pa.field("content_sha256", pa.string()),
    pa.field("state", pa.string()),
    pa.field("code", pa.string()),
    pa.field("message", pa.string()),
    pa.field("flags", pa.string()),
]
OUTCOME_COLUMNS = [field.name for field in OUTCOME]
MASK = [pa.field("mask", pa.string()), pa.field("mask_etag", pa.string())]
"""Columns of inputs that come with masks: the mask's URI and etag, "" for an image without one."""

STACK = [pa.field("divided_by", pa.string()), pa.field("value", pa.string())]
"""Columns of volumes: the attributes that tell a stack from others of its series, and its values of them."""

KEYS = ["uri", "etag", *(field.name for field in MASK)]
"""What names one input: an object that changed is another one, and so is one with another mask."""

PATIENT = "patient_key"
"""The pseudonym of a patient: that of the input's row where it has one, so that the key need not be where the work is done."""

IDENTIFIERS = ["series_uid", "study_uid", PATIENT]
"""Identifiers that the row of a volume holds; those of an image are read from its header."""

ONLY_VOLUMES = ("medray.data.volume", "medray.data.volume_masks", "medray.data.correct", "medray.data.correction")
"""Modules that decide nothing where inputs are images."""

ONLY_MASKS = ("medray.data.masks", "medray.data.volume_masks", "medray.data.segmentation")
"""Modules that decide nothing where inputs have no masks."""

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Fetched:
    """The bytes of an input's members and of its mask, or why they could not be had; no mask where the row names none.

    A volume has the members that its row names, none where they are too large; an image is the one member of its own.
    """

    members: tuple[archive.Answer, ...]
    mask: archive.Answer | None = None


def fetch(rows: Sequence[Row], volumes: Volumes | None = None) -> list[Fetched]:
    """Members and masks of a few rows, many requests in flight."""
    members = [_members(row, volumes) for row in rows]
    wanted = [member for found in members for member in found]
    wanted += [(row["mask"], row["mask_etag"]) for row in rows if row.get("mask")]
    answers = iter(archive.read_many([uri for uri, _ in wanted], etags=[etag for _, etag in wanted]))
    contents = [tuple(islice(answers, len(found))) for found in members]
    return [Fetched(found, next(answers) if row.get("mask") else None) for row, found in zip(rows, contents, strict=True)]


def _members(row: Row, volumes: Volumes | None) -> list[tuple[str, str]]:
    """URI and etag of each object that makes up an input."""
    if volumes is None:
        return [(row["uri"], row["etag"])]
    if (row.get("size_bytes") or 0) > volumes.max_bytes:
        return []
    return [(member["uri"], member["etag"]) for member in row["members"]]


def _load(
    row: Row, fetched: Fetched, volumes: Volumes | None, choice: MaskChoice, colour: bool
) -> tuple[dict[str, str], Image | MedrayError]:
    """The outcome columns of one input as far as they are known, and its image, or why there is none."""
    given = (*KEYS, *IDENTIFIERS, *(field.name for field in STACK))
    base = dict.fromkeys(OUTCOME_COLUMNS, "") | {name: row[name] for name in given if name in row}
    try:
        contents = [_bytes(answer) for answer in fetched.members]
        base["content_sha256"] = _sha256(contents)
        image, marked = _decoded(contents, volumes, choice, colour)
        base |= {name: getattr(image.header, name) for name in ("sop_uid", *IDENTIFIERS) if name != PATIENT}
        if PATIENT not in row and key_in_use():
            base[PATIENT] = image.header.patient_key
        if fetched.mask is not None:
            image = masked(image, marked(_bytes(fetched.mask)))
    except (InputError, StoreError) as error:
        return base, error
    return base, image


def _sha256(contents: Sequence[bytes]) -> str:
    """Of the one content, or of the digests of several."""
    digests = [hashlib.sha256(content) for content in contents]
    return digests[0].hexdigest() if len(digests) == 1 else hashlib.sha256(b"".join(one.digest() for one in digests)).hexdigest()


def _decoded(
    contents: Sequence[bytes], volumes: Volumes | None, choice: MaskChoice, colour: bool
) -> tuple[Image, Callable[[bytes], Bool]]:
    """The image of an input, and what its mask marks; a volume has a SOP Instance UID only where one instance holds all of it."""
    if volumes is None:
        image = decode(contents[0], colour=colour)
        return image, lambda mask: decode_mask(mask, image, choice.segment, choice.level)
    if not contents:
        raise Quarantined("VOLUME_TOO_LARGE", f"the slices have more than {volumes.max_bytes} bytes")
    correct, allow = volumes.correct, {*volumes.allow, *needed_permissions(volumes.correct)}
    volume = build_volume(contents, allow=allow, max_bytes=volumes.max_bytes)  # as masks are drawn on it
    whole = corrected(volume, correct, volumes.interpolation, volumes.max_bytes).image()
    header = replace(whole.header, sop_uid=whole.header.sop_uid if len(set(volume.sop_uids)) == 1 else "")

    def marked(mask: bytes) -> Bool:
        return corrected_mask(decode_volume_mask(mask, volume, choice.segment, choice.level), volume, correct)

    return replace(whole, header=header), marked


def _bytes(answer: archive.Answer) -> bytes:
    if isinstance(answer, bytes):
        return answer
    raise answer


def table_of(rows: Sequence[Row], fetched: Sequence[Fetched], job: ImageJob, work: Work, schema: pa.Schema) -> pa.Table:
    """The outcome rows of a few inputs, in order."""
    done = []
    loading = (_load(row, found, job.volumes, job.choice, work.colour) for row, found in zip(rows, fetched, strict=True))
    for loaded in in_groups(loading, work.batch):
        results = iter(work.results([image for _, image in loaded if isinstance(image, Image)]))
        done += [_ended(base, next(results) if isinstance(image, Image) else image) for base, image in loaded]
    names = [*OUTCOME_COLUMNS, *(field.name for field in (*STACK, *MASK) if field.name in schema.names)]
    columns = [pa.array([columns[name] for columns, _ in done], pa.string()) for name in names]
    return pa.Table.from_arrays([*columns, *work.columns([value for _, value in done])], schema=schema)


def _ended(base: Mapping[str, str], result: Done | MedrayError) -> tuple[dict[str, str], Any]:
    """The outcome columns with the terminal state, and what the job made of the input: None unless it is SCORED."""
    if isinstance(result, Done):
        return {**base, "state": State.SCORED.value, "flags": " ".join(result.flags)}, result.value
    return {**base, "state": terminal_state(result).value, "code": result.code, "message": result.message}, None
