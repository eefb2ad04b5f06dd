"""Catalog rows → one row for each stack of each series: its description, or its members."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import pyarrow as pa

from medray.data.plane import FIELDS, Plane
from medray.data.series import Stack, mixture, stacks
from medray.data.stack_choice import beside
from medray.spec import fingerprint

SCHEMA = pa.schema(
    [
        pa.field("study_uid", pa.string()),
        pa.field("series_uid", pa.string()),
        pa.field("stack", pa.int32()),
        pa.field("patient_key", pa.string()),
        pa.field("modality", pa.string()),
        pa.field("instances", pa.int32()),
        pa.field("frames", pa.int32()),
        pa.field("rows", pa.int32()),
        pa.field("columns", pa.int32()),
        pa.field("spacing_mm", pa.list_(pa.float64())),
        pa.field("orientation", pa.string()),
        pa.field("divided_by", pa.string()),
        pa.field("value", pa.string()),
        pa.field("problems", pa.list_(pa.string())),
    ]
)
"""``stack`` counts from 0 in its series; ``spacing_mm`` is that of slices, rows and columns; ``problems`` are codes, sorted.

``divided_by`` names the attributes that tell a stack from others at the same places, ``value`` its values of them, as text: of
times, seconds after the first; both are "" for a stack that is alone.
"""

MEMBERS = pa.list_(pa.struct([pa.field("uri", pa.string()), pa.field("etag", pa.string())]))
VOLUMES = pa.schema(
    [
        pa.field("uri", pa.string()),
        pa.field("etag", pa.string()),
        pa.field("size_bytes", pa.int64()),
        pa.field("members", MEMBERS),
        pa.field("series_uid", pa.string()),
        pa.field("study_uid", pa.string()),
        pa.field("patient_key", pa.string()),
        pa.field("divided_by", pa.string()),
        pa.field("value", pa.string()),
    ]
)
"""A stack as an input: ``uri`` names it, ``etag`` is the fingerprint of its members, ``size_bytes`` their sum, -1 if unknown."""


def stack_table(rows: pa.Table) -> pa.Table:
    """One row for each stack (see :data:`SCHEMA`), sorted by study, series and stack.

    Args:
        rows: catalog rows that are images; columns named as the fields of :class:`medray.types.Header`.

    The frames of a multi-frame image are not in the catalog: it is a stack of its own, without spacing of slices and problems.
    """
    return pa.Table.from_pylist([row for found in _series(rows) for row in _rows(found)], schema=SCHEMA)


def volume_table(rows: pa.Table) -> pa.Table:
    """One row for each stack (see :data:`VOLUMES`), sorted by URI, which is ``SERIES_UID#STACK``.

    The members are all that belong to the stack, also two at one place, so that building it finds what is wrong. Stacks that
    only instance numbers tell apart are one input, and so is a series of several patients; building refuses them.

    Args:
        rows: as of :func:`stack_table`, with ``uri``, ``etag`` and ``size_bytes``.
    """
    objects = rows.select(["uri", "etag", "size_bytes"]).to_pylist()
    made = []
    for found in _series(rows):
        for number, group in _inputs(found):
            planes = [plane for stack in group for plane in (*stack.planes, *stack.repeats)]
            members = sorted((objects[plane.source] for plane in planes), key=lambda item: str(item["uri"]))
            names = _division(group[0]) if len(group) == 1 else {"divided_by": "", "value": ""}
            made.append({**_volume(planes[0], members), **names, "uri": f"{planes[0].series_uid}#{number}"})
    return pa.Table.from_pylist(made, schema=VOLUMES).sort_by("uri")


def _inputs(found: Sequence[Stack]) -> Iterator[tuple[int, list[Stack]]]:
    """The stacks of a series that are one input, with the number of the first."""
    if mixture(found) == "VOLUME_MIXED_PATIENTS":
        yield 0, list(found)
        return
    for _, numbered in groupby(enumerate(found), key=lambda item: _company(*item)):
        some = list(numbered)
        yield some[0][0], [stack for _, stack in some]


def _company(number: int, stack: Stack) -> int:
    """The same for stacks that nothing but instance numbers tells apart: they share one trouble."""
    return next((id(trouble) for trouble in stack.troubles if trouble.code == "VOLUME_SEVERAL_STACKS"), -1 - number)


def _division(stack: Stack) -> dict[str, str]:
    names, values = zip(*stack.divided_by, strict=True) if stack.divided_by else ((), ())
    return {"divided_by": ", ".join(names), "value": ", ".join(values)}


def _volume(first: Plane, members: Sequence[dict[str, Any]]) -> dict[str, object]:
    sizes = [item["size_bytes"] for item in members]
    return {
        "etag": fingerprint([[item["uri"], item["etag"]] for item in members]),
        "size_bytes": -1 if any(size is None or size < 0 for size in sizes) else sum(sizes),
        "members": [{"uri": item["uri"], "etag": item["etag"]} for item in members],
        **{name: getattr(first, name) for name in ("series_uid", "study_uid", "patient_key")},
    }


def _series(rows: pa.Table) -> Iterator[list[Stack]]:
    """The stacks of each series."""
    columns = [rows[name].to_pylist() for name in FIELDS]
    planes = [_plane(values, number) for number, values in enumerate(zip(*columns, strict=True))]
    for _, found in groupby(stacks(planes), key=lambda stack: stack.series):
        yield list(found)


def _plane(values: Sequence[object], number: int) -> Plane:
    fields = {name: tuple(value) if isinstance(value, list) else value for name, value in zip(FIELDS, values, strict=True)}
    return Plane(**fields, source=number)  # type: ignore[arg-type]


def _rows(found: Sequence[Stack]) -> Iterator[dict[str, object]]:
    aside = beside(found)
    mixed = {mixture([stack for number, stack in enumerate(found) if number not in aside])} - {""}
    for number, stack in enumerate(found):
        first, codes = stack.planes[0], {trouble.code for trouble in stack.troubles}
        codes |= {aside[number]} if number in aside else mixed
        yield {
            "study_uid": first.study_uid,
            "series_uid": first.series_uid,
            "stack": number,
            "patient_key": first.patient_key,
            "modality": first.modality,
            "instances": len({plane.sop_uid for plane in stack.planes}),
            "frames": sum(plane.frames for plane in stack.planes),
            "rows": first.rows,
            "columns": first.columns,
            "spacing_mm": stack.spacing_mm,
            "orientation": stack.orientation_name,
            **_division(stack),
            "problems": sorted(codes),
        }
