"""Real-world value mapping."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from medray.errors import Excluded
from medray.imaging.op import OpSpec, finite, in_units
from medray.types import Float32, Image, RealWorldMap


class RealWorld(OpSpec):
    """Apply the image's real-world value mapping to some units: an apparent diffusion coefficient, say, in mm2/s.

    Pixels outside the range that is mapped become invalid. A table takes the nearest entry, for pixels between stored values.
    Excluded as REAL_WORLD_MISSING where the image has no mapping to these units, or not the same one in all slices of a volume,
    and as REAL_WORLD_SEVERAL where it has more than one and no label says which. Put it first: what was resampled is still mapped
    right, what was brought to other units has no mapping any more.
    """

    source: ClassVar[str] = "DICOM PS3.3 C.7.6.16.2.11"
    dimensions: ClassVar[tuple[int, ...]] = (2, 3)
    brings_units: ClassVar[bool] = True
    op: Literal["real_world"] = "real_world"
    units: str = Field(pattern="^[!-~]{1,64}$", description="code of the units as the image states it, in UCUM as a rule")
    label: str | None = Field(None, max_length=64, description="LUT Label of the mapping, where several have these units")

    def unit_range_after(self, before: bool) -> bool:
        """Never."""
        return False


def real_world(image: Image, spec: RealWorld) -> Image:
    """The image in the units of the mapping.

    Raises:
        Excluded: REAL_WORLD_MISSING, REAL_WORLD_SEVERAL.
    """
    chosen = _chosen(image, spec)
    mapped = (image.pixels > chosen.low) & (image.pixels < chosen.high)
    valid = mapped if image.valid is None else mapped & image.valid
    result = in_units(image, _values(image.pixels, chosen), spec.units)
    return result if image.valid is None and valid.all() else replace(result, valid=valid)


def _chosen(image: Image, spec: RealWorld) -> RealWorldMap:
    found = [one for one in image.real_world if one.units == spec.units and spec.label in (None, one.label)]
    if not found:
        known = ", ".join(sorted({one.units for one in image.real_world})) or "none"
        raise Excluded("REAL_WORLD_MISSING", f"no real-world value mapping of the pixels to {spec.units}; there are: {known}")
    if len(found) > 1:
        raise Excluded("REAL_WORLD_SEVERAL", f"{len(found)} real-world value mappings to {spec.units}")
    return found[0]


def _values(pixels: Float32, chosen: RealWorldMap) -> Float32:
    with np.errstate(over="ignore"):
        values = np.multiply(pixels, chosen.slope, dtype=np.float64)
    values += chosen.intercept
    if chosen.values is None:
        return finite(values)
    entries = np.clip(np.rint(values), 0, len(chosen.values) - 1).astype(np.intp)
    return finite(chosen.values[entries])
