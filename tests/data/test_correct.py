"""Gantry tilt and uneven spacing corrected on request: against dcm2niix's _Tilt and _Eq images, and against the truth."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from dicom_series import AXIAL, OBLIQUE, SeriesSpec, as_bytes, datasets, dcm2niix, decimal, enhanced, files, shuffled
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from medray.data.correct import corrected_mask
from medray.data.correction import taps
from medray.data.volume import Volume, build_volume
from medray.errors import Quarantined

EVEN = tuple(2.5 * k for k in range(8))
UNEVEN = (0.0, 2.5, 5.0, 7.5, 10.0, 15.0, 20.0, 25.0)
BOTH = ("tilt", "spacing")
ROUNDED = 0.55
"""dcm2niix rounds to whole numbers, and counts parts of a pixel in float32."""


def tilted_axial(degrees: float) -> tuple[float, ...]:
    """Rows to the left; columns lean away from the back."""
    return (1.0, 0.0, 0.0, 0.0, float(np.cos(np.radians(degrees))), float(-np.sin(np.radians(degrees))))


def series(places: tuple[float, ...] = EVEN, degrees: float = 0.0, **extra: Any) -> list[bytes]:
    """A CT whose table moves along the patient, slice k to ``places[k]`` mm, under a gantry tilted by some degrees."""
    spec = SeriesSpec(slices=len(places), rows=20, columns=16, signed=True, intercept=0.0, spacing_mm=(0.5, 0.5))
    slices = datasets(replace(spec, orientation=tilted_axial(degrees)))
    for one, place in zip(slices, places, strict=True):
        one.ImagePositionPatient = [decimal(value) for value in np.add(spec.origin_mm, (0, 0, place))]
        one.GantryDetectorTilt = str(degrees)
        for name, value in extra.items():
            setattr(one, name, value)
    return shuffled([as_bytes(one) for one in slices])


def theirs(data: list[bytes], kind: str, folder: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Voxels (slices, rows, columns) and affine, in our order of rows, of the NIfTI image that dcm2niix names so."""
    (nifti,) = [path for path in dcm2niix(data, folder) if kind in path.name]
    image = nibabel.load(nifti)
    voxels = np.asarray(image.dataobj, np.float64).T[:, ::-1]
    turned = np.eye(4)
    turned[1, 1], turned[1, 3] = -1, voxels.shape[1] - 1
    return voxels, image.affine @ turned


def difference(volume: Volume, voxels: NDArray[np.float64]) -> float:
    """The largest one of valid voxels that both have."""
    slices = min(len(volume.voxels), len(voxels))
    apart = np.abs(volume.voxels[:slices] - voxels[:slices])
    return float(apart.max() if volume.valid is None else apart[volume.valid[:slices]].max())


@pytest.mark.parametrize("manufacturer", ["ACME", "GE MEDICAL SYSTEMS", "SIEMENS", "Philips Medical Systems", "TOSHIBA"])
@pytest.mark.parametrize("degrees", [15.0, -15.0, 4.0, -27.0])
def test_a_tilt_is_corrected_as_dcm2niix_corrects_it(degrees: float, manufacturer: str, tmp_path: Path) -> None:
    data = series(degrees=degrees, Manufacturer=manufacturer)
    volume = build_volume(data, correct=["tilt"])
    assert volume.flags == ("VOLUME_TILT_CORRECTED",)
    voxels, affine = theirs(data, "Tilt", tmp_path)
    assert volume.voxels.shape == voxels.shape
    assert difference(volume, voxels) < ROUNDED
    assert volume.valid is not None
    assert volume.valid.sum() >= 8 * 18 * 16
    if degrees > 0:  # it forgets to move the origin by the rows that it adds before the first one
        np.testing.assert_allclose(affine, volume.affine_ras, atol=1e-4)


@pytest.mark.parametrize(
    "places", [UNEVEN, (0.0, 5.0, 10.0, 12.5, 15.0), (0.0, 3.0, 6.0, 12.0, 22.0), (0.0, 1.0, 2.0, 3.0, 20.0)]
)
def test_uneven_slices_are_evened_as_dcm2niix_evens_them(places: tuple[float, ...], tmp_path: Path) -> None:
    data = series(places)
    volume = build_volume(data, correct=["spacing"])
    assert volume.flags == ("VOLUME_SPACING_CORRECTED",)
    voxels, affine = theirs(data, "Eq", tmp_path)
    assert difference(volume, voxels) < ROUNDED
    np.testing.assert_allclose(affine, volume.affine_ras, atol=1e-4)
    # it leaves the last slices out, we reach as far as there are whole steps
    assert len(voxels) <= len(volume.voxels)
    assert places[-1] - volume.spacing_mm[0] < volume.positions_mm[-1, 2] - volume.positions_mm[0, 2] <= places[-1] + 1e-6


@pytest.mark.parametrize("degrees", [15.0, -15.0])
def test_both_are_corrected_as_dcm2niix_corrects_them(degrees: float, tmp_path: Path) -> None:
    data = series(UNEVEN, degrees)
    volume = build_volume(data, correct=BOTH)
    assert volume.flags == ("VOLUME_SPACING_CORRECTED", "VOLUME_TILT_CORRECTED")
    voxels, _ = theirs(data, "Tilt_Eq", tmp_path)
    assert voxels.shape[1:] == volume.voxels.shape[1:]
    assert difference(volume, voxels) < 2 * ROUNDED  # rounded twice


def field(points: NDArray[np.float64], power: int = 1) -> NDArray[np.float64]:
    """A value for each place in the patient, (…, 3) in mm."""
    return np.asarray((points @ (1.0, 2.0, -3.0)) ** power / 10.0 ** (power - 1))


def seen(spec: SeriesSpec, positions: NDArray[np.float64], power: int = 1) -> list[bytes]:
    """The slices that a scanner makes of :func:`field`, exact to 1/100."""
    slices = datasets(replace(spec, slices=len(positions), slope=0.01, intercept=-300.0))
    row, column = np.reshape(spec.orientation, (2, 3))
    down, along = np.indices((spec.rows, spec.columns))
    for one, position in zip(slices, positions, strict=True):
        one.ImagePositionPatient = [decimal(value) for value in position]
        points = position + along[..., None] * spec.spacing_mm[1] * row + down[..., None] * spec.spacing_mm[0] * column
        one.PixelData = np.rint((field(points, power) + 300) * 100).astype(np.uint16).tobytes()
    return [as_bytes(one) for one in slices]


def points_of(volume: Volume) -> NDArray[np.float64]:
    """Where each voxel lies, by the affine; (slices, rows, columns, 3)."""
    slices, rows, columns = np.indices(volume.voxels.shape)
    index = np.stack([columns, rows, slices, np.ones_like(rows)], axis=-1)
    return np.asarray((index @ volume.affine.T)[..., :3])


SPEC = SeriesSpec(rows=18, columns=15, origin_mm=(3.0, -4.0, 5.0))
SHEARS = {"rows": (0.0, 0.9, 2.5), "columns": (-0.7, 0.0, 2.5), "both": (0.55, -0.8, 2.5), "none": (0.0, 0.0, 2.5)}


@pytest.mark.parametrize("interpolation", ["linear", "cubic"])
@pytest.mark.parametrize("orientation", [AXIAL, OBLIQUE], ids=["axial", "oblique"])
@pytest.mark.parametrize("shear", SHEARS)
@pytest.mark.parametrize("places", [range(6), (0, 1, 2, 4, 5, 6.5)], ids=["even", "uneven"])
def test_every_voxel_has_the_value_of_its_place(
    places: Any, shear: str, orientation: tuple[float, ...], interpolation: Any
) -> None:
    spec = replace(SPEC, orientation=orientation)
    row, column = np.reshape(orientation, (2, 3))
    step = np.array(SHEARS[shear]) @ np.stack([row, column, np.cross(row, column)])
    positions = np.asarray(spec.origin_mm) + np.asarray(places)[:, None] * step
    volume = build_volume(seen(spec, positions), correct=BOTH, interpolation=interpolation)
    valid = np.ones(volume.voxels.shape, bool) if volume.valid is None else volume.valid
    np.testing.assert_allclose(volume.voxels[valid], field(points_of(volume))[valid], atol=0.03)
    np.testing.assert_allclose(points_of(volume)[:, 0, 0], volume.positions_mm, atol=1e-5)
    assert [header.position_mm for header in volume.headers] == [tuple(place) for place in volume.positions_mm.tolist()]
    assert {(header.rows, header.columns) for header in volume.headers} == {volume.voxels.shape[1:]}
    directions = volume.affine[:3, :3] / np.linalg.norm(volume.affine[:3, :3], axis=0)
    np.testing.assert_allclose(directions.T @ directions, np.eye(3), atol=1e-6)
    uneven, sheared = len(set(np.diff(places))) > 1, shear != "none"
    assert volume.flags == ("VOLUME_SPACING_CORRECTED",) * uneven + ("VOLUME_TILT_CORRECTED",) * sheared
    kept = valid.sum() / (len(volume.voxels) * 18 * 15)
    assert 0.8 < kept <= 1


def test_cubic_is_nearer_to_what_curves() -> None:
    positions = np.asarray(SPEC.origin_mm) + np.array([0, 1, 2, 4, 5, 6.5])[:, None] * (0.0, 0.9, 2.5)
    data = seen(SPEC, positions, power=2)
    errors = []
    for interpolation in ("linear", "cubic"):
        volume = build_volume(data, correct=BOTH, interpolation=interpolation)  # type: ignore[arg-type]
        assert volume.valid is not None
        inside = volume.valid.copy()
        errors.append(float(np.abs(volume.voxels - field(points_of(volume), 2))[inside].mean()))
    assert errors[1] < errors[0] / 3


@pytest.mark.parametrize("interpolation", ["linear", "cubic"])
@settings(deadline=None)
@given(st.lists(st.floats(0.1, 5.0), min_size=1, max_size=8), st.floats(0, 1), st.data())
def test_weights_meet_lines_and_their_own_places(interpolation: Any, steps: list[float], part: float, data: Any) -> None:
    nodes = np.cumsum([0.0, *steps])
    places = np.array([part * nodes[-1], nodes[data.draw(st.integers(0, len(steps)))]])
    found = taps(places, nodes, interpolation, 1e-6)
    np.testing.assert_allclose(found.weights.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose((found.weights * nodes[found.indices]).sum(axis=1), places, atol=1e-4)
    values = np.random.default_rng(0).normal(size=len(nodes)).astype(np.float32)
    assert found.values(values)[1] == values[int(np.abs(nodes - places[1]).argmin())]


def test_nothing_is_resampled_that_nobody_asked_for() -> None:
    sheared = build_volume(series(degrees=15.0))
    assert sheared.flags == ("VOLUME_SHEARED",)
    with pytest.raises(Quarantined) as caught:
        build_volume(series(UNEVEN))
    assert caught.value.code == "VOLUME_GAP"
    with pytest.raises(Quarantined):
        build_volume(series(UNEVEN, 15.0), correct=["tilt"])
    only_tilt = build_volume(series(UNEVEN, 15.0), correct=["tilt"], allow={"VOLUME_GAP"})
    assert only_tilt.flags == ("VOLUME_GAP", "VOLUME_TILT_CORRECTED")
    only_spacing = build_volume(series(UNEVEN, 15.0), correct=["spacing"])
    assert only_spacing.flags == ("VOLUME_SHEARED", "VOLUME_SPACING_CORRECTED")
    np.testing.assert_allclose(np.diff(only_spacing.positions_mm, axis=0), [[0, 0, 2.5]] * 10, atol=1e-6)


def test_what_is_in_order_stays_as_it_is() -> None:
    data = files(SeriesSpec())
    plain, asked = build_volume(data), build_volume(data, correct="tilt", interpolation="cubic")
    np.testing.assert_array_equal(plain.voxels, asked.voxels)
    np.testing.assert_array_equal(plain.affine, asked.affine)
    assert (plain.flags, plain.headers, plain.valid) == (asked.flags, asked.headers, None)


def test_slices_that_are_kept_are_kept_to_the_bit_and_the_others_have_the_nearest_header() -> None:
    plain = build_volume(series(UNEVEN), allow={"VOLUME_GAP"})
    for interpolation in ("linear", "cubic"):
        volume = build_volume(series(UNEVEN), correct=["spacing"], interpolation=interpolation)  # type: ignore[arg-type]
        np.testing.assert_array_equal(volume.voxels[[0, 1, 2, 3, 4, 6, 8, 10]], plain.voxels)
        nearest = [plain.sop_uids.index(uid) for uid in volume.sop_uids]
        assert np.abs(volume.positions_mm - plain.positions_mm[nearest]).max() <= 2.5 + 1e-6
        assert volume.image().spacing_mm == (2.5, 0.5, 0.5)


def test_an_enhanced_image_is_corrected_as_a_classic_series_is() -> None:
    spec = SeriesSpec(slices=8, rows=20, step_mm=(0.0, 0.9, 2.5))
    one = build_volume(as_bytes(enhanced(shuffled(datasets(spec)), spec)), correct=BOTH)
    np.testing.assert_array_equal(one.voxels, build_volume(files(spec), correct=BOTH).voxels)


def test_padding_spoils_what_is_made_of_it() -> None:
    spec = SeriesSpec(slices=6, rows=12, columns=9, signed=True, step_mm=(0.0, 0.4, 2.5), spacing_mm=(0.8, 0.8))
    slices = datasets(spec)
    for one in slices:
        pixels = np.frombuffer(one.PixelData, np.int16).reshape(12, 9).copy()
        pixels[5, 4] = -2000
        one.PixelData, one.PixelPaddingValue = pixels.tobytes(), -2000
    data = [as_bytes(one) for one in slices]
    linear, cubic = (build_volume(data, correct=["tilt"], interpolation=kind) for kind in ("linear", "cubic"))  # type: ignore[arg-type]
    for volume, spoilt in ((linear, [1, 2, 1, 2, 1, 2]), (cubic, [1, 4, 1, 4, 1, 4])):
        assert volume.valid is not None
        # two columns side by side: one that holds padding, and one that does not
        assert (volume.valid[:, :, 3].sum(axis=1) - volume.valid[:, :, 4].sum(axis=1)).tolist() in (spoilt, spoilt[::-1])
        assert volume.voxels[volume.valid].min() >= -900 - 1024 - (0 if volume is linear else 500)


def test_a_varying_tilt_is_refused_but_can_be_allowed() -> None:
    positions = [(0.0, 0.2 * k * k, 2.5 * k) for k in range(6)]
    data = seen(SPEC, np.asarray(positions))
    with pytest.raises(Quarantined) as caught:
        build_volume(data, correct=BOTH)
    assert caught.value.code == "VOLUME_TILT"
    volume = build_volume(data, correct=BOTH, allow={"VOLUME_TILT"})
    assert volume.flags == ("VOLUME_TILT_CORRECTED",)
    assert volume.valid is not None
    np.testing.assert_allclose(volume.voxels[volume.valid], field(points_of(volume))[volume.valid], atol=0.03)
    bent = seen(SPEC, np.asarray(positions)[[0, 1, 2, 4, 5]])
    with pytest.raises(Quarantined) as caught:
        build_volume(bent, correct=["spacing"], allow={"VOLUME_TILT"})
    assert caught.value.code == "VOLUME_TILT"


def test_what_would_grow_too_large_is_refused() -> None:
    size = 8 * 20 * 16 * 4
    for data, asked in ((series(degrees=15.0), ["tilt"]), (series(UNEVEN), ["spacing"])):
        with pytest.raises(Quarantined) as caught:
            build_volume(data, correct=asked, max_bytes=size)  # type: ignore[arg-type]
        assert caught.value.code == "VOLUME_TOO_LARGE"


def test_many_thin_steps_make_at_most_twice_as_many_slices() -> None:
    volume = build_volume(series((0.0, 0.01, 100.0, 200.0, 300.0)), correct=["spacing"])
    assert len(volume.voxels) == 10
    np.testing.assert_allclose(volume.positions_mm[-1] - volume.positions_mm[0], (0, 0, 300), atol=1e-6)


def test_rounded_places_make_a_step_between_them() -> None:
    places = tuple(round(1.25 * k + 1e-9, 1) for k in range(20) if k not in (7, 8))
    volume = build_volume(series(places), correct=["spacing"])
    assert volume.spacing_mm[0] == pytest.approx(1.25, abs=0.02)


@pytest.mark.parametrize(("names", "values"), [({"correct": ["tilt", "hue"]}, "hue"), ({"interpolation": "spline"}, "spline")])
def test_names_that_there_are_not(names: Any, values: str) -> None:
    with pytest.raises(ValueError, match=values):
        build_volume(files(SeriesSpec()), **names)


def test_a_mask_is_corrected_with_its_volume() -> None:
    raw = build_volume(series(UNEVEN, 15.0), allow={"VOLUME_GAP"})
    made = build_volume(series(UNEVEN, 15.0), correct=BOTH)
    full = corrected_mask(np.ones(raw.voxels.shape, bool), raw, BOTH)
    assert full.shape == made.voxels.shape
    assert made.valid is not None
    assert (full | ~made.valid).all()
    assert not corrected_mask(np.zeros(raw.voxels.shape, bool), raw, BOTH).any()
    centre = points_of(made)[5, 16, 8]
    apart = raw.positions_mm[:, None, None] + points_of(raw)[0] - raw.positions_mm[0]
    egg, truth = (np.linalg.norm((points - centre) / (3, 3, 12), axis=-1) < 1 for points in (apart, points_of(made)))
    found = corrected_mask(egg, raw, BOTH)
    assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.9
