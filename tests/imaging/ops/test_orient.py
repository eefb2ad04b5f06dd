"""Turn images to one orientation, and mammograms to one side."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import SimpleITK
from placed_images import OBLIQUE, placed, world

from medray.errors import Excluded
from medray.imaging.place import directions
from medray.imaging.table import Orient, orient
from medray.types import Header, Image

AXIAL, CORONAL, SAGITTAL = (1, 0, 0, 0, 1, 0), (1, 0, 0, 0, 0, -1), (0, 1, 0, 0, 0, -1)
LETTERS = {"L": (1, 0, 0), "R": (-1, 0, 0), "P": (0, 1, 0), "A": (0, -1, 0), "S": (0, 0, 1), "I": (0, 0, -1)}


def cosines(columns: str, rows: str) -> tuple[float, ...]:
    return tuple(map(float, LETTERS[columns] + LETTERS[rows]))


def all_in_place(before: Image, after: Image) -> None:
    for value in range(before.pixels.size):
        (old,), (new,) = np.argwhere(before.pixels == value), np.argwhere(after.pixels == value)
        np.testing.assert_allclose(world(after, tuple(new)), world(before, tuple(old)), atol=1e-9)


@pytest.mark.parametrize(
    ("plane", "convention"), [("LR PA", (AXIAL, "axial")), ("LR SI", (CORONAL, "coronal")), ("PA SI", (SAGITTAL, "sagittal"))]
)
def test_planes_of_every_way_round_end_alike(plane: str, convention: tuple[tuple[float, ...], str]) -> None:
    first, second = plane.split()
    wanted, name = convention
    for columns, rows in [*product(first, second), *product(second, first)]:
        image = placed(np.arange(12).reshape(3, 4), cosines(columns, rows))
        turned = orient(image, Orient())
        assert turned.header.orientation == wanted, (columns, rows)
        all_in_place(image, turned)
        other = getattr(Orient(), name)[0].translate(str.maketrans("LP", "RA")) + getattr(Orient(), name)[1]
        assert orient(image, Orient(**{name: other})).header.orientation == cosines(other[0], other[1])


def test_volumes_of_every_way_round_end_alike() -> None:
    letters = [pair for axes in ("LR PA", "PA LR", "LR SI", "SI LR", "PA SI", "SI PA") for pair in product(*axes.split())]
    assert len(letters) == 24
    for columns, rows in letters:
        image = placed(np.arange(24).reshape(2, 3, 4), cosines(columns, rows))
        for convention in ("LPS", "RAS", "LIP", "PIR"):
            turned = orient(image, Orient(volume=convention))
            found = directions(turned)
            assert found is not None
            assert found.tolist() == [list(LETTERS[letter]) for letter in reversed(convention)]
            all_in_place(image, turned)


@pytest.mark.parametrize("orientation", [OBLIQUE, (0.0, 0.8, 0.6, -1.0, 0.0, 0.0), (0.96, 0.28, 0.0, 0.28, -0.96, 0.0)])
def test_an_oblique_volume_goes_by_its_nearest_axes_as_simpleitk_does(orientation: tuple[float, ...]) -> None:
    image = placed(np.arange(24).reshape(2, 3, 4), orientation)
    volume = SimpleITK.GetImageFromArray(image.pixels)
    found = directions(image)
    assert found is not None
    assert image.spacing_mm is not None
    volume.SetDirection(found[::-1].T.ravel().tolist())
    volume.SetSpacing(image.spacing_mm[::-1])
    volume.SetOrigin(image.header.position_mm)
    theirs, ours = SimpleITK.DICOMOrient(volume, "LPS"), orient(image, Orient())
    np.testing.assert_array_equal(ours.pixels, SimpleITK.GetArrayFromImage(theirs))
    np.testing.assert_allclose(ours.header.position_mm, theirs.GetOrigin(), atol=1e-9)
    np.testing.assert_allclose(ours.spacing_mm, theirs.GetSpacing()[::-1])


def test_masks_turn_along() -> None:
    image = placed(np.arange(12).reshape(3, 4), cosines("P", "R"))
    turned = orient(replace(image, valid=image.pixels > 3, mask=image.pixels > 7), Orient())
    np.testing.assert_array_equal(turned.valid, turned.pixels > 3)
    np.testing.assert_array_equal(turned.mask, turned.pixels > 7)


def test_slices_of_a_sheared_volume_stay_slices() -> None:
    sheared = {"flags": ("VOLUME_SHEARED",)}
    axial = placed(np.arange(24).reshape(2, 3, 4), cosines("R", "A"), **sheared)
    assert orient(axial, Orient()).header.position_mm is not None
    with pytest.raises(Excluded, match="VOLUME_SHEARED"):
        orient(placed(np.arange(24).reshape(2, 3, 4), CORONAL, **sheared), Orient())
    upside = placed(np.arange(24).reshape(2, 3, 4), cosines("L", "A"), **sheared)
    assert orient(upside, Orient()).header.position_mm is None


@pytest.mark.parametrize("shape", [(1, 1), (5, 4), (2, 3, 4)])
def test_an_unknown_orientation_is_excluded_or_kept(shape: tuple[int, ...]) -> None:
    image = placed(np.ones(shape), orientation=None)
    with pytest.raises(Excluded, match="ORIENTATION_UNKNOWN"):
        orient(image, Orient())
    assert orient(image, Orient(unknown="keep")) is image


def breast(side: str, laterality: str) -> Image:
    y, x = np.mgrid[:60, :40]
    pixels = np.where(((y - 30) / 20) ** 2 + (x / 25) ** 2 < 1, 500 + x, 0).astype(np.float32)
    header = Header(modality="MG", laterality=laterality, spacing_mm=(0.1, 0.1))
    return Image(np.ascontiguousarray(pixels if side == "left" else pixels[:, ::-1]), header=header)


@pytest.mark.parametrize("wanted", ["left", "right"])
@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("laterality", ["L", "R", "", "B"])
def test_the_chest_wall_is_on_the_wanted_side(wanted: str, side: str, laterality: str) -> None:
    turned = orient(breast(side, laterality), Orient(chest_wall=wanted))
    np.testing.assert_array_equal(turned.pixels, breast(wanted, laterality).pixels)
    differs = (side, laterality) in (("left", "R"), ("right", "L"))
    assert turned.header.flags == (("LATERALITY_DIFFERS",) if differs else ())
    assert turned.header.laterality == laterality


def test_a_mammogram_whose_breast_is_not_found_goes_by_its_laterality() -> None:
    pixels = np.pad(np.arange(4, dtype=np.float32).reshape(2, 2), 20)
    image = Image(pixels, header=Header(modality="MG", laterality="R"))
    np.testing.assert_array_equal(orient(image, Orient()).pixels, pixels[:, ::-1])
    with pytest.raises(Excluded, match="ORIENTATION_UNKNOWN"):
        orient(replace(image, header=Header(modality="MG")), Orient())
