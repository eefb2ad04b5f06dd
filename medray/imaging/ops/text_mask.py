"""Mask or inpaint burned-in text and calipers in ultrasound."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Literal

import cv2
import numpy as np
from pydantic import Field

from medray.imaging.components import Components, components
from medray.imaging.op import OpSpec, extent, finite, over_valid, stretch, valid_pixels
from medray.types import Bool, Float32, Float64, Image

STROKE = 4
"""Strokes of letters and calipers are at most so many pixels thick."""
_JUMP = 2  # columns within which the edge of a stroke falls off
_LEVELS = 65535
_WIDE = 4  # a word whose letters touch may be so many times as wide as it may be high


class TextMask(OpSpec):
    """Find burned-in letters and caliper crosses in ultrasound, and mark them as invalid or inpaint them.

    Found are bright, thin and small components whose sides fall off within two columns, as drawn strokes do and echoes, which are
    blurred sideways, do not. Not found is text that is grey, dark, thicker than 4 or lower than 5 pixels, that touches brighter
    tissue, or that was smoothed; dotted lines between calipers; body marks, scales and colour
    bars. Doppler colours with hard edges are taken for text too. It does not replace de-identification.
    """

    source: ClassVar[str] = (
        "Meyer 1979, J. Histochem. Cytochem. 27:128 (top hat); Telea 2004, J. Graphics Tools 9:23 (inpainting)"
    )
    op: Literal["text_mask"] = "text_mask"
    level: float = Field(0.7, gt=0, lt=1, description="part of the range of the valid pixels; brighter is text")
    contrast: float = Field(0.4, gt=0, lt=1, description="part of the range by which text is brighter than what is around it")
    sharpness: float = Field(0.2, gt=0, lt=1, description="part of the range by which the sides of strokes fall off, on average")
    lowest: int = Field(5, ge=2, le=1000, description="smallest height of a letter in pixels")
    highest: int = Field(40, ge=2, le=1000, description="largest height of a letter in pixels")
    grow: int = Field(2, ge=0, le=20, description="pixels around the strokes that are taken too")
    fill: Literal["mask", "inpaint"] = Field("mask", description="mark the text as invalid, or paint it over from around it")


def text_mask(image: Image, spec: TextMask) -> Image:
    """The image with its text invalid, or painted over; invalid pixels stay as they are.

    Raises:
        Quarantined: IMAGE_NO_VALID_PIXELS.
    """
    text = find_text(image, spec)
    if not text.any():
        return image
    if spec.fill == "mask":
        return replace(image, valid=~text if image.valid is None else image.valid & ~text)
    radius = max(spec.grow, 1) + 1
    return over_valid(image, lambda pixels: _painted_over(pixels, text, radius))


def _painted_over(pixels: Float32, text: Bool, radius: int) -> Float32:
    """The text painted over: in _LEVELS, as OpenCV adds up to two to what it paints, whatever the range of the pixels."""
    low, high = extent(pixels)
    painted = cv2.inpaint(stretch(pixels, low, high) * np.float32(_LEVELS), text.view(np.uint8), radius, cv2.INPAINT_TELEA)
    return np.where(text, finite(low + np.clip(painted / np.float64(_LEVELS), 0, 1) * (high - low)), pixels)


def find_text(image: Image, spec: TextMask) -> Bool:
    """bool, as the plane: True on text and around it."""
    values = valid_pixels(image)
    pixels = stretch(image.pixels, *extent(values))
    if image.valid is not None:
        pixels[~image.valid] = 0
    square = np.ones((2 * STROKE + 1, 2 * STROKE + 1), np.uint8)
    thin = cv2.morphologyEx(pixels, cv2.MORPH_TOPHAT, square) > spec.contrast
    found = components(thin & (pixels > spec.level))
    heights, widths = (found.boxes[:, axis, 1] - found.boxes[:, axis, 0] for axis in (1, 2))
    small = (heights >= spec.lowest) & (heights <= spec.highest) & (widths <= _WIDE * spec.highest)
    sharp = _means(found, _drops(pixels)) >= spec.sharpness
    text = found.mask(small & sharp)
    around = np.ones((2 * spec.grow + 1, 2 * spec.grow + 1), np.uint8)
    grown: Bool = cv2.dilate(text.view(np.uint8), around).astype(np.bool_)
    return grown if image.valid is None else grown & image.valid


def _drops(pixels: Float32) -> Float32:
    """By how much a pixel is brighter than the darker of those two columns to its left and right."""
    wide = np.pad(pixels, ((0, 0), (_JUMP, _JUMP)), mode="edge")
    return pixels - np.minimum(wide[:, : -2 * _JUMP], wide[:, 2 * _JUMP :])


def _means(found: Components, values: Float32) -> Float64:
    """The mean of values over each component."""
    line, first, end, number = found.runs.T
    sums = np.zeros((values.shape[0], values.shape[1] + 1))
    np.cumsum(values, axis=1, dtype=np.float64, out=sums[:, 1:])
    return np.bincount(number, weights=sums[line, end] - sums[line, first], minlength=len(found)) / found.areas
