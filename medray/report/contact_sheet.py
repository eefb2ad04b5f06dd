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
from numpy.typing import NDArray

from medray.errors import InputError
from medray.types import Image

PERCENTILES = (1, 99)
"""Of the valid pixels of the plane that is shown: these are black and white."""
_INK, _ALARM, _MASK = "#1b2a33", "#a83232", (60, 170, 90)
_INVALID = (200, 60, 60)
_TINT = 0.45
_LONGEST_SIDE = 512
_WIDTH, _COLUMN_IN, _ROW_IN, _LINE_IN = 30, 2.5, 2.5, 0.16
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
    columns = [("input", ""), *steps]
    headings = [_wrapped(parameters) for _, parameters in columns]
    heads = _LINE_IN * (2 + max(text.count("\n") for text in headings))
    size = (_COLUMN_IN * len(columns) + 0.4, heads + (_ROW_IN + 5 * _LINE_IN) * len(rows) + 0.4)
    with rc_context(_STYLE):
        figure = Figure(figsize=size, layout="constrained", dpi=100)
        grid = figure.subplots(len(rows), len(columns), squeeze=False)
        for axes, (name, _), heading in zip(grid[0], columns, headings, strict=True):
            axes.set_title(f"{name}\n{heading}".rstrip(), fontsize=8, loc="left", color=_INK)
        for line, row in zip(grid, rows, strict=True):
            line[0].set_ylabel(row.label, fontsize=9, color=_INK)
            for axes in line[len(row.images) + (row.error is not None) :]:
                axes.set_axis_off()
            for axes in line:
                axes.set(xticks=[], yticks=[], anchor="NW")
            for axes, image in zip(line, row.images, strict=False):
                _draw(axes, image)
            if row.error is not None:
                _say(line[min(len(row.images), len(steps))], row.error)
        figure.supxlabel(
            "shown from the 1st to the 99th percentile; a volume by its middle slice; red: not valid; green: region of interest",
            fontsize=8,
        )
        picture = io.BytesIO()
        figure.savefig(picture, format="png", metadata={"Software": None})
    return picture.getvalue()


def _draw(axes: Axes, image: Image) -> None:
    rows, columns = image.header.spacing_mm or (1.0, 1.0)
    axes.imshow(_tinted(image), aspect=rows / columns, interpolation="nearest")
    axes.set_xlabel("\n".join(_caption(image)), fontsize=7, loc="left", color=_INK)


def _say(axes: Axes, error: InputError) -> None:
    """The code in the place of the image."""
    axes.text(
        0.04, 0.95, f"{error.code}\n\n{_wrapped(error.message)}", va="top", fontsize=8, color=_ALARM, transform=axes.transAxes
    )


def _caption(image: Image) -> list[str]:
    """Size, spacing, range of the values, what is invalid, flags."""
    lines = [" × ".join(map(str, image.pixels.shape)) + " px"]
    if image.spacing_mm is not None:
        lines.append(" × ".join(f"{one:.3g}" for one in image.spacing_mm) + " mm")
    lines.append(f"{image.pixels.min():.5g} … {image.pixels.max():.5g}")
    if image.valid is not None:
        lines.append(f"{1 - image.valid.mean():.1%} not valid")
    if image.mask is not None:
        lines.append(f"{image.mask.mean():.1%} region of interest")
    return [*lines, *(textwrap.wrap(" ".join(image.header.flags), _WIDTH))]


def _tinted(image: Image) -> NDArray[np.uint8]:
    """uint8 (rows, columns, 3): the plane, or the middle slice, with invalid pixels red and the region of interest green."""
    pixels, valid, mask = (_plane(array) for array in (image.pixels, image.valid, image.mask))
    shown = pixels if valid is None or not valid.any() else pixels[valid]
    low, high = np.percentile(shown, PERCENTILES)
    grey = np.clip((pixels - low) / (high - low if high > low else 1), 0, 1) * 255
    colour = np.repeat(grey[..., None], 3, axis=2)
    for where, tint in ((mask, _MASK), (None if valid is None else ~valid, _INVALID)):
        if where is not None:
            colour[where] = (1 - _TINT) * colour[where] + _TINT * np.array(tint)
    shrink = min(_LONGEST_SIDE / max(pixels.shape), 1)
    size = [max(round(side * shrink), 1) for side in reversed(pixels.shape)]
    return np.asarray(cv2.resize(np.rint(colour).astype(np.uint8), size, interpolation=cv2.INTER_AREA))


def _plane(array: Any) -> Any:
    return array if array is None or array.ndim == 2 else array[len(array) // 2]


def _wrapped(text: str) -> str:
    return "\n".join(textwrap.wrap(text, _WIDTH))
