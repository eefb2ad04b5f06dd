"""Values of any numeric type → the unsigned integers of at most 16 bits that DICOM stores, with slope and intercept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.valuerep import format_number_as_ds

from medray.data.dicom.luts import rescaled
from medray.data.foreign.picture import ROUNDED
from medray.errors import Quarantined

_LAST = (1 << 16) - 1
_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Stored:
    """``slope * values + intercept`` are the values of the file.

    Attributes:
        values: uint8 or uint16, of the same shape.
        rescale: (slope, intercept) as their 16 characters in DICOM say; None for (1, 0).
        notes: IMPORT_ROUNDED where the values are not met exactly.
    """

    values: NDArray[Any]
    rescale: tuple[float, float] | None = None
    notes: tuple[str, ...] = ()


def as_stored(values: NDArray[Any], slope: float = 1.0, intercept: float = 0.0, *, rounded: bool = False) -> Stored:
    """Store ``slope * values + intercept`` so that medray reads the same float32 values.

    Whole numbers that span less than 65,536 are met exactly, and so are others that lie on a grid of at most 65,536 steps.

    Args:
        values: integers or floating-point numbers.
        slope, intercept: of the file (scl_slope and scl_inter of NIfTI).
        rounded: store what lies on no such grid in 65,535 steps from the smallest to the largest value.

    Raises:
        Quarantined: IMPORT_NOT_FINITE, IMPORT_FLOAT, IMPORT_DEPTH, IMPORT_VALUES.
    """
    if values.dtype.kind not in "uif":
        raise Quarantined("IMPORT_VALUES", f"values of type {values.dtype}, which are not single numbers")
    if not np.isfinite([slope, intercept]).all() or not slope:
        slope, intercept = 1.0, 0.0  # NIfTI-1: a slope of 0 means that there is none
    if values.dtype.kind == "u" and values.dtype.itemsize <= 2:
        return Stored(np.ascontiguousarray(values, values.dtype.newbyteorder("=")), _rescale(slope, intercept))
    low, high = (values.min().item(), values.max().item())
    if not np.isfinite([low, high]).all():
        raise Quarantined("IMPORT_NOT_FINITE", "values that are not finite")
    if max(abs(low * slope + intercept), abs(high * slope + intercept)) > _LARGEST:
        raise Quarantined("IMPORT_NOT_FINITE", "values that are larger than those of float32")
    if high - low <= _LAST and _whole(values):
        return Stored(_above(values), _rescale(slope, slope * low + intercept))
    scaled = np.asarray(values, np.float64) * slope + intercept
    return _on_grid(scaled.astype(np.float32), values.dtype.kind, rounded)


def _above(values: NDArray[Any]) -> NDArray[np.uint16]:
    """By how much values are above the smallest one."""
    wide = values.astype(np.float32 if values.dtype.kind == "f" else np.int32) if values.dtype.itemsize <= 2 else values
    return np.asarray(wide - wide.min()).astype(np.uint16)


def _whole(values: NDArray[Any]) -> bool:
    return values.dtype.kind in "ui" or bool((values == np.rint(values)).all())


def _rescale(slope: float, intercept: float) -> tuple[float, float] | None:
    found = decimal(slope), decimal(intercept)
    return None if found == (1.0, 0.0) else found


def decimal(value: float) -> float:
    """A number after its conversion to a decimal string of 16 characters (PS3.5 6.2, DS)."""
    return float(format_number_as_ds(float(value)))


def _on_grid(values: NDArray[np.float32], kind: str, rounded: bool) -> Stored:
    levels = np.unique(values)
    low, high = float(levels[0]), float(levels[-1])
    if len(levels) == 1:
        return Stored(np.zeros(values.shape, np.uint16), _rescale(1.0, low))
    steps = int(min(np.rint((high - low) / float(np.diff(levels.astype(np.float64)).min())), 1 << 32))
    if steps <= _LAST:
        found = _in_steps(values, low, high, steps)
        if np.array_equal(rescaled(found.values, *(found.rescale or (1.0, 0.0))), values):
            return found
    if rounded:
        found = _in_steps(values, low, high, _LAST)
        return Stored(found.values, found.rescale, (ROUNDED,))
    if kind == "f":
        raise Quarantined("IMPORT_FLOAT", f"{len(levels)} different fractions, which 16 bits do not hold exactly")
    raise Quarantined("IMPORT_DEPTH", "whole numbers that span more than 65,536")


def _in_steps(values: NDArray[np.float32], low: float, high: float, steps: int) -> Stored:
    slope, intercept = decimal((high - low) / steps), decimal(low)
    if not slope:
        raise Quarantined("IMPORT_FLOAT", "fractions too fine for a decimal string")
    stored = np.rint((values.astype(np.float64) - intercept) / slope).clip(0, _LAST).astype(np.uint16)
    return Stored(stored, _rescale(slope, intercept))
