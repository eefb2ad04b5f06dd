"""Correct the bias field of MR."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
from placed_images import placed

from medray.errors import ConfigError, Excluded
from medray.imaging.table import BiasField, bias_field
from medray.types import Header, Image

Y, X = np.mgrid[:96, :96]
HEAD = ((Y - 48) / 42) ** 2 + ((X - 48) / 36) ** 2 < 1
FIELD = np.exp(0.5 * np.sin((X + Y) / 60))
QUICK = BiasField(shrink=2, levels=2, iterations=20)


def head() -> np.ndarray:
    """A head of two tissues under a smooth bias field."""
    tissue = np.where((X // 8 + Y // 8) % 2, 600.0, 800.0)
    return np.where(HEAD, tissue * FIELD, 0)


def spread(pixels: np.ndarray) -> float:
    """Of one tissue, relative."""
    one = pixels[HEAD & ((X // 8 + Y // 8) % 2 == 1)]
    return float(one.std() / one.mean())


def test_one_tissue_has_one_value_and_the_mean_stays() -> None:
    image = placed(head(), voi_window=(500.0, 900.0))
    result = bias_field(image, QUICK)
    assert spread(result.pixels) < 0.3 * spread(image.pixels)
    assert result.pixels[HEAD].mean() == pytest.approx(image.pixels[HEAD].mean(), rel=1e-3)
    assert result.header.voi_window == (500.0, 900.0)
    np.testing.assert_array_equal(bias_field(image, QUICK).pixels, result.pixels)


def test_a_volume_is_corrected_as_one() -> None:
    pixels = np.stack([head()] * 9)
    result = bias_field(placed(pixels), BiasField(shrink=3, levels=3, iterations=20))
    assert max(spread(plane) for plane in result.pixels) < 0.6 * spread(pixels[0])


def test_invalid_pixels_do_not_count() -> None:
    image = placed(np.where(X < 12, 1e6, head()))
    result = bias_field(replace(image, valid=X >= 12), QUICK)
    assert spread(np.where(X < 12, 700, result.pixels)) < 0.5 * spread(head())


def test_a_constant_image_stays_and_a_small_one_is_excluded() -> None:
    image = placed(np.full((20, 20), 5.0))
    assert bias_field(image, QUICK) is image
    for shape in ((1, 1), (7, 40), (3, 40, 40)):
        with pytest.raises(Excluded, match="IMAGE_TOO_SMALL"):
            bias_field(placed(np.ones(shape)), QUICK)


def test_without_simpleitk_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "SimpleITK", None)
    with pytest.raises(ConfigError, match=r"EXTRA_MISSING.*pip install 'medray\[mr\]'"):
        bias_field(placed(head()), QUICK)


@pytest.mark.parametrize("spacing", [(1e-300, 1e-300), (1e300, 1e300), (1e-6, 1e6)])
def test_any_spacing_is_taken(spacing: tuple[float, float]) -> None:
    pixels = np.random.default_rng(0).uniform(1, 9, (16, 60)).astype(np.float32)
    image = Image(pixels, header=Header(spacing_mm=spacing))
    assert np.isfinite(bias_field(image, BiasField(shrink=1, levels=1, iterations=1)).pixels).all()
