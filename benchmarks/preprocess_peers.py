"""What the benchmark of the ops measures beside them: the images, and calls of other libraries that take several steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import SimpleITK as sitk
from decoding import phantom
from numpy.typing import NDArray
from skimage import exposure, measure

from medray.types import Header

Call = Callable[[], object]

STORED = phantom(12)
WORDS = STORED.astype(np.float32)
BYTES = (STORED >> 4).astype(np.uint8)
UNIT = (BYTES / np.float32(255)).astype(np.float32)
HEADER = Header(modality="CT", rows=512, columns=512, spacing_mm=(0.7, 0.7), voi_window=(500.0, 1000.0))
REFERENCE = tuple(np.linspace(0, 1, 101).tolist())


def itk(filter_: Any, pixels: NDArray[Any]) -> Call:
    """A call of a SimpleITK filter on an image that it has already."""
    image = sitk.GetImageFromArray(pixels)
    return lambda: filter_.Execute(image)


def configured(name: str, **settings: Any) -> Any:
    """A SimpleITK filter with its settings."""
    found = getattr(sitk, f"{name}ImageFilter")()
    for key, value in settings.items():
        getattr(found, f"Set{key}")(value)
    return found


def cropped_by_opencv() -> object:
    _, mask = cv2.threshold(BYTES, 12, 255, cv2.THRESH_BINARY)
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    left, top, width, height, _ = stats[1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())]
    return STORED[top : top + height, left : left + width].copy()


def cropped_by_skimage() -> object:
    largest = max(measure.regionprops(measure.label(BYTES > 12)), key=lambda region: region.area)
    top, left, bottom, right = largest.bbox
    return STORED[top:bottom, left:right].copy()


def sharpened_by_opencv() -> object:
    return cv2.addWeighted(WORDS, 2, cv2.GaussianBlur(WORDS, (0, 0), 2), -1, 0)


def stretched_by_skimage() -> object:
    return exposure.rescale_intensity(WORDS, tuple(np.percentile(WORDS, (0.5, 99.5))), (0, 1))


def scored_by_opencv() -> object:
    mean, deviation = cv2.meanStdDev(WORDS)
    return (WORDS - np.float32(mean[0, 0])) / np.float32(deviation[0, 0])
