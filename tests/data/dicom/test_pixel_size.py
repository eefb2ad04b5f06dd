"""The size of a pixel as a header says it, in all the ways that the standard knows (PS3.3 C.8.5.5, 10.7, C.7.6.3.1.7)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hostile.samples import change, d, p
from pixel_sizes import dataset, encoded, groups, image, item, region, ultrasound
from pydicom.uid import ExplicitVRBigEndian

import medray
from medray.data.dicom import inspect
from medray.types import Header, Image

WHOLE = (0, 0, 59, 39)
LEFT, RIGHT = (0, 0, 29, 39), (30, 0, 59, 39)
M_MODE = region(RIGHT, (0.01, 0.01), kind=2, units=(4, 3))


def header(data: bytes) -> Header:
    found = inspect(data, len(data))
    assert found is not None
    return found


def size(data: bytes) -> tuple[tuple[float, ...] | None, tuple[str, ...]]:
    """Spacing, to six digits, and flags."""
    found = header(data)
    spacing = found.spacing_mm
    return None if spacing is None else tuple(float(f"{one:.6g}") for one in spacing), found.flags


# --- ultrasound regions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("deltas", [(0.01, 0.02), (-0.01, 0.02), (0.01, -0.02)])
def test_a_region_in_centimetres_gives_the_spacing(deltas: tuple[float, float]) -> None:
    assert size(ultrasound(region(WHOLE, deltas))) == ((0.2, 0.1), ())


def test_big_endian() -> None:
    found = dataset("US", SequenceOfUltrasoundRegions=[region(LEFT, (0.01, 0.02))])
    read = header(encoded(found, ExplicitVRBigEndian))
    assert read.spacing_mm == pytest.approx((0.2, 0.1))
    assert read.ultrasound_regions[0][:5] == (1, 0, 0, 40, 30)


@pytest.mark.parametrize("units", [0, 4, (3, 4), (4, 3), 12])
def test_other_units_give_none(units: Any) -> None:
    assert size(ultrasound(region(WHOLE, (0.01, 0.02), units=units))) == (None, ())


@pytest.mark.parametrize("kind", [0, 2, 3, 4, 5, 77])
def test_other_spatial_formats_give_none(kind: int) -> None:
    assert size(ultrasound(region(WHOLE, (0.01, 0.02), kind=kind))) == (None, ())


@pytest.mark.parametrize("bad", [0.0, math.nan, math.inf, None, 1e308])
def test_a_delta_that_is_no_size_gives_none_and_is_flagged(bad: float | None) -> None:
    assert size(ultrasound(region(WHOLE, (bad, 0.02)))) == (None, ("VALUE_INVALID",))


def test_regions_that_agree_count_as_one() -> None:
    assert size(ultrasound(region(LEFT, (0.01, 0.02)), region(RIGHT, (0.01001, -0.02)))) == ((0.2, 0.1), ())
    tissue, flow = region(WHOLE, (0.01, 0.02)), region((10, 10, 20, 20), (0.01, 0.02))
    flow.RegionDataType = 2
    assert size(ultrasound(tissue, flow)) == ((0.2, 0.1), ())


@pytest.mark.parametrize("other", [region(RIGHT, (0.01, 0.03)), region(RIGHT, (0.02, 0.02)), region(RIGHT, (1, 1), units=0)])
def test_2d_regions_that_disagree_give_none(other: Any) -> None:
    found = header(ultrasound(region(LEFT, (0.01, 0.02)), other))
    assert (found.spacing_mm, found.flags) == (None, ("US_REGIONS_MIXED",))
    assert len(found.ultrasound_regions) == 2


def test_what_is_no_2d_region_does_not_count_but_shows() -> None:
    assert size(ultrasound(region(LEFT, (0.01, 0.02)), M_MODE)) == ((0.2, 0.1), ("US_REGIONS_MIXED",))
    grey_bar = region((0, 0, 3, 39), (0.0, 0.0), kind=0, units=0)
    assert size(ultrasound(region(WHOLE, (0.01, 0.02)), grey_bar)) == ((0.2, 0.1), ())


def test_a_region_that_ends_outside_is_cut_and_flagged() -> None:
    found = header(ultrasound(region((10, 5, 200, 100), (0.01, 0.02))))
    assert (found.spacing_mm, found.flags) == (pytest.approx((0.2, 0.1)), ("US_REGION_OUTSIDE",))
    assert found.ultrasound_regions[0][1:5] == (5, 10, 40, 60)
    assert size(ultrasound(region((0, 0, 60, 40), (0.01, 0.02)))) == ((0.2, 0.1), ())  # one too many is how devices count
    assert size(ultrasound(region((100, 100, 200, 200), (0.01, 0.02)))) == (None, ("US_REGION_OUTSIDE",))


@pytest.mark.parametrize("box", [None, (30, 0, 10, 39)])
def test_a_region_without_a_place_is_everywhere(box: Any) -> None:
    found = header(ultrasound(region(box, (0.01, 0.02))))
    assert found.spacing_mm == pytest.approx((0.2, 0.1))
    assert found.ultrasound_regions[0][1:5] == (0, 0, 40, 60)


def test_regions_and_pixel_spacing() -> None:
    one = region(WHOLE, (0.01, 0.02))
    assert size(ultrasound(one, PixelSpacing=[0.2, 0.1])) == ((0.2, 0.1), ())
    assert size(ultrasound(one, PixelSpacing=[0.4, 0.4])) == ((0.2, 0.1), ("SPACING_DIFFERS",))
    assert size(ultrasound(M_MODE, PixelSpacing=[0.4, 0.4])) == ((0.4, 0.4), ())
    assert size(ultrasound(PixelSpacing=[0.4, 0.4])) == ((0.4, 0.4), ())


def test_functional_groups_come_before_regions() -> None:
    measures = groups(PixelMeasuresSequence=item(PixelSpacing=[0.3, 0.3]))
    assert size(ultrasound(region(WHOLE, (0.01, 0.02)), SharedFunctionalGroupsSequence=measures)) == ((0.3, 0.3), ())


def test_an_absurd_number_of_regions_is_left_out() -> None:
    found = header(ultrasound(*[region(WHOLE, (0.01, 0.02))] * 65))
    assert (found.spacing_mm, found.ultrasound_regions, found.flags) == (None, (), ("VALUE_INVALID",))


def test_frames_of_a_multi_frame_image() -> None:
    two = np.zeros((2, 40, 60), np.uint8)
    found = dataset("US", SequenceOfUltrasoundRegions=[region(WHOLE, (0.01, 0.02))], NumberOfFrames=2)
    found.PixelData = two.tobytes()
    assert medray.decode(encoded(found), 1).spacing_mm == pytest.approx((0.2, 0.1))


@pytest.mark.parametrize(
    ("data", "spacing", "flags"),
    [
        (p("examples_ybr_color.dcm"), 0.510497, ("US_REGION_OUTSIDE",)),  # it was shrunk after its region was written
        (p("examples_palette.dcm"), 0.262288, ("US_REGION_OUTSIDE",)),
        (d("OBXXXX1A.dcm"), 0.262288, ("US_REGIONS_MIXED",)),
        (d("JPGLosslessP14SV1_1s_1f_8b.dcm"), 0.254767, ()),
        (d("gdcm-US-ALOKA-16.dcm"), 0.382653, ()),
    ],
    ids=["one", "cropped", "beside a waveform", "lossless", "two and a grey bar"],
)
def test_files_of_pydicom(data: bytes, spacing: float, flags: tuple[str, ...]) -> None:
    found = header(data)
    assert found.spacing_mm == pytest.approx((spacing, spacing), rel=1e-5)
    assert tuple(flag for flag in found.flags if flag.startswith("US_")) == flags


# --- projection radiography ----------------------------------------------------------------------------------------------------

IMAGER = {"ImagerPixelSpacing": [0.1, 0.2]}


@pytest.mark.parametrize("modality", ["CR", "DX", "MG", "XA", "RF", "IO", "PX"])
def test_the_spacing_at_the_detector_is_divided_by_the_magnification(modality: str) -> None:
    magnified = image(modality, **IMAGER, EstimatedRadiographicMagnificationFactor=1.6)
    assert size(magnified) == ((0.0625, 0.125), ("SPACING_ESTIMATED",))
    assert size(image(modality, **IMAGER)) == ((0.1, 0.2), ("SPACING_AT_DETECTOR",))
    alone = image(modality, PixelSpacing=[0.1, 0.2])
    assert size(alone) == ((0.1, 0.2), ("SPACING_AT_DETECTOR",))


def test_distances_stand_in_for_the_factor() -> None:
    distances = {"DistanceSourceToDetector": 1000, "DistanceSourceToPatient": 800}
    assert size(image("XA", **IMAGER, **distances)) == ((0.08, 0.16), ("SPACING_ESTIMATED",))
    stated = {"EstimatedRadiographicMagnificationFactor": 2}
    assert size(image("XA", **IMAGER, **distances, **stated)) == ((0.05, 0.1), ("SPACING_ESTIMATED",))


@pytest.mark.parametrize("distances", [(800, 1000), (1000, 1000), (1000, 0), (1000, -5), (1000, 10), (1000, None)])
def test_distances_that_cannot_be_leave_it_at_the_detector(distances: tuple[Any, Any]) -> None:
    odd = dict(zip(("DistanceSourceToDetector", "DistanceSourceToPatient"), distances, strict=True))
    assert size(image("XA", **IMAGER, **odd)) == ((0.1, 0.2), ("SPACING_AT_DETECTOR",))


@pytest.mark.parametrize("factor", ["0", "0.5", "-2", "1e9", "two"])
def test_a_factor_that_cannot_be_is_left_out(factor: str) -> None:
    data = change(image("MG", **IMAGER), EstimatedRadiographicMagnificationFactor=factor)
    assert size(data) == ((0.1, 0.2), ("SPACING_AT_DETECTOR", "VALUE_INVALID"))


@pytest.mark.parametrize("kind", ["GEOMETRY", "FIDUCIAL"])
def test_calibrated_spacing_is_that_in_the_patient(kind: str) -> None:
    magnified = {"EstimatedRadiographicMagnificationFactor": 1.6}
    assert size(image("DX", PixelSpacing=[0.1, 0.2], PixelSpacingCalibrationType=kind, **IMAGER, **magnified)) == ((0.1, 0.2), ())
    assert size(image("DX", PixelSpacing=[0.1, 0.2], PixelSpacingCalibrationType=kind)) == ((0.1, 0.2), ())


def test_pixel_spacing_that_repeats_the_detectors_is_no_calibration() -> None:
    assert size(image("DX", PixelSpacing=[0.1, 0.2], **IMAGER)) == ((0.1, 0.2), ("SPACING_AT_DETECTOR",))
    magnified = {"EstimatedRadiographicMagnificationFactor": 1.6}
    assert size(image("DX", PixelSpacing=[0.1, 0.2], **IMAGER, **magnified)) == ((0.0625, 0.125), ("SPACING_ESTIMATED",))
    assert size(image("DX", PixelSpacing=[0.09, 0.18], **IMAGER, **magnified)) == ((0.09, 0.18), ())  # 10.7.1.1: it was corrected


def test_scanned_films() -> None:
    nominal = {"NominalScannedPixelSpacing": [0.1, 0.2]}
    assert size(image("OT", **nominal)) == ((0.1, 0.2), ("SPACING_NOMINAL",))
    assert size(image("OT", PixelSpacing=[0.1, 0.2], **nominal)) == ((0.1, 0.2), ("SPACING_NOMINAL",))
    assert size(image("OT", PixelSpacing=[0.3, 0.3], **nominal)) == ((0.3, 0.3), ())
    assert size(image("DX", ImagerPixelSpacing=[0.3, 0.3], **nominal)) == ((0.3, 0.3), ("SPACING_AT_DETECTOR",))


@pytest.mark.parametrize("modality", ["CT", "MR", "PT", "NM"])
def test_planes_of_the_patient_stay_as_they_are(modality: str) -> None:
    distances = {"DistanceSourceToDetector": 1000, "DistanceSourceToPatient": 600}
    assert size(image(modality, PixelSpacing=[0.1, 0.2], **IMAGER, **distances)) == ((0.1, 0.2), ())


@pytest.mark.parametrize("modality", ["CT", "MR"])
def test_a_scanned_film_of_sections_is_no_plane_of_the_patient(modality: str) -> None:
    nominal = {"NominalScannedPixelSpacing": [0.1, 0.2]}
    assert size(image(modality, PixelSpacing=[0.1, 0.2], **nominal)) == ((0.1, 0.2), ("SPACING_NOMINAL",))
    assert size(image(modality, PixelSpacing=[0.3, 0.3], **nominal)) == ((0.3, 0.3), ())
    calibrated = {"PixelSpacingCalibrationType": "FIDUCIAL", **nominal}
    assert size(image(modality, PixelSpacing=[0.1, 0.2], **calibrated)) == ((0.1, 0.2), ())


def test_enhanced_x_ray() -> None:
    frame = item(ImagerPixelSpacing=[0.1, 0.2])
    far = item(DistanceSourceToDetector=1000, DistanceSourceToPatient=800)
    alone = groups(FramePixelDataPropertiesSequence=frame)
    assert size(image("XA", SharedFunctionalGroupsSequence=alone)) == ((0.1, 0.2), ("SPACING_AT_DETECTOR",))
    both = groups(FramePixelDataPropertiesSequence=frame, XRayGeometrySequence=far)
    assert size(image("XA", SharedFunctionalGroupsSequence=both)) == ((0.08, 0.16), ("SPACING_ESTIMATED",))


def test_tomosynthesis_is_reconstructed() -> None:
    measures = groups(PixelMeasuresSequence=item(PixelSpacing=[0.1, 0.1]))
    assert size(image("MG", SharedFunctionalGroupsSequence=measures, ImagerPixelSpacing=[0.1, 0.1])) == ((0.1, 0.1), ())


@pytest.mark.parametrize("keyword", ["PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"])
@pytest.mark.parametrize("value", ["0\\0", "0.1", "0.1\\-0.1", "a\\b", "0.1\\0.1\\0.1"])
def test_a_spacing_that_is_none_is_left_out_and_flagged(keyword: str, value: str) -> None:
    assert size(change(image("DX"), **{keyword: value})) == (None, ("VALUE_INVALID",))


def test_a_spacing_that_is_none_beside_one_that_is() -> None:
    data = change(image("DX", **IMAGER), PixelSpacing="0\\0")
    assert size(data) == ((0.1, 0.2), ("SPACING_AT_DETECTOR", "VALUE_INVALID"))


# --- pixel aspect ratio --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("ratio", "aspect"), [([2, 1], 2), ([4, 3], 4 / 3), ([1, 1], None), ([3, 3], None), (None, None)])
def test_the_aspect_ratio(ratio: Any, aspect: float | None) -> None:
    found = header(image("US", PixelAspectRatio=ratio))
    assert (found.pixel_aspect, found.spacing_mm, found.flags) == (aspect, None, ())


@pytest.mark.parametrize("value", ["0\\1", "1\\0", "-1\\1", "2", "1\\1\\1", "x", "1000000\\1"])
def test_a_ratio_that_is_none_is_flagged(value: str) -> None:
    found = header(change(image("US"), PixelAspectRatio=value))
    assert (found.pixel_aspect, found.flags) == (None, ("VALUE_INVALID",))


def test_spacing_comes_before_the_aspect_ratio() -> None:
    for ratio, flags in (([2, 1], ()), ([201, 100], ()), ([1, 1], ("SPACING_DIFFERS",)), ([1, 2], ("SPACING_DIFFERS",))):
        found = header(image("CT", PixelSpacing=[0.2, 0.1], PixelAspectRatio=ratio))
        assert (found.spacing_mm, found.pixel_aspect, found.flags) == ((0.2, 0.1), None, flags)


@pytest.mark.parametrize(
    ("known", "shape"),
    [
        ({}, (1.0, 1.0)),
        ({"spacing_mm": (0.4, 0.1)}, (2.0, 0.5)),
        ({"pixel_aspect": 0.25}, (0.5, 2.0)),
        ({"spacing_mm": (0.3, 0.3), "pixel_aspect": 4.0}, (1.0, 1.0)),
        ({"spacing_mm": (1e300, 1e-300)}, (1.0, 1.0)),
    ],
)
def test_the_shape_of_a_pixel(known: dict[str, Any], shape: tuple[float, float]) -> None:
    assert Image(np.ones((2, 2), np.float32), header=Header(**known)).pixel_shape == pytest.approx(shape)
