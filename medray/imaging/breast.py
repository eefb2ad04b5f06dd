"""The breast in a mammogram, and the side on which the chest wall is."""

from __future__ import annotations

from typing import Literal, NamedTuple

from medray.imaging.components import Components, components
from medray.imaging.crop import above
from medray.imaging.op import valid_pixels
from medray.types import Image

Side = Literal["left", "right"]
NEAR = 0.02
"""Part of the columns within which a component is at the side."""


class Breast(NamedTuple):
    """Components of the bright pixels, the number of the breast among them, and the side of the image it lies against."""

    found: Components
    number: int
    side: Side


def find_breast(image: Image, threshold: float) -> Breast | None:
    """The largest bright component against the left or right side of a mammogram; None where there is none.

    A component that reaches both sides lies against that where it is taller, and at neither where it is as tall at both.

    Args:
        image: a plane.
        threshold: fraction of the range of the valid pixels; brighter is breast.

    Raises:
        Quarantined: IMAGE_NO_VALID_PIXELS.
    """
    values = valid_pixels(image)
    low, high = float(values.min()), float(values.max())
    found = components(above(image, low + threshold * (high - low)))
    columns = image.pixels.shape[1]
    near = max(int(NEAR * columns), 1)
    for number, (_, _, (first, end)) in enumerate(found.boxes.tolist()):
        if first < near or end > columns - near:
            mask = found.mask([number])
            left, right = (int(part.any(axis=1).sum()) for part in (mask[:, :near], mask[:, -near:]))
            return Breast(found, number, "left" if left > right else "right") if left != right else None
    return None
