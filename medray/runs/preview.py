"""What a preprocessing spec makes of some images, step by step, as a picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from medray.data import archive, store
from medray.data.dicom import decode
from medray.data.volume import build_volume
from medray.errors import ConfigError, InputError
from medray.imaging.preprocess import PreprocessSpec, stages
from medray.report.contact_sheet import Row, contact_sheet
from medray.types import Image

_LONGEST_VALUE = 24
_NO_IMAGE = {"DICOM_NOT_DICOM", "OBJECT_DICOMDIR", "OBJECT_NOT_AN_IMAGE", "OBJECT_SEGMENTATION"}
"""Codes of objects that are not images."""


@dataclass(frozen=True)
class Preview:
    """What was drawn.

    Attributes:
        out: where.
        images: how many inputs.
        reasons: code → how many inputs did not come through.
    """

    out: str
    images: int
    reasons: dict[str, int]


def preview(
    source: str,
    spec: PreprocessSpec,
    out: str,
    images: int = 4,
    frame: int | None = None,
    *,
    volume: bool = False,
    colour: bool = False,
) -> Preview:
    """Write a contact sheet of the first images under a prefix, a row each, or of one volume.

    Args:
        source: path or URI of a DICOM file, a shard, or a prefix; objects that are not images are skipped.
        spec: the steps.
        out: path or URI of a .png file.
        images: how many at most.
        frame: of multi-frame images, counted from 0.
        volume: take everything under the source as one volume.
        colour: draw images that are stored in colour as such; a volume is grey.

    Raises:
        ConfigError: PREVIEW_COLOUR, PLOT_FORMAT, PREVIEW_EMPTY, FRAME_UNKNOWN, EXTRA_MISSING; StoreError.
    """
    if not out.endswith(".png"):
        raise ConfigError("PLOT_FORMAT", f"{out} is not a .png file", "give a name that ends in .png")
    if colour:
        _check_colour(spec)
    inputs = iter([partial(_volume, source)]) if volume else _inputs(source, frame, colour)
    rows: list[Row] = []
    for load in inputs:
        row = _row(load, spec, len(rows) + 1)
        if row.images or row.error is None or row.error.code not in _NO_IMAGE:
            rows.append(row)
        if len(rows) == images:
            break
    if not rows:
        raise ConfigError("PREVIEW_EMPTY", f"{source} holds no image", "give a DICOM image, or a prefix that holds some")
    store.write(out, contact_sheet([(step.op, _parameters(step.model_dump())) for step in spec.steps], rows))
    return Preview(out, len(rows), dict(Counter(row.error.code for row in rows if row.error is not None)))


def _check_colour(spec: PreprocessSpec) -> None:
    try:
        spec.check_colour()
    except ValueError as error:
        raise ConfigError("PREVIEW_COLOUR", str(error), "draw without --colour to see the luminance") from error


def _inputs(source: str, frame: int | None, colour: bool) -> Iterator[Callable[[], Image]]:
    """How to get each image under a prefix."""
    for info in archive.list_objects(source):
        yield partial(_decoded, info.uri, frame, colour)


def _volume(source: str) -> Image:
    return build_volume(source).image()


def _decoded(uri: str, frame: int | None, colour: bool) -> Image:
    try:
        return decode(archive.read(uri), frame, colour=colour)
    except IndexError as error:
        raise ConfigError("FRAME_UNKNOWN", f"{uri}: {error}", "frames are counted from 0") from error


def _row(load: Callable[[], Image], spec: PreprocessSpec, number: int) -> Row:
    """An image after each step, as far as it came."""
    images: list[Image] = []
    try:
        images.append(load())
        for _, image in stages(images[0], spec):
            images.append(image)
    except InputError as error:
        return Row(_label(number, images), tuple(images), error)
    return Row(_label(number, images), tuple(images))


def _label(number: int, images: list[Image]) -> str:
    return f"{number}  {images[0].header.modality if images else ''}".rstrip()


def _parameters(values: dict[str, object]) -> str:
    shown = (f"{name} {_short(value)}" for name, value in values.items() if name != "op" and value not in (None, {}, [], ()))
    return ", ".join(shown)


def _short(value: object) -> str:
    text = str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"
