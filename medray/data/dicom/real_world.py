"""Real-world value mappings (PS3.3 C.7.6.16.2.11): what the values of an image measure, in which units; read, not applied."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from medray.data.dicom import real_world_tags as names
from medray.data.dicom import tags
from medray.data.dicom.dataset import DataSet
from medray.data.dicom.functional import group_items
from medray.data.dicom.units import term
from medray.types import RealWorldMap


def stored_maps(found: DataSet, frame: int) -> tuple[tuple[RealWorldMap, ...], tuple[str, ...]]:
    """The mappings of the stored values of a frame, in order; and REAL_WORLD_INVALID where an invalid one is left out.

    Args:
        found: the data set.
        frame: counted from 0.
    """
    if not found.items:
        return (), ()
    items = group_items(found, frame, names.MAPPING) or found.items.get(names.MAPPING, ())
    read = [_map(item, signed=found.whole(tags.PIXEL_REPRESENTATION) == 1) for item in items]
    return tuple(one for one in read if one is not None), ("REAL_WORLD_INVALID",) if None in read else ()


def pixel_maps(
    maps: Sequence[RealWorldMap], slope: float, intercept: float, *, bits: int, signed: bool
) -> tuple[RealWorldMap, ...]:
    """Mappings of stored values → the same of pixels that are slope * stored value + intercept, where their numbers are finite.

    Args:
        maps: as :func:`stored_maps` gives them.
        slope, intercept: of the pixels; the slope is not 0.
        bits, signed: of the stored values. A mapping that holds for every one of them has no ends.
    """
    lowest = -(1 << bits - 1) if signed else 0
    stored = lowest, lowest + (1 << bits) - 1
    mapped = [_of_pixels(one, slope, intercept, stored) for one in maps]
    return tuple(one for one in mapped if math.isfinite(one.slope) and math.isfinite(one.intercept))


def common_maps(found: Sequence[tuple[RealWorldMap, ...]]) -> tuple[RealWorldMap, ...]:
    """The mappings of all slices of a volume, none where they differ."""
    first = found[0]
    return first if all(len(one) == len(first) and all(map(_alike, one, first)) for one in found[1:]) else ()


def _map(item: DataSet, *, signed: bool) -> RealWorldMap | None:
    """A mapping of stored values with half a step on both sides; None where it lacks its range, its units or its numbers."""
    units = item.first_item(names.MEASUREMENT_UNITS)
    code = term(units.text(tags.CODE_VALUE)) if units is not None else ""
    first = _end(item, names.FIRST, names.FIRST_DOUBLE, signed=signed)
    last = _end(item, names.LAST, names.LAST_DOUBLE, signed=signed)
    if not code or first is None or last is None or first > last:
        return None
    label, low, high = item.text(names.LABEL), first - 0.5, last + 0.5
    if names.LUT in item:
        values = np.array(item.doubles(names.LUT))
        sound = len(values) == last - first + 1 and bool(np.isfinite(values).all())
        return RealWorldMap(code, label, low, high, 1.0, -first, values) if sound else None
    slopes, intercepts = item.doubles(names.SLOPE)[:1], item.doubles(names.INTERCEPT)[:1]
    if not slopes or not intercepts or not math.isfinite(slopes[0]) or not math.isfinite(intercepts[0]):
        return None
    return RealWorldMap(code, label, low, high, slopes[0], intercepts[0])


def _end(item: DataSet, tag: int, double: int, *, signed: bool) -> float | None:
    """An end of the range that is mapped: US or SS as Pixel Representation says, else FD."""
    value = item.whole(tag)
    if value is not None:
        return float(value - (1 << 16) if signed and value >= 1 << 15 else value)
    found = item.doubles(double)
    return found[0] if found and math.isfinite(found[0]) else None


def _of_pixels(one: RealWorldMap, slope: float, intercept: float, stored: tuple[int, int]) -> RealWorldMap:
    ends = one.low if one.low > stored[0] else -math.inf, one.high if one.high < stored[1] else math.inf
    low, high = sorted(slope * end + intercept for end in ends)
    return replace(one, low=low, high=high, slope=one.slope / slope, intercept=one.intercept - one.slope * intercept / slope)


def _alike(one: RealWorldMap, other: RealWorldMap) -> bool:
    """Whether two mappings are one, within the precision of decimal strings."""
    if (one.units, one.label, one.values is None) != (other.units, other.label, other.values is None):
        return False
    numbers = [(each.slope, each.intercept, each.low, each.high) for each in (one, other)]
    close = all(a == b or math.isclose(a, b, rel_tol=1e-6) for a, b in zip(*numbers, strict=True))
    return close and (one.values is None or other.values is None or np.array_equal(one.values, other.values))
