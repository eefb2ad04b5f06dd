"""Filtered images against pyradiomics, SimpleITK and plain convolution; the names are those of pyradiomics."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from radiomics import imageoperations
from scipy import ndimage

from medray.features.radiomics.filters import filter_names, filtered
from medray.features.radiomics.params import RadiomicsParams

SPACING = (2.5, 0.8, 0.5)
MAKERS = {
    "square": imageoperations.getSquareImage,
    "squareroot": imageoperations.getSquareRootImage,
    "logarithm": imageoperations.getLogarithmImage,
    "exponential": imageoperations.getExponentialImage,
    "wavelet": imageoperations.getWaveletImage,
    "gradient": imageoperations.getGradientImage,
}


def pixels(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(20, 60, shape)


@pytest.mark.parametrize(("shape", "dimensions"), [((8, 10), 2), ((7, 9), 2), ((6, 7, 8), 3), ((3, 7, 8), 2)])
@pytest.mark.parametrize("name", MAKERS)
def test_images_are_those_of_pyradiomics(name: str, shape: tuple[int, ...], dimensions: int) -> None:
    if name == "gradient" and dimensions < len(shape):
        shape = (1, *shape[1:])  # pyradiomics has no gradient in the planes of a volume
    image = sitk.GetImageFromArray(pixels(*shape))
    image.SetSpacing(SPACING[::-1][: len(shape)])
    params = RadiomicsParams(filters=(name,), dimensions=dimensions, wavelet="db2")
    found = filtered(pixels(*shape), SPACING[-len(shape) :], name, params)
    settings = {"force2D": dimensions < len(shape), "wavelet": "db2"}
    expected = {label: sitk.GetArrayFromImage(one) for one, label, _ in MAKERS[name](image, None, **settings)}
    assert filter_names(params) == tuple(expected)
    for own, other in zip(found, expected.values(), strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-12, atol=1e-4 if name == "gradient" else 1e-10)


@pytest.mark.parametrize(("shape", "dimensions"), [((12, 15), 2), ((5, 12, 15), 2), ((9, 12, 15), 3)])
def test_laplacian_of_gaussian_is_a_convolution_with_the_sampled_kernel(shape: tuple[int, ...], dimensions: int) -> None:
    params = RadiomicsParams(filters=("log",), sigmas=(1, 1.5), length_unit="px", dimensions=dimensions)
    assert filter_names(params) == (f"log-sigma-1-0-px-{dimensions}D", f"log-sigma-1-5-px-{dimensions}D")
    for sigma, found in zip(params.sigmas, filtered(pixels(*shape), None, "log", params), strict=True):
        reach = int(4 * sigma + 0.5)
        places = np.mgrid[(slice(-reach, reach + 1),) * dimensions]
        square = np.sum(places**2, axis=0) / sigma**2
        kernel = (square - dimensions) / sigma**2 * np.exp(-square / 2) / (np.sqrt(2 * np.pi) * sigma) ** dimensions
        kernel = kernel.reshape((1,) * (len(shape) - dimensions) + kernel.shape)
        np.testing.assert_allclose(found, ndimage.correlate(pixels(*shape), kernel, mode="mirror"), atol=1e-10)


def test_sigma_in_mm_follows_the_spacing() -> None:
    in_mm = RadiomicsParams(filters=("log",), sigmas=(2,))
    in_px = RadiomicsParams(filters=("log",), sigmas=(4,), length_unit="px")
    assert filter_names(in_mm) == ("log-sigma-2-0-mm-2D",)
    (found,), (expected,) = (filtered(pixels(20, 20), (0.5, 0.5), "log", params) for params in (in_mm, in_px))
    np.testing.assert_array_equal(found, expected)
    assert filtered(pixels(20, 20), None, "log", in_mm) == [None]


def test_no_filter_shrinks_an_image_of_one_row() -> None:
    for name in (*MAKERS, "log"):
        for shape in ((1, 1), (1, 9), (9, 1)):
            params = RadiomicsParams(filters=(name,), sigmas=(1,), length_unit="px")
            assert all(one is not None and one.shape == shape for one in filtered(pixels(*shape), None, name, params))
