"""Find burned-in text and calipers in ultrasound."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from conftest import SHARED
from hypothesis import given, settings
from hypothesis import strategies as st
from placed_images import placed
from pydicom.data import get_testdata_file

from medray.data.dicom import decode
from medray.errors import Quarantined
from medray.imaging.table import TextMask, text_mask
from medray.types import Image


def speckle(seed: int = 2) -> np.ndarray:
    """Tissue of echoes that are blurred sideways, from 0 to about 200."""
    rng = np.random.default_rng(seed)
    echoes = cv2.GaussianBlur(rng.rayleigh(1, (300, 400)).astype(np.float32), (0, 0), sigmaX=3, sigmaY=1)
    return 200 * (echoes - echoes.min()) / (echoes.max() - echoes.min())


def drawn(pixels: np.ndarray, words: bool = True, crosses: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """The image with a word in its corner and two caliper crosses drawn in; and the pixels drawn on."""
    drawing = np.zeros(pixels.shape, np.uint8)
    if words:
        cv2.putText(drawing, "RT BREAST", (8, 285), cv2.FONT_HERSHEY_SIMPLEX, 0.5, 255, 1, cv2.LINE_AA)
    if crosses:
        for point in ((150, 100), (220, 140)):
            cv2.drawMarker(drawing, point, 255, cv2.MARKER_CROSS, 13, 1)
    ink = drawing / 255
    return pixels * (1 - ink) + 255 * ink, ink > 0.5


def test_words_and_crosses_are_masked_and_echoes_are_not() -> None:
    pixels, ink = drawn(speckle())
    result = text_mask(placed(pixels), TextMask())
    assert result.valid is not None
    assert (~result.valid[ink]).mean() > 0.98
    around = cv2.dilate(ink.astype(np.uint8), np.ones((9, 9), np.uint8)).astype(bool)
    assert result.valid[~around].all()


def test_inpainted_text_is_gone_and_the_rest_untouched() -> None:
    clean = speckle()
    pixels, ink = drawn(clean)
    result = text_mask(placed(pixels), TextMask(fill="inpaint"))
    assert result.valid is None
    around = cv2.dilate(ink.astype(np.uint8), np.ones((9, 9), np.uint8)).astype(bool)
    np.testing.assert_array_equal(result.pixels[~around], placed(pixels).pixels[~around])
    assert np.abs(result.pixels - clean)[ink].mean() < 0.25 * np.abs(pixels - clean)[ink].mean()


@settings(deadline=None, max_examples=8)
@given(st.integers(0, 10_000))
def test_tissue_alone_is_left_alone(seed: int) -> None:
    image = placed(speckle(seed))
    assert text_mask(image, TextMask()) is image


def test_what_was_invalid_stays_so() -> None:
    pixels, _ = drawn(speckle(), crosses=False)
    image = replace(placed(pixels), valid=np.indices(pixels.shape)[0] < 260)
    assert text_mask(image, TextMask()) is image


@pytest.mark.parametrize("pixels", [np.full((20, 20), 3.0), np.ones((1, 1))])
def test_a_constant_image_holds_no_text(pixels: np.ndarray) -> None:
    image = placed(pixels)
    assert text_mask(image, TextMask()) is image


def test_an_image_without_valid_pixels_is_quarantined() -> None:
    with pytest.raises(Quarantined, match="IMAGE_NO_VALID_PIXELS"):
        text_mask(Image(np.ones((2, 2), np.float32), np.zeros((2, 2), bool)), TextMask())


def test_real_ct_and_mr_hold_none() -> None:
    for name in ("CT_small.dcm", "MR_small.dcm"):
        image = decode(get_testdata_file(name))
        assert text_mask(image, TextMask()) is image


def test_little_of_real_ultrasound_is_taken_for_text() -> None:
    files = sorted((SHARED / "data" / "busi" / "images").glob("*.dcm"))[::40]
    if not files:
        pytest.skip("the BUSI data is not on this machine")
    masked = [0.0 if (valid := text_mask(decode(path), TextMask()).valid) is None else 1 - valid.mean() for path in files]
    assert max(masked) < 0.02
    assert 0.2 < np.mean(np.array(masked) > 0) < 0.95


def test_text_is_not_painted_over_with_padding() -> None:
    pixels, _ = drawn(speckle(), crosses=False)
    valid = np.ones(pixels.shape, bool)
    valid[290:] = False
    for value in (0, 90):
        image = replace(placed(np.where(valid, pixels, value)), valid=valid)
        result = text_mask(image, TextMask(fill="inpaint")).pixels
        assert (result[~valid] == value).all()
        if value == 0:
            first = result[valid]
    np.testing.assert_array_equal(result[valid], first)


@pytest.mark.parametrize("scale", [1 / 255, 1e30])
def test_what_is_painted_does_not_depend_on_the_range_of_the_pixels(scale: float) -> None:
    image = placed(drawn(speckle())[0])
    expected = text_mask(image, TextMask(fill="inpaint")).pixels
    result = text_mask(replace(image, pixels=image.pixels * np.float32(scale)), TextMask(fill="inpaint")).pixels
    np.testing.assert_allclose(result / np.float32(scale), expected, atol=0.02)
