"""A contact sheet: what each preprocessing step makes of some images; of their headers it shows spacing, modality and flags."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from numpy.typing import NDArray

from medray.errors import InputError
from medray.types import Image

PERCENTILES = (1, 99)
"""Of the valid pixels of the plane that is shown: these are black and white."""
_INK, _ALARM, _MASK = "#1b2a33", "#a83232", (60, 170, 90)
_INVALID = (200, 60, 60)
_TINT = 0.45
_LONGEST_SIDE = 512
_WIDTH, _COLUMN_IN, _LINE_IN, _GAP_IN, _LEFT_IN = 32, 2.4, 0.155, 0.15, 0.35
_LEGEND = "Shown from the 1st to the 99th percentile, of a volume the middle slice. Red: not valid. Green: region of interest."
_STYLE: Any = {"font.size": 8, "text.parse_math": False, "text.color": _INK, "axes.edgecolor": "#c3ccd1", "axes.linewidth": 0.5}


@dataclass(frozen=True)
class Row:
    """One input and what became of it.

    Attributes:
        label: what stands before it.
        images: the input and the image after each step, as far as it came.
        error: why it came no further, or None.
    """

    label: str
    images: tuple[Image, ...]
    error: InputError | None = None


def contact_sheet(steps: Sequence[tuple[str, str]], rows: Sequence[Row]) -> bytes:
    """A PNG with a row for each input and a column for each step.

    Args:
        steps: name and parameters of each.
        rows: the inputs.
    """
    headings = [f"{name}\n{_wrapped(parameters)}".rstrip() for name, parameters in [("input", ""), *steps]]
    heights = [_lines(headings) + _GAP_IN, *(part for row in rows for part in _heights(row)), 2 * _LINE_IN]
    width, height = _COLUMN_IN * len(headings) + _LEFT_IN, sum(heights)
    with rc_context(_STYLE):
        figure = Figure(figsize=(width, height), dpi=100)
        grid = figure.add_gridspec(len(heights), len(headings), height_ratios=heights)
        grid.update(left=_LEFT_IN / width, right=1, bottom=0, top=1, wspace=0.04, hspace=0)
        for column, heading in enumerate(headings):
            _write(figure.add_subplot(grid[0, column]), heading, bottom=True)
        for number, row in enumerate(rows):
            _draw_row(figure, grid, 1 + 2 * number, row)
        _write(figure.add_subplot(grid[-1, :]), _LEGEND)
        picture = io.BytesIO()
        figure.savefig(picture, format="png", metadata={"Software": None})
    return picture.getvalue()


def _heights(row: Row) -> tuple[float, float]:
    """Of the images and of their captions, in inches."""
    tallest = max((_aspect(image) for image in row.images), default=0.0)
    images = _COLUMN_IN * min(max(tallest, 0.5), 1.0)
    return images, _lines(["\n".join(_caption(image)) for image in row.images]) + _GAP_IN


def _lines(texts: Sequence[str]) -> float:
    return _LINE_IN * (1 + max((text.count("\n") for text in texts), default=0))


def _aspect(image: Image) -> float:
    """Height over width as it lies in the patient."""
    rows, columns = image.pixel_shape
    return float(image.shape[-2] * rows / (image.shape[-1] * columns))


def _draw_row(figure: Figure, grid: GridSpec, line: int, row: Row) -> None:
    for column, image in enumerate(row.images):
        axes = figure.add_subplot(grid[line, column], xticks=[], yticks=[], anchor="SW")
        pixels = _tinted(image)
        axes.imshow(pixels, aspect=_aspect(image) * pixels.shape[1] / pixels.shape[0], interpolation="auto")
        if column == 0:
            axes.set_ylabel(row.label, fontsize=9)
        _write(figure.add_subplot(grid[line + 1, column]), "\n".join(_caption(image)))
    if row.error is not None:
        _say(figure.add_subplot(grid[line, min(len(row.images), grid.ncols - 1)], xticks=[], yticks=[]), row.error)


def _write(axes: Axes, text: str, *, bottom: bool = False) -> None:
    axes.set_axis_off()
    at, side = (0, "bottom") if bottom else (1, "top")
    axes.annotate(text, (0, at), (0, 8 * (0.5 - at)), "axes fraction", "offset points", va=side)


def _say(axes: Axes, error: InputError) -> None:
    """The code in the place of the image."""
    text = f"{error.code}\n\n{_wrapped(error.message)}"
    axes.text(0.04, 0.95, text, va="top", color=_ALARM, transform=axes.transAxes)


def _caption(image: Image) -> list[str]:
    """Size, spacing, range of the values, what is invalid, flags."""
    lines = [" × ".join(map(str, image.shape)) + (" px" if image.channels == 1 else " px, colour")]
    if image.spacing_mm is not None:
        lines.append(" × ".join(f"{one:.3g}" for one in image.spacing_mm) + " mm")
    lines.append(f"{image.pixels.min():.5g} … {image.pixels.max():.5g}")
    if image.valid is not None and not image.valid.all():
        lines.append(f"{1 - image.valid.mean():.1%} not valid")
    if image.mask is not None:
        lines.append(f"{image.mask.mean():.1%} region of interest")
    return [*lines, *(textwrap.wrap(" ".join(image.header.flags), _WIDTH))]


def _tinted(image: Image) -> NDArray[np.uint8]:
    """uint8 (rows, columns, 3): the plane, or the middle slice, with invalid pixels red and the region of interest green."""
    valid, mask = _plane(image.valid), _plane(image.mask)
    pixels = _plane(image.pixels)[..., None] if image.channels == 1 else np.moveaxis(image.pixels, 0, -1)
    low, high = np.percentile(pixels if valid is None or not valid.any() else pixels[valid], PERCENTILES)
    stretched = np.clip((pixels - low) / (high - low if high > low else 1), 0, 1) * 255
    colour = np.array(np.broadcast_to(stretched, (*pixels.shape[:2], 3)))
    for where, tint in ((mask, _MASK), (None if valid is None else ~valid, _INVALID)):
        if where is not None:
            colour[where] = (1 - _TINT) * colour[where] + _TINT * np.array(tint)
    shrink = min(_LONGEST_SIDE / max(colour.shape), 1)
    size = [max(round(side * shrink), 1) for side in reversed(colour.shape[:2])]
    return np.asarray(cv2.resize(np.rint(colour).astype(np.uint8), size, interpolation=cv2.INTER_AREA))


def _plane(array: Any) -> Any:
    return array if array is None or array.ndim == 2 else array[len(array) // 2]


def _wrapped(text: str) -> str:
    return "\n".join(textwrap.wrap(text, _WIDTH))
