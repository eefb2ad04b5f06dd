"""Images that hold the slices of a volume side by side: Siemens MOSAIC, UIH VFRAME. How they are cut, and where the slices lie.

As dcm2niix and nibabel (``nibabel/nicom/dicomwrappers.py``, MosaicWrapper) read them: n slices lie row by row in a square of
ceil(sqrt(n)) tiles, in a UIH image perhaps in fewer rows of tiles.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from medray.data.dicom import private_tags, tags
from medray.data.dicom.csa import csa_values
from medray.data.dicom.dataset import DataSet
from medray.data.dicom.private import private_tag
from medray.data.geometry import axes
from medray.data.plane import GRIDS, Plane
from medray.errors import Excluded
from medray.types import Bool, Float32, Float64, Header, Image

_MOST_SLICES = 4096
_CSA_NAMES = frozenset({"NumberOfImagesInMosaic", "SliceNormalVector"})
_PARALLEL = 0.999
"""Cosine of the angle between the stated slice normal and the one of the image orientation, at least."""


@dataclass(frozen=True)
class Grid:
    """How an image is cut into slices.

    Attributes:
        rows, columns: of a slice.
        across: number of slices side by side.
        positions_mm: float64 (slices, 3), of the centre of each slice's first pixel, in LPS.
        notes: as of :class:`medray.data.plane.Plane`.
    """

    rows: int
    columns: int
    across: int
    positions_mm: Float64
    notes: tuple[str, ...] = ()

    def planes(self, whole: Plane) -> Iterator[Plane]:
        """The slices, of the plane of the whole image; each image is a volume, which its UID keeps apart from others."""
        kind = tuple(part for part in whole.image_type if part not in GRIDS)
        common = replace(whole, rows=self.rows, columns=self.columns, image_type=kind, stack_id=whole.sop_uid, notes=self.notes)
        for tile, (x, y, z) in enumerate(self.positions_mm.tolist()):
            yield replace(common, frame=tile, position_mm=(x, y, z))

    def tile(self, image: Image, tile: int) -> Image:
        """One slice of the whole image."""
        down, along = divmod(tile, self.across)
        rows = slice(down * self.rows, (down + 1) * self.rows)
        columns = slice(along * self.columns, (along + 1) * self.columns)
        pixels: Float32 = image.pixels[rows, columns]
        valid: Bool | None = None if image.valid is None else image.valid[rows, columns]
        return replace(image, pixels=pixels, valid=valid, header=replace(image.header, rows=self.rows, columns=self.columns))


def grid_of(dataset: DataSet, header: Header) -> Grid | None:
    """The grid of an image, or None where it holds one slice.

    Raises:
        Excluded: VOLUME_MOSAIC, an image that says it is a grid, but not what is needed to cut it and to place its slices.
    """
    if "MOSAIC" in header.image_type:
        return _mosaic(dataset, header)
    return _vframe(dataset, header) if "VFRAME" in header.image_type else None


def _mosaic(dataset: DataSet, header: Header) -> Grid:
    csa = _csa(dataset)
    count = _count(csa.get("NumberOfImagesInMosaic", ()), _stated_count(dataset))
    rows, columns, across = _cut(header, count, square=True)
    directions, spacing, corner = axes(header.orientation), header.spacing_mm, header.position_mm
    step = dataset.decimal(tags.SPACING_BETWEEN_SLICES)
    if directions is None or spacing is None or corner is None or not step or step < 0:
        raise _refused("position, orientation, Pixel Spacing or Spacing Between Slices is missing")
    sign, notes = _direction(csa.get("SliceNormalVector", ()), directions)
    # the position is that of the corner of an image as large as the whole around the centre of the first slice
    beside = np.array([(header.columns - columns) / 2 * spacing[1], (header.rows - rows) / 2 * spacing[0]])
    first = np.asarray(corner) + beside @ directions[:2]
    return Grid(rows, columns, across, first + np.outer(np.arange(count), sign * step * directions[2]), notes)


def _vframe(dataset: DataSet, header: Header) -> Grid:
    stated, listed = (private_tag(dataset, element) for element in (private_tags.UIH_SLICE_COUNT, private_tags.UIH_SLICES))
    items = dataset.items.get(listed, ()) if listed else ()
    count = _count(dataset.texts(stated) if stated else (), len(items) or None)
    rows, columns, across = _cut(header, count, square=False)
    positions = [item.decimals(tags.IMAGE_POSITION) for item in items]
    if not positions or not all(position is not None and len(position) == 3 for position in positions):
        raise _refused("the slices of the grid do not say where they lie (0065,1051)")
    return Grid(rows, columns, across, np.array(positions, dtype=np.float64))


def _csa(dataset: DataSet) -> dict[str, tuple[str, ...]]:
    tag = private_tag(dataset, private_tags.CSA_IMAGE_HEADER)
    return csa_values(dataset.values.get(tag, b""), _CSA_NAMES) if tag else {}


def _stated_count(dataset: DataSet) -> int | None:
    tag = private_tag(dataset, private_tags.MOSAIC_IMAGES)
    return dataset.whole(tag) if tag else None


def _count(texts: tuple[str, ...], other: int | None) -> int:
    """The number of slices, on which two sources agree where both are there."""
    try:
        first = int(float(texts[0])) if texts else other
    except (ValueError, OverflowError):
        raise _refused("the number of its slices is not a number") from None
    if first is None or not 1 <= first <= _MOST_SLICES or (other or first) != first:
        raise _refused("the number of its slices is missing, out of range, or stated twice and not equal")
    return first


def _cut(header: Header, count: int, *, square: bool) -> tuple[int, int, int]:
    """Rows and columns of a slice, and how many lie side by side; a UIH grid has no more rows of slices than it needs."""
    across = math.isqrt(count - 1) + 1
    down = across if square or header.rows % -(-count // across) else -(-count // across)
    if header.rows % down or header.columns % across or header.frames > 1:
        raise _refused(f"{header.frames} × {header.rows} × {header.columns} pixels do not divide into a grid of {count} slices")
    return header.rows // down, header.columns // across, across


def _direction(texts: tuple[str, ...], directions: Float64) -> tuple[int, tuple[str, ...]]:
    """Whether the slices follow the cross product of row and column (1) or go against it (-1)."""
    if len(texts) != 3:
        return 1, ("VOLUME_DIRECTION",)
    try:
        cosine = float(np.array([float(text) for text in texts]) @ directions[2])
    except ValueError:
        cosine = 0.0
    if not _PARALLEL <= abs(cosine) <= 2 - _PARALLEL:
        raise _refused("the slice normal of its CSA header is not that of its orientation")
    return (1 if cosine > 0 else -1), ()


def _refused(why: str) -> Excluded:
    return Excluded("VOLUME_MOSAIC", f"an image of many slices side by side that cannot be split: {why}")
