"""The segmentation and its descriptors, on drawn lesions and on BUSI."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
from measured import measured
from pydicom import dcmread

from medray.features.segment import SIDE, find_region
from medray.features.shape import SHAPE, ShapeParams
from medray.imaging.preprocess import PreprocessSpec, preprocess
from medray.imaging.table import Percentile, Resize
from medray.types import Image

BUSI = Path(__file__).parents[2].parent / "shared" / "data" / "busi"


def lesion(axes: tuple[int, int], angle: float = 0, side: int = 256, inside: float = 0.2) -> np.ndarray:
    """A dark ellipse with (across, down) half axes in 256ths of the side."""
    pixels = np.full((side, side), 0.7, np.float32)
    scale = side / 256
    centre = (side // 2, int(side * 0.45))
    cv2.ellipse(pixels, centre, (int(axes[0] * scale), int(axes[1] * scale)), angle, 0, 360, inside, -1)
    return pixels


def features(pixels: np.ndarray, polarity: str = "dark") -> dict[str, float]:
    return measured(SHAPE, pixels, params=ShapeParams.model_validate({"foreground": polarity}))


def test_a_disc_is_round_and_an_ellipse_is_not() -> None:
    disc, ellipse = features(lesion((30, 30))), features(lesion((60, 20)))
    assert disc["shape_eccentricity"] < 0.3
    assert ellipse["shape_eccentricity"] == pytest.approx(np.sqrt(1 - 1 / 9), abs=0.03)
    assert disc["shape_compactness"] > ellipse["shape_compactness"]
    assert disc["shape_solidity"] > 0.93
    assert disc["shape_radius_deviation"] < 0.05 < ellipse["shape_radius_deviation"]
    assert disc["shape_area_fraction"] == pytest.approx(np.pi * (30 / 256) ** 2, rel=0.2)


def test_taller_than_wide_shows() -> None:
    tall, wide = features(lesion((20, 50))), features(lesion((50, 20)))
    assert tall["shape_height_to_width"] > 1.8
    assert wide["shape_height_to_width"] < 0.6
    assert tall["shape_orientation"] > 0.9 > 0.1 > wide["shape_orientation"]


@pytest.mark.parametrize("side", [128, 512])
def test_the_size_of_the_image_does_not_show(side: int) -> None:
    reference, other = features(lesion((45, 25))), features(lesion((45, 25), side=side))
    for name in ("area_fraction", "extent", "eccentricity", "height_to_width", "contrast", "inside_mean"):
        assert other[f"shape_{name}"] == pytest.approx(reference[f"shape_{name}"], rel=0.1)


def test_bright_regions_are_dark_ones_of_the_negative() -> None:
    pixels = lesion((40, 25))
    dark, bright = features(pixels), features(1 - pixels, "bright")
    for name in ("area_fraction", "eccentricity", "solidity"):
        assert bright[f"shape_{name}"] == pytest.approx(dark[f"shape_{name}"], rel=1e-3)
    assert bright["shape_contrast"] == pytest.approx(-dark["shape_contrast"], rel=1e-3)


def test_shadow_and_enhancement_below_the_lesion() -> None:
    shadow, enhanced = lesion((40, 25)), lesion((40, 25))
    shadow[160:, 100:156] = 0.5
    enhanced[160:, 100:156] = 0.9
    assert features(shadow)["shape_posterior_difference"] < -0.05
    assert features(enhanced)["shape_posterior_difference"] > 0.05


@pytest.mark.parametrize("pixels", [np.full((64, 64), 0.5), np.zeros((1, 1)), np.ones((1, 300))], ids=str)
def test_nothing_to_find_is_nan(pixels: np.ndarray) -> None:
    assert np.isnan(list(features(pixels.astype(np.float32)).values())).all()


@pytest.mark.skipif(not BUSI.is_dir(), reason="needs the BUSI data beside the repository")
def test_finds_most_lesions_of_busi() -> None:
    with (BUSI / "labels.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["mask"] and row["split"] == "train"][:60]
    spec = PreprocessSpec(steps=(Percentile(low=1, high=99), Resize(rows=256, columns=256)))
    dice = []
    for row in rows:
        pixels = dcmread(BUSI / "images" / f"{row['SOPInstanceUID']}.dcm").pixel_array.astype(np.float32)
        image = preprocess(Image(pixels if pixels.ndim == 2 else pixels.mean(2)), spec)
        region = find_region(image.pixels, np.ones(image.pixels.shape, bool), "dark")
        assert region is not None
        drawn = dcmread(BUSI / row["mask"]).pixel_array.squeeze().astype(np.float32)
        mask = cv2.resize(drawn, (SIDE, SIDE), interpolation=cv2.INTER_AREA) >= 0.5
        dice.append(2 * np.sum(mask & region.mask) / (mask.sum() + region.mask.sum()))
    assert np.mean(dice) > 0.42
