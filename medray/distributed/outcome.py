"""The outcome row of one input: its identifiers, its one terminal state, and what a job made of it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from medray.data import archive
from medray.data.catalog import terminal_state
from medray.data.dicom import decode
from medray.data.masks import decode_mask
from medray.distributed.jobs import Done, Result, Work
from medray.errors import InputError, StoreError
from medray.types import Image, State

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

KEYS = ["uri", "etag", *(field.name for field in MASK)]
"""What names one input: an object that changed is another one, and so is one with another mask."""

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Fetched:
    """The bytes of an input and of its mask, or why they could not be had; no mask where the row names none."""

    content: archive.Answer
    mask: archive.Answer | None = None


def fetch(rows: Sequence[Row]) -> list[Fetched]:
    """Images and masks of a few rows, many requests in flight."""
    wanted = [(row["uri"], row["etag"]) for row in rows]
    masked = [index for index, row in enumerate(rows) if row.get("mask")]
    wanted += [(rows[index]["mask"], rows[index]["mask_etag"]) for index in masked]
    answers = archive.read_many([uri for uri, _ in wanted], etags=[etag for _, etag in wanted])
    masks = dict(zip(masked, answers[len(rows) :], strict=True))
    return [Fetched(content, masks.get(index)) for index, content in enumerate(answers[: len(rows)])]


def _load(row: Row, fetched: Fetched) -> tuple[dict[str, str], Image | InputError | StoreError]:
    """The outcome columns of one input as far as they are known, and its image, or why there is none."""
    base = dict.fromkeys(OUTCOME_COLUMNS, "") | {name: row[name] for name in KEYS if name in row}
    try:
        base["content_sha256"] = hashlib.sha256(content := _bytes(fetched.content)).hexdigest()
        image = decode(content)
        base |= {name: getattr(image.header, name) for name in ("sop_uid", "series_uid", "study_uid", "patient_key")}
        if fetched.mask is not None:
            image = replace(image, mask=decode_mask(_bytes(fetched.mask), image))
    except (InputError, StoreError) as error:
        return base, error
    return base, image


def _bytes(answer: archive.Answer) -> bytes:
    if isinstance(answer, bytes):
        return answer
    raise answer


def table_of(rows: Sequence[Row], fetched: Sequence[Fetched], work: Work, schema: pa.Schema) -> pa.Table:
    """The outcome rows of a few inputs, in order."""
    done = []
    for start in range(0, len(rows), work.batch):
        stop = start + work.batch
        loaded = [_load(row, found) for row, found in zip(rows[start:stop], fetched[start:stop], strict=True)]
        results = iter(work.results([image for _, image in loaded if isinstance(image, Image)]))
        done += [_ended(base, next(results) if isinstance(image, Image) else image) for base, image in loaded]
    names = [*OUTCOME_COLUMNS, *(field.name for field in MASK if field.name in schema.names)]
    columns = [pa.array([columns[name] for columns, _ in done], pa.string()) for name in names]
    return pa.Table.from_arrays([*columns, *work.columns([value for _, value in done])], schema=schema)


def _ended(base: Mapping[str, str], result: Result | StoreError) -> tuple[dict[str, str], Any]:
    """The outcome columns with the terminal state, and what the job made of the input: None unless it is SCORED."""
    if isinstance(result, Done):
        return {**base, "state": State.SCORED.value, "flags": " ".join(result.flags)}, result.value
    return {**base, "state": terminal_state(result).value, "code": result.code, "message": result.message}, None
