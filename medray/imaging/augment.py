"""Training-only augmentation of images and their masks: parameters are drawn first, then applied.

Every random number comes from the generator that the caller passes to :func:`draw`; :func:`apply` is a pure function.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from medray.spec import Spec
from medray.types import Bool, Float32, Float64, Int64


class AugmentSpec(Spec):
    """How far a training image may be altered; zero (or a probability of zero) switches an alteration off."""

    flip_horizontal: float = Field(default=0.5, ge=0, le=1, description="probability of a left-right flip")
    flip_vertical: float = Field(default=0.0, ge=0, le=1, description="probability of an up-down flip")
    rotate_degrees: float = Field(default=15.0, ge=0, le=180, description="largest rotation, degrees, either way")
    scale: float = Field(default=0.2, ge=0, le=1, description="largest zoom: factors from 1 / (1 + scale) to 1 + scale")
    stretch: float = Field(default=0.2, ge=0, le=1, description="largest change of the aspect ratio, as for scale")
    translate: float = Field(default=0.1, ge=0, le=0.5, description="largest shift, as a fraction of the image side")
    gain: float = Field(default=0.3, ge=0, le=1, description="largest relative change of contrast")
    bias: float = Field(default=0.1, ge=0, le=1, description="largest shift of brightness, where the image spans [0, 1]")
    gamma: float = Field(default=0.3, ge=0, le=2, description="largest power: exponents from 1 / (1 + gamma) to 1 + gamma")
    noise: float = Field(default=0.0, ge=0, le=1, description="largest standard deviation of added Gaussian noise")
    erase: float = Field(default=0.3, ge=0, le=1, description="probability of erasing a rectangle")
    erase_side: float = Field(
        default=0.4, gt=0, le=1, description="longest side of the rectangle, as a fraction of the image side"
    )


@dataclass(frozen=True)
class Augmentation:
    """The alterations drawn for n images.

    Attributes:
        affine: float64 (n, 2, 3), maps (column, row) of the output to (column, row) of the input, both measured from
            the image centre: a matrix in pixels, and a shift in image sides.
        gain, bias, gamma, noise: float64 (n,),
            output = clip(gain * (input ** gamma - 0.5) + 0.5 + bias + noise * N(0, 1)).
        noise_seed: int64 (n,), seeds of the noise fields.
        erase: bool (n,), whether a rectangle is erased.
        box: float64 (n, 4), the rectangle as (row, column, height, width), as fractions of the image sides.
    """

    affine: Float64
    gain: Float64
    bias: Float64
    gamma: Float64
    noise: Float64
    noise_seed: Int64
    erase: Bool
    box: Float64

    def __len__(self) -> int:
        return len(self.gain)


def draw(spec: AugmentSpec, count: int, rng: np.random.Generator) -> Augmentation:
    """Draw the alterations of ``count`` images; the generator advances by the same amount for every spec."""

    def symmetric(width: float) -> Float64:
        return rng.uniform(-width, width, count)

    return Augmentation(
        affine=_draw_affine(spec, count, rng),
        gain=1 + symmetric(spec.gain),
        bias=symmetric(spec.bias),
        gamma=(1 + spec.gamma) ** symmetric(1),
        noise=rng.uniform(0, spec.noise, count),
        noise_seed=rng.integers(0, 2**63, count),
        erase=rng.random(count) < spec.erase,
        box=_draw_box(spec.erase_side, count, rng),
    )


def apply(images: Float32, augmentation: Augmentation) -> Float32:
    """The altered images.

    Args:
        images: float32 (n, rows, columns), or (n, channels, rows, columns), in [0, 1].
        augmentation: the alterations of as many images; channels are altered alike, but for the noise.

    Returns:
        float32 of the same shape in [0, 1]. Borders are mirrored, interpolation is bilinear, an erased rectangle takes
        the mean of its image, of each channel (random erasing: Zhong et al. 2020, AAAI).
    """
    _check_count(images, augmentation)
    if len(images) == 0:
        return images.copy()
    return np.stack([_apply_one(image, augmentation, index) for index, image in enumerate(images)])


def apply_to_masks(masks: Bool, augmentation: Augmentation) -> Bool:
    """The masks moved as :func:`apply` moves their images.

    Args:
        masks: bool (n, maps, rows, columns).

    Returns:
        bool of the same shape, the nearest pixel of each; borders are mirrored; what is erased stays marked.
    """
    _check_count(masks, augmentation)
    pairs = zip(masks.view(np.uint8), augmentation.affine, strict=True)
    moved = [_warp(mask, affine, cv2.INTER_NEAREST) for maps, affine in pairs for mask in maps]
    return np.asarray(moved, dtype=np.bool_).reshape(masks.shape)


def augment(images: Float32, spec: AugmentSpec, rng: np.random.Generator) -> Float32:
    """Draw and apply in one step: images as :func:`apply` takes them."""
    return apply(images, draw(spec, len(images), rng))


def _check_count(images: NDArray[Any], augmentation: Augmentation) -> None:
    if len(images) != len(augmentation):
        raise ValueError(f"{len(images)} images, but alterations of {len(augmentation)}")


def _draw_affine(spec: AugmentSpec, count: int, rng: np.random.Generator) -> Float64:
    angle = np.deg2rad(rng.uniform(-spec.rotate_degrees, spec.rotate_degrees, count))
    zoom = (1 + spec.scale) ** rng.uniform(-1, 1, count)
    aspect = (1 + spec.stretch) ** rng.uniform(-0.5, 0.5, count)
    column_scale = np.where(rng.random(count) < spec.flip_horizontal, -1, 1) * zoom * aspect
    row_scale = np.where(rng.random(count) < spec.flip_vertical, -1, 1) * zoom / aspect
    shift = rng.uniform(-spec.translate, spec.translate, (2, count))
    cosine, sine = np.cos(angle), np.sin(angle)
    rows = [[cosine * column_scale, -sine * row_scale, shift[0]], [sine * column_scale, cosine * row_scale, shift[1]]]
    return np.ascontiguousarray(np.moveaxis(np.array(rows, dtype=np.float64), -1, 0))


def _draw_box(longest: float, count: int, rng: np.random.Generator) -> Float64:
    side = rng.uniform(longest / 4, longest, (count, 2))
    corner = rng.random((count, 2)) * (1 - side)
    return np.concatenate([corner, side], axis=1)


def _apply_one(image: Float32, augmentation: Augmentation, index: int) -> Float32:
    noise = np.random.Generator(np.random.SFC64(augmentation.noise_seed[index]))
    planes = [_apply_to_plane(plane, augmentation, index, noise) for plane in image.reshape(-1, *image.shape[-2:])]
    return np.stack(planes).reshape(image.shape)


def _apply_to_plane(plane: Float32, augmentation: Augmentation, index: int, noise: np.random.Generator) -> Float32:
    shaded = _shade(_float32(_warp(plane, augmentation.affine[index], cv2.INTER_LINEAR)), augmentation, index, noise)
    if augmentation.erase[index]:
        _erase(shaded, augmentation.box[index])
    return shaded


def _warp(image: NDArray[Any], affine: Float64, interpolation: int) -> NDArray[Any]:
    rows, columns = image.shape
    sides = np.array([columns, rows], dtype=np.float64)
    centre = (sides - 1) / 2
    linear = affine[:, :2]
    matrix = np.column_stack([linear, affine[:, 2] * sides + centre - linear @ centre])
    flags = interpolation | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(image, matrix, (columns, rows), flags=flags, borderMode=cv2.BORDER_REFLECT_101)


def _shade(image: Float32, augmentation: Augmentation, index: int, noise: np.random.Generator) -> Float32:
    gain, gamma = augmentation.gain[index], augmentation.gamma[index]
    powered = cv2.pow(image, gamma) if gamma != 1 else image
    shaded = powered * np.float32(gain) + np.float32(0.5 - 0.5 * gain + augmentation.bias[index])
    if augmentation.noise[index] > 0:
        shaded += np.float32(augmentation.noise[index]) * noise.standard_normal(image.shape, dtype=np.float32)
    return _float32(np.clip(shaded, 0, 1, out=shaded))


def _erase(image: Float32, box: Float64) -> None:
    row, column, height, width = np.rint(box * np.tile(image.shape, 2)).astype(int)
    image[row : row + height, column : column + width] = image.mean()


def _float32(array: NDArray[Any]) -> Float32:
    return np.asarray(array, dtype=np.float32)
