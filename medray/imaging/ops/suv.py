"""Standardised uptake values of PET."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from medray.errors import Excluded
from medray.imaging.op import OpSpec, finite, in_units
from medray.types import Image

UNITS = "{SUVbw}g/ml"
"""UCUM, PS3.16 CID 85."""


class Suv(OpSpec):
    """Bring PET to standardised uptake values of body weight, in ``{SUVbw}g/ml``, from what its header says.

    From BQML (activity), CNTS of Philips (by its private scale factors) and GML, corrected for attenuation and decay. Dose, time
    of injection, half-life and weight are those of the header, the start of the scan is found as QIBA has it: the series' own
    time, else that of GE, else from the acquisition and the frame reference time. Excluded as SUV_UNKNOWN where something is
    missing or contradicts itself. Put it first: after a change of units the pixels are no longer an activity.
    """

    source: ClassVar[str] = "QIBA, vendor-neutral pseudo-code for SUV calculation (RSNA 2018); DICOM PS3.3 C.8.9"
    dimensions: ClassVar[tuple[int, ...]] = (2, 3)
    brings_units: ClassVar[bool] = True
    op: Literal["suv"] = "suv"

    def unit_range_after(self, before: bool) -> bool:
        """Never."""
        return False


def suv(image: Image, spec: Suv) -> Image:
    """The image in SUV; one that is in ``{SUVbw}g/ml`` already stays.

    Raises:
        Excluded: SUV_UNKNOWN, with what is missing.
    """
    if image.header.units == UNITS:
        return image
    if image.suv is None or image.suv.factor is None:
        reason = "no PET image in the units in which it was decoded" if image.suv is None else image.suv.reason
        raise Excluded("SUV_UNKNOWN", f"suv: {reason}")
    return in_units(image, finite(np.multiply(image.pixels, image.suv.factor, dtype=np.float64)), UNITS)
