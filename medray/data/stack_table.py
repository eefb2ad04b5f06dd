"""Catalog rows → one row for each stack of each series."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

import pyarrow as pa

from medray.data.series import FIELDS, Plane, Stack, mixture, stacks

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
        pa.field("problems", pa.list_(pa.string())),
    ]
)
"""``stack`` counts from 0 in its series; ``spacing_mm`` is that of slices, rows and columns; ``problems`` are codes, sorted."""


def stack_table(rows: pa.Table) -> pa.Table:
    """One row for each stack (see :data:`SCHEMA`), sorted by study, series and stack.

    Args:
        rows: catalog rows that are images; columns named as the fields of :class:`medray.types.Header`.

    The frames of a multi-frame image are not in the catalog: it is a stack of its own, without spacing of slices and problems.
    """
    columns = [rows[name].to_pylist() for name in FIELDS]
    planes = [_plane(values, number) for number, values in enumerate(zip(*columns, strict=True))]
    series = groupby(stacks(planes), key=lambda stack: stack.series)
    return pa.Table.from_pylist([row for _, group in series for row in _rows(list(group))], schema=SCHEMA)


def _plane(values: Sequence[object], number: int) -> Plane:
    fields = {name: tuple(value) if isinstance(value, list) else value for name, value in zip(FIELDS, values, strict=True)}
    return Plane(**fields, source=number)  # type: ignore[arg-type]


def _rows(found: Sequence[Stack]) -> Iterator[dict[str, object]]:
    mixed = {mixture(found)} - {""} if len(found) > 1 else set()
    for number, stack in enumerate(found):
        first, codes = stack.planes[0], {trouble.code for trouble in stack.troubles}
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
            "problems": sorted(codes | mixed),
        }
