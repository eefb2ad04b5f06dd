"""Anisotropic diffusion."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from medray.compiled import compiled
from medray.imaging.decay import decay
from medray.imaging.op import OpSpec, over_valid
from medray.types import Float32, Image


class AnisotropicDiffusion(OpSpec):
    """Smooth inside regions and not across their edges: diffusion that a large difference of neighbours stops."""

    source: ClassVar[str] = "Perona & Malik 1990, IEEE PAMI 12"
    dimensions: ClassVar[tuple[int, ...]] = (2, 3)
    op: Literal["anisotropic_diffusion"] = "anisotropic_diffusion"
    iterations: int = Field(10, ge=1, le=200, description="time steps")
    step: float = Field(0.15, gt=0, le=1 / 6, description="length of a time step; stable up to 1/4 in a plane, 1/6 in a volume")
    edge: float = Field(0.1, ge=1e-6, le=1e6, description="difference of neighbours that is an edge, in units of the pixels")
    conduction: Literal["exponential", "rational"] = Field(
        "exponential", description="exp(-(d/edge)²), which favours sharp edges, or 1/(1 + (d/edge)²), which favours wide regions"
    )


def anisotropic_diffusion(image: Image, spec: AnisotropicDiffusion) -> Image:
    """The diffused image: 4 neighbours in a plane, 6 in a volume, whatever their distance in mm; nothing flows over the border.

    Raises:
        Quarantined: IMAGE_NO_VALID_PIXELS.
    """
    steepness, step = np.float32(1 / spec.edge), np.float32(spec.step)

    def smooth(pixels: Float32) -> Float32:
        before = np.array(pixels, ndmin=3, order="C")
        after = np.empty_like(before)
        for _ in range(spec.iterations):
            _diffuse(before, after, steepness, step, spec.conduction == "exponential")
            before, after = after, before
        return before.reshape(pixels.shape)

    return over_valid(image, smooth)


@compiled
def _diffuse(before: Float32, after: Float32, steepness: np.float32, step: np.float32, exponential: bool) -> None:
    slices, rows, _ = before.shape
    for slice in range(slices):
        for row in range(rows):
            centre, result = before[slice, row], after[slice, row]
            result[:] = centre
            for near_slice, near_row in ((slice - 1, row), (slice + 1, row), (slice, row - 1), (slice, row + 1)):
                if 0 <= near_slice < slices and 0 <= near_row < rows:
                    _flow(centre, before[near_slice, near_row], result, steepness, step, exponential)
            _flow(centre[1:], centre[:-1], result[1:], steepness, step, exponential)
            _flow(centre[:-1], centre[1:], result[:-1], steepness, step, exponential)


@compiled
def _flow(centre: Float32, near: Float32, result: Float32, steepness: np.float32, step: np.float32, exponential: bool) -> None:
    """Add what flows from each neighbour; nothing where the difference is infinite, as beyond the largest float32."""
    if exponential:
        for i in range(centre.size):
            difference = near[i] - centre[i]
            relative = difference * steepness
            conduction = decay(relative * relative)
            result[i] += step * conduction * difference if conduction > 0 else np.float32(0)
    else:
        for i in range(centre.size):
            difference = near[i] - centre[i]
            relative = difference * steepness
            conduction = np.reciprocal(np.float32(1) + relative * relative)
            result[i] += step * conduction * difference if conduction > 0 else np.float32(0)
