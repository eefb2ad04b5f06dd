"""The segmentation and its descriptors, on drawn lesions and on BUSI."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from feature_values import measured
from pydicom import dcmread

from medray.features.segment import SIDE, find_region
from medray.features.shape import SHAPE, ShapeParams
from medray.imaging.preprocess import PreprocessSpec, preprocess
from medray.imaging.table import Percentile, Resize, resize
from medray.types import Header, Image

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


def disc(shape: tuple[int, int], down: float, across: float) -> np.ndarray:
    """A dark ellipse with these half axes in the middle of an image."""
    rows, columns = np.mgrid[: shape[0], : shape[1]] - (np.array(shape)[:, None, None] - 1) / 2
    return np.where((rows / down) ** 2 + (columns / across) ** 2 < 1, 0.2, 0.7)


@pytest.mark.parametrize(
    ("shape", "half_axes", "header"),
    [
        ((128, 128), (20, 40), Header(pixel_aspect=2.0)),
        ((128, 128), (40, 20), Header(pixel_aspect=0.5)),
        ((128, 256), (20, 40), Header(pixel_aspect=2.0)),
        ((256, 128), (30, 40), Header(pixel_aspect=4 / 3)),
        ((128, 128), (20, 40), Header(spacing_mm=(0.2, 0.1))),
        ((128, 128), (20, 40), Header(spacing_mm=(0.2, 0.1), pixel_aspect=0.5)),
        ((200, 400), (60, 60), Header()),
    ],
)
def test_what_is_round_in_the_patient_is_round_whatever_its_pixels(
    shape: tuple[int, int], half_axes: tuple[int, int], header: Header
) -> None:
    found = measured(SHAPE, disc(shape, *half_axes), header=header)
    assert found["shape_eccentricity"] < 0.2
    assert found["shape_height_to_width"] == pytest.approx(1, abs=0.06)
    assert found["shape_radius_deviation"] < 0.05
    assert found["shape_compactness"] > 0.8


def test_what_is_round_stays_so_when_it_is_resized() -> None:
    image = Image(disc((200, 300), 60, 60).astype(np.float32))
    for size in ((128, 128), (256, 100)):
        small = resize(image, Resize(rows=size[0], columns=size[1]))
        assert measured(SHAPE, small.pixels, header=small.header)["shape_eccentricity"] < 0.2


def test_a_wide_lesion_of_tall_pixels_is_as_wide_as_it_is() -> None:
    wide = measured(SHAPE, disc((128, 128), 10, 40), header=Header(pixel_aspect=2.0))  # 20 : 40
    assert wide["shape_height_to_width"] == pytest.approx(0.5, abs=0.06)
    assert wide["shape_eccentricity"] == pytest.approx(math.sqrt(0.75), abs=0.05)
    assert wide["shape_orientation"] < 0.1


@pytest.mark.parametrize("shape", [(1, 300), (4000, 2)])
def test_a_very_long_image_takes_no_longer(shape: tuple[int, int]) -> None:
    assert np.isnan(measured(SHAPE, np.ones(shape), header=Header(pixel_aspect=900.0))["shape_eccentricity"])


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
