"""Ops on images in colour: geometry and filters treat the channels alike, intensities have one scale, the others refuse."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from medray.errors import Excluded
from medray.features.table import FeatureSpec, extract
from medray.imaging import table as ops
from medray.imaging.describe import describe_op, op_names
from medray.imaging.op import is_constant, luminance
from medray.imaging.preprocess import PreprocessSpec, preprocess
from medray.types import Header, Image, UltrasoundRegion

HEADER = Header(
    spacing_mm=(0.4, 0.2),
    position_mm=(1.0, 2.0, 3.0),
    orientation=(0.0, 1.0, 0.0, 1.0, 0.0, 0.0),
    ultrasound_regions=(UltrasoundRegion(1, 0, 0, 3, 20, 0.4, 0.2),),
)
BY_CHANNEL = [
    ops.BoxCrop(top=1, left=2, rows=4, columns=3),
    ops.CentreCrop(rows=5, columns=4),
    ops.Fill(modality="US"),
    ops.Gamma(gamma=0.6),
    ops.Gaussian(sigma=1.4),
    ops.Median(kernel=5),
    ops.Orient(),
    ops.Orient(axial="RA"),
    ops.Pad(rows=20, columns=21, value=7),
    ops.Resample(row_mm=0.7, column_mm=0.3),
    ops.Resample(square=True),
    ops.Resize(rows=5, columns=7),
    ops.Resize(rows=9, columns=4, keep_aspect=True),
    ops.Unsharp(amount=4),
    ops.WaveletDenoise(wavelet="haar"),
    ops.Window(centre=90, width=50),
]
"""Ops that make of each channel what they make of a grey image."""
ONE_SCALE = [ops.Minmax(), ops.Percentile(low=3, high=90), ops.Window(), ops.Zscore()]
"""Ops that take one scale for all channels."""
BY_LUMINANCE = [ops.Check(), ops.ForegroundCrop(threshold=0.3, margin=1)]
"""Ops that look at the luminance, and change no value."""


def colour_images(shapes: Any) -> Any:
    """Three channels of such shapes; half of them with a mask of valid pixels, at least one, and a region of interest."""
    return st.tuples(shapes, st.booleans()).flatmap(
        lambda drawn: st.builds(
            Image,
            arrays(np.float32, (3, *drawn[0]), elements=st.floats(0, 255, width=32)),
            arrays(bool, drawn[0]).filter(lambda valid: bool(valid.any())) if drawn[1] else st.none(),
            st.just(HEADER),
            mask=arrays(bool, drawn[0]) if drawn[1] else st.none(),
            channels=st.just(3),
        )
    )


PLANES = colour_images(st.tuples(st.integers(1, 20), st.integers(1, 20)))


def apply(image: Image, spec: Any) -> Image | str:
    """The image after an op, or the code of why there is none."""
    try:
        return ops.OPS[spec.op](image, spec)
    except Excluded as error:
        return error.code


def channels(image: Image) -> list[Image]:
    return [replace(image, pixels=np.ascontiguousarray(pixels), channels=1) for pixels in image.pixels]


def assert_same(found: Image, expected: Image) -> None:
    assert found.header == expected.header
    assert (found.channels, found.grid) == (expected.channels, expected.grid)
    for name in ("pixels", "valid", "mask"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


@settings(deadline=None, max_examples=20)
@given(PLANES)
@pytest.mark.parametrize("spec", BY_CHANNEL, ids=repr)
def test_channels_are_treated_alike(spec: Any, image: Image) -> None:
    before = image.pixels.copy()
    result, singly = apply(image, spec), [apply(channel, spec) for channel in channels(image)]
    np.testing.assert_array_equal(image.pixels, before)
    if isinstance(result, str):
        assert singly == [result] * 3
        return
    assert result.pixels.dtype == np.float32
    assert result.pixels.flags.c_contiguous
    assert result.dimensions == 2
    assert result.valid is None or result.valid.shape == result.shape
    for found, expected in zip(channels(result), singly, strict=True):
        assert isinstance(expected, Image)
        assert_same(found, expected)


@settings(deadline=None, max_examples=20)
@given(PLANES)
@pytest.mark.parametrize("spec", ONE_SCALE, ids=repr)
def test_all_channels_have_one_scale(spec: Any, image: Image) -> None:
    valid = None if image.valid is None else np.tile(image.valid, (3, 1))
    below_each_other = Image(image.pixels.reshape(-1, image.shape[1]), valid, HEADER)
    result, expected = apply(image, spec), apply(below_each_other, spec)
    assert isinstance(result, Image)
    assert isinstance(expected, Image)
    assert result.channels == 3
    np.testing.assert_array_equal(result.pixels, expected.pixels.reshape(image.pixels.shape))


@settings(deadline=None, max_examples=20)
@given(PLANES)
@pytest.mark.parametrize("spec", BY_LUMINANCE, ids=repr)
def test_what_is_found_is_found_in_the_luminance(spec: Any, image: Image) -> None:
    result, grey = apply(image, spec), apply(luminance(image), spec)
    assert isinstance(result, Image)
    assert isinstance(grey, Image)
    assert result.channels == 3
    assert_same(replace(luminance(result), header=grey.header), grey)


def test_an_op_that_takes_no_colour_says_so() -> None:
    image = Image(np.zeros((3, 8, 9), np.float32), channels=3)
    refusing = [
        ops.AnisotropicDiffusion(),
        ops.BiasField(),
        ops.Bilateral(),
        ops.BodyCrop(),
        ops.BreastCrop(),
        ops.Clahe(),
        ops.Collimator(),
        ops.Frost(),
        ops.HistogramMatch(reference=(0, 1)),
        ops.Lee(),
        ops.LungCrop(),
        ops.NonLocalMeans(),
        ops.RealWorld(units="1"),
        ops.Suv(),
        ops.TextMask(),
    ]
    for spec in refusing:
        steps = (ops.Minmax(), spec) if spec.takes_unit_range else (spec,)
        with pytest.raises(Excluded, match="OP_COLOUR"):
            preprocess(image, PreprocessSpec(steps=steps))
        with pytest.raises(ValueError, match=f"{spec.op} does not take images in colour"):
            PreprocessSpec(steps=steps).check_colour()
    taking = {spec.op for spec in (*BY_CHANNEL, *ONE_SCALE, *BY_LUMINANCE)}
    assert {name for name in op_names() if describe_op(name)["colour"]} == taking
    assert {*op_names()} == taking | {spec.op for spec in refusing}
    PreprocessSpec(steps=(ops.Resize(rows=8, columns=8), ops.Percentile())).check_colour()


def test_a_window_of_a_file_is_not_for_its_colours() -> None:
    pixels = np.arange(3 * 4 * 5, dtype=np.float32).reshape(3, 4, 5)
    result = apply(Image(pixels, header=Header(voi_window=(10, 4)), channels=3), ops.Window())
    assert isinstance(result, Image)
    np.testing.assert_allclose(result.pixels, pixels / pixels.max(), atol=1e-6)
    assert result.header.voi_window is None


def test_one_colour_is_constant_and_equal_brightness_is_not() -> None:
    one = np.ones((3, 6, 7), np.float32) * np.float32([200, 30, 60])[:, None, None]
    assert is_constant(Image(one, channels=3))
    other = one.copy()
    other[:, 2, 3] = 200 + 114, 30, 60 - 299  # Y' = 299 R + 587 G + 114 B
    image = Image(other, channels=3)
    np.testing.assert_array_equal(luminance(image).pixels, luminance(Image(one, channels=3)).pixels)
    assert not is_constant(image)
    assert is_constant(Image(other, np.ones((6, 7), bool) & (other[0] == 200), channels=3))
    assert ops.check(image, ops.Check()).header.flags == ("IMAGE_SATURATED",)
    assert ops.check(Image(one, channels=3), ops.Check()).header.flags == ("PIXELS_CONSTANT",)


def test_a_mammogram_in_colour_hangs_by_its_luminance() -> None:
    breast = np.zeros((3, 40, 30), np.float32)
    breast[0, 10:30, 18:], breast[2, 10:30, 18:] = 200, 90
    image = Image(breast, header=Header(modality="MG"), channels=3)
    result = apply(image, ops.Orient())
    assert isinstance(result, Image)
    np.testing.assert_array_equal(result.pixels, breast[..., ::-1])


@settings(deadline=None, max_examples=30)
@given(arrays(np.float32, (3, 4, 5), elements=st.integers(0, 65535).map(float)))
def test_luminance_is_exact(pixels: Any) -> None:
    exact = (299 * pixels[0].astype(int) + 587 * pixels[1].astype(int) + 114 * pixels[2].astype(int)) / 1000
    np.testing.assert_array_equal(luminance(Image(pixels, channels=3)).pixels, exact.astype(np.float32))
    grey = Image(pixels[0])
    assert luminance(grey) is grey


def test_a_plane_in_colour_is_no_volume() -> None:
    image = Image(np.zeros((3, 8, 9), np.float32), header=HEADER, channels=3)
    assert (image.dimensions, image.shape, image.spacing_mm) == (2, (8, 9), (0.4, 0.2))
    volume = Image(np.zeros((3, 8, 9), np.float32), header=HEADER, slice_spacing_mm=2)
    assert (volume.dimensions, volume.shape, volume.spacing_mm) == (3, (3, 8, 9), (2, 0.4, 0.2))


def test_features_are_of_grey_images() -> None:
    with pytest.raises(Excluded, match="FEATURES_COLOUR"):
        extract(Image(np.zeros((3, 8, 9), np.float32), channels=3), FeatureSpec())
