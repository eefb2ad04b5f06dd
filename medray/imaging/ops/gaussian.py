"""Gaussian filter."""

from __future__ import annotations

from typing import ClassVar, Literal

import cv2
import numpy as np
from pydantic import Field

from medray.imaging.op import OpSpec, float32, valid_mean
from medray.types import Float32, Image


class Gaussian(OpSpec):
    """Smooth with a Gaussian; invalid pixels are left out of its mean."""

    source: ClassVar[str] = "Knutsson & Westin 1993, CVPR (normalised convolution)"
    dimensions: ClassVar[tuple[int, ...]] = (2, 3)
    takes_colour: ClassVar[bool] = True
    op: Literal["gaussian"] = "gaussian"
    sigma: float = Field(1.0, ge=0.1, le=100, description="standard deviation in pixels, along every axis")


def gaussian(image: Image, spec: Gaussian) -> Image:
    """The filtered image; a volume is smoothed along all three axes. The image is mirrored at its border."""
    pixels, _ = valid_mean(image, lambda array: blurred(array, spec.sigma))
    return image.with_pixels(pixels)


def blurred(array: Float32, sigma: float) -> Float32:
    """A plane or volume smoothed by a Gaussian of this standard deviation, cut off at four of them."""
    if array.ndim == 2:
        return float32(cv2.GaussianBlur(array, (0, 0), sigma))
    planes = np.stack([cv2.GaussianBlur(plane, (0, 0), sigma) for plane in array])
    weights = cv2.getGaussianKernel(round(8 * sigma + 1) | 1, sigma, cv2.CV_32F)
    across = cv2.sepFilter2D(planes.reshape(len(planes), -1), -1, np.ones(1, np.float32), weights)
    return float32(across).reshape(array.shape)
