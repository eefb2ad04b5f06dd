"""Sequence of Ultrasound Regions (0018,6011) → the regions of an image that are measured (PS3.3 C.8.5.5)."""

from __future__ import annotations

import math
from functools import lru_cache

from medray.data.dicom import tags
from medray.data.dicom.dataset import DataSet
from medray.data.ultrasound import TWO_D, Regions, common_spacing, same_scale, within
from medray.types import UltrasoundRegion

MOST_REGIONS = 64
_CENTIMETRES = 3  # C.8.5.5.1.15
_MEASURED = range(1, 5)  # 2-D, M-mode, spectral, waveform; not graphics
_BOX = (tags.REGION_MIN_Y, tags.REGION_MIN_X, tags.REGION_MAX_Y, tags.REGION_MAX_X)
_UNITS = (tags.PHYSICAL_UNITS_Y, tags.PHYSICAL_UNITS_X)
_DELTAS = (tags.PHYSICAL_DELTA_Y, tags.PHYSICAL_DELTA_X)
_READ = (tags.REGION_SPATIAL_FORMAT, *_BOX, *_UNITS, *_DELTAS)

Raw = tuple[bytes | None, ...]


def measured_regions(found: DataSet) -> tuple[tuple[float, float] | None, Regions, tuple[str, ...]]:
    """The regions that meet the image, cut to it, with the spacing in which the 2-D ones agree.

    Flags are VALUE_INVALID, US_REGION_OUTSIDE and US_REGIONS_MIXED. Without a 2-D region there is neither spacing nor region.
    """
    items = tuple(tuple(map(item.values.get, _READ)) for item in found.items[tags.ULTRASOUND_REGIONS])
    return _read(items, found.whole(tags.ROWS) or 0, found.whole(tags.COLUMNS) or 0, found.little)


@lru_cache(maxsize=1024)  # images of a series share their regions
def _read(
    items: tuple[Raw, ...], rows: int, columns: int, little: bool
) -> tuple[tuple[float, float] | None, Regions, tuple[str, ...]]:
    sets = [DataSet({tag: raw for tag, raw in zip(_READ, one, strict=True) if raw is not None}, little=little) for one in items]
    measured = [one for one in sets if one.whole(tags.REGION_SPATIAL_FORMAT) in _MEASURED]
    if len(measured) > MOST_REGIONS:
        return None, (), ("VALUE_INVALID",)
    stated = [_region(one, rows, columns) for one in measured]
    regions = within(stated, rows, columns)
    planar = any(region.spatial_format == TWO_D for region in regions)
    odd = {
        "US_REGION_OUTSIDE": any(region.bottom > rows + 1 or region.right > columns + 1 for region in stated),
        "US_REGIONS_MIXED": planar and not all(same_scale(region, regions[0]) for region in regions),
        "VALUE_INVALID": any(map(_lacks_scale, measured)),
    }
    return common_spacing(regions), regions if planar else (), tuple(flag for flag, holds in odd.items() if holds)


def _region(item: DataSet, rows: int, columns: int) -> UltrasoundRegion:
    """One region; it takes the whole image where it does not say which part."""
    kind = item.whole(tags.REGION_SPATIAL_FORMAT) or 0
    row_mm, column_mm = _scale_mm(item) if kind == TWO_D else (None, None)
    top, left, bottom, right = (item.long(tag) for tag in _BOX)
    if top is None or left is None or bottom is None or right is None or top > bottom or left > right:
        return UltrasoundRegion(kind, 0, 0, rows, columns, row_mm, column_mm)
    return UltrasoundRegion(kind, top, left, bottom + 1, right + 1, row_mm, column_mm)


def _scale_mm(item: DataSet) -> tuple[float, float] | tuple[None, None]:
    """(row, column) distance of pixels of a region in centimetres; the signs of the deltas are directions."""
    row_mm, column_mm = (abs(item.doubles(tag)[0]) * 10 if item.doubles(tag) else 0.0 for tag in _DELTAS)
    sound = _in_centimetres(item) and 0 < row_mm < math.inf and 0 < column_mm < math.inf
    return (row_mm, column_mm) if sound else (None, None)


def _in_centimetres(item: DataSet) -> bool:
    return all(item.whole(tag) == _CENTIMETRES for tag in _UNITS)


def _lacks_scale(item: DataSet) -> bool:
    return item.whole(tags.REGION_SPATIAL_FORMAT) == TWO_D and _in_centimetres(item) and None in _scale_mm(item)
