"""Every feature against pyradiomics: planes and volumes, with and without a mask, real and made."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from features.radiomics.oracle import itk, own, pyradiomics, settings
from pydicom import dcmread
from pydicom.data import get_testdata_file
from radiomics.featureextractor import RadiomicsFeatureExtractor

from medray.features.radiomics.family import RADIOMICS
from medray.features.radiomics.params import RadiomicsParams
from medray.types import Header, Image

ALL = ("firstorder", "shape", "glcm", "glrlm", "glszm", "ngtdm", "gldm")


def dicom(name: str) -> Image:
    dataset = dcmread(get_testdata_file(name))
    rows, columns = (float(side) for side in dataset.PixelSpacing)
    return Image(dataset.pixel_array.astype(np.float32), header=Header(spacing_mm=(rows, columns)))


def ellipse(*sides: int) -> np.ndarray:
    places = np.indices(sides)
    return sum(((p - s / 2) / (0.42 * s)) ** 2 for p, s in zip(places, sides, strict=True)) <= 1


def noise(*sides: int, whole: bool = True, mask: np.ndarray | None = None) -> Image:
    pixels = np.random.default_rng(len(sides)).normal(100, 40, sides)
    pixels = cv2.GaussianBlur(pixels, (0, 0), 1) * 3 if len(sides) == 2 else pixels
    spacing = Header(spacing_mm=(0.8, 0.5))
    slices = 2.5 if len(sides) == 3 else None
    return Image((np.rint(pixels) if whole else pixels).astype(np.float32), header=spacing, mask=mask, slice_spacing_mm=slices)


def scattered(*sides: int) -> np.ndarray:
    return np.random.default_rng(7).random(sides) < 0.4


CASES: dict[str, tuple[Callable[[], Image], RadiomicsParams]] = {
    "noise": (lambda: noise(60, 70), RadiomicsParams(bin_width=10)),
    "not whole numbers": (lambda: noise(40, 30, whole=False), RadiomicsParams(bin_width=0.7, array_shift=100)),
    "ellipse": (lambda: noise(70, 60, mask=ellipse(70, 60)), RadiomicsParams(bin_count=32, distances=(1, 2), gldm_alpha=1)),
    "scattered": (lambda: noise(30, 30, mask=scattered(30, 30)), RadiomicsParams(bin_count=5)),
    "a line": (lambda: noise(1, 40), RadiomicsParams(bin_count=4)),
    "a column": (lambda: noise(40, 1), RadiomicsParams(bin_count=4)),
    "ct": (lambda: dicom("CT_small.dcm"), RadiomicsParams()),
    "mr": (lambda: dicom("MR_small.dcm"), RadiomicsParams(bin_count=64)),
    "volume": (lambda: noise(9, 20, 22), RadiomicsParams(dimensions=3, bin_width=10)),
    "blob": (
        lambda: noise(12, 20, 22, mask=ellipse(12, 20, 22)),
        RadiomicsParams(dimensions=3, bin_count=16, distances=(2,), gldm_alpha=2),
    ),
    "scattered volume": (lambda: noise(8, 9, 10, mask=scattered(8, 9, 10)), RadiomicsParams(dimensions=3, bin_count=4)),
    "volume in planes": (lambda: noise(6, 20, 22, mask=ellipse(6, 20, 22)), RadiomicsParams(bin_count=8, classes=ALL)),
    "one slice": (lambda: noise(1, 20, 22), RadiomicsParams(dimensions=3, bin_count=8)),
}


@pytest.mark.parametrize("case", CASES)
def test_features_of_the_original_image(case: str) -> None:
    make, params = CASES[case]
    image = make()
    found, expected = own(image, params), pyradiomics(image, params)
    assert set(found) == set(expected)
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-12)


DEGENERATE = {
    "firstorder_Kurtosis": 0,
    "firstorder_Skewness": 0,
    "glcm_Correlation": 1,
    "glcm_Imc1": 0,
    "glcm_MCC": 1,
    "ngtdm_Busyness": 0,
    "ngtdm_Coarseness": 1e6,
    "ngtdm_Contrast": 0,
    "ngtdm_Strength": 0,
}
"""What pyradiomics answers for a constant region where the formula divides by zero."""


@pytest.mark.parametrize("shape", [(9, 8), (4, 5, 6)])
def test_a_constant_region_has_the_features_that_are_defined(shape: tuple[int, ...]) -> None:
    image = Image(np.full(shape, 3, np.float32), header=Header(spacing_mm=(1, 1)), slice_spacing_mm=len(shape) - 2 or None)
    params = RadiomicsParams(dimensions=len(shape))
    found, expected = own(image, params), pyradiomics(image, params)
    for name, value in DEGENERATE.items():
        assert np.isnan(found.pop(f"original_{name}"))
        assert expected.pop(f"original_{name}") == value
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-12)
    reasons = RADIOMICS.extract(image, params).reasons
    assert {str(reason) for reason in reasons.values()} == {"CONSTANT"}
    assert len(reasons) == len(DEGENERATE)


def test_directions_with_a_single_level_do_not_count_where_the_feature_is_not_defined() -> None:
    pixels = np.full((9, 8), 3, np.float32)
    pixels[0, 0] = 4
    image, params = Image(pixels, header=Header(spacing_mm=(1, 1))), RadiomicsParams(bin_width=1)
    found, expected = own(image, params), pyradiomics(image, params)
    for name, value in (("Correlation", 1), ("Imc1", 0), ("MCC", 0)):  # of one direction in four
        assert (3 * found.pop(f"original_glcm_{name}") + value) / 4 == pytest.approx(expected.pop(f"original_glcm_{name}"))
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(("second", "defined"), [((2, 4), 101), ((4, 5), 75)], ids=["neighbours", "apart"])
def test_two_pixels(second: tuple[int, int], defined: int) -> None:
    mask = np.zeros((8, 9), bool)
    mask[2, 3] = mask[second] = True
    image, params = noise(8, 9, mask=mask), RadiomicsParams(bin_width=1)
    found, expected = own(image, params), pyradiomics(image, params)
    values = {name: value for name, value in found.items() if np.isfinite(value)}
    assert len(values) == defined
    for name, value in values.items():
        assert value == pytest.approx(expected[name], rel=1e-9, abs=1e-12), name


def test_the_extractor_of_pyradiomics_has_the_same_columns_and_values() -> None:
    filters = ("original", "square", "squareroot", "logarithm", "exponential", "wavelet", "gradient")
    params = RadiomicsParams(filters=filters, bin_count=16, resegment=(250, 380))
    image = noise(31, 40, mask=ellipse(31, 40))
    extractor = RadiomicsFeatureExtractor(**settings(params), force2D=False, additionalInfo=False)
    for name in ("Square", "SquareRoot", "Logarithm", "Exponential", "Wavelet", "Gradient"):
        extractor.enableImageTypeByName(name)
    extractor.enableFeatureClassByName("shape", False)
    extractor.enableFeatureClassByName("shape2D", True)
    expected = {name: float(value) for name, value in extractor.execute(*itk(image)).items()}
    found = own(image, params)
    assert set(found) == set(expected)
    exact = {name for name in found if not name.startswith("gradient")}
    assert {n: found[n] for n in exact} == pytest.approx({n: expected[n] for n in exact}, rel=1e-9, abs=1e-12)
    for name in ("firstorder_Mean", "firstorder_Maximum", "firstorder_Kurtosis"):  # single precision in SimpleITK
        assert found[f"gradient_{name}"] == pytest.approx(expected[f"gradient_{name}"], rel=1e-6)
