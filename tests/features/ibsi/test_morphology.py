"""Shapes whose measures are known in closed form."""

from __future__ import annotations

import numpy as np
import pytest
from features.ibsi.volumes import measured, random_levels, reasons, volume
from scipy.spatial import ConvexHull
from scipy.spatial.distance import pdist
from scipy.special import eval_legendre
from skimage.measure import marching_cubes, mesh_surface_area

from medray.features.family import Reason
from medray.features.ibsi import ellipsoid

PREFIX = "morphology_"


def shape(image: object) -> dict[str, float]:
    return {name.removeprefix(PREFIX): value for name, value in measured(image, groups=["morphology"]).items()}


def blob() -> np.ndarray:
    places = np.indices((9, 14, 16))
    return sum(((p - s / 2) / (0.4 * s)) ** 2 for p, s in zip(places, (9, 14, 16), strict=True)) <= 1


def test_one_voxel_is_an_octahedron() -> None:
    found = shape(volume([[[7]]], spacing=(2, 2, 2)))
    assert found["volume_mesh"] == pytest.approx(8 / 6)
    assert found["volume_voxel_counting"] == 8
    assert found["surface_area_mesh"] == pytest.approx(4 * np.sqrt(3))
    assert found["maximum_3d_diameter"] == pytest.approx(2)
    assert found["volume_density_axis_aligned_bounding_box"] == pytest.approx(1 / 6)
    assert found["volume_density_convex_hull"] == pytest.approx(1)
    assert found["integrated_intensity"] == pytest.approx(7 * 8 / 6)
    assert found["centre_of_mass_shift"] == 0
    why = reasons(volume([[[7]]], spacing=(2, 2, 2)), groups=["morphology"])
    assert set(why.values()) == {Reason.TOO_SMALL}
    assert len(why) == 9


def test_two_voxels() -> None:
    found = shape(volume([[[1, 3]]]))
    assert found["centre_of_mass_shift"] == pytest.approx(0.25 * 0.5)
    assert found["major_axis_length"] == pytest.approx(4 * 0.5 / np.sqrt(2))
    assert found["elongation"] == found["flatness"] == 0
    assert np.isnan(found["area_density_approximate_enclosing_ellipsoid"])
    assert found["morans_i_index"] == pytest.approx(-1)
    assert found["gearys_c_measure"] == pytest.approx(1)


def test_a_box_is_its_own_hull() -> None:
    found = shape(volume(random_levels(4, 5, 6)))
    assert found["volume_density_convex_hull"] == pytest.approx(1)
    assert found["area_density_convex_hull"] == pytest.approx(1)
    assert found["elongation"] == pytest.approx(1.5 * np.sqrt(5**2 - 1) / (3 * np.sqrt(4**2 - 1)))
    assert found["flatness"] == pytest.approx(0.5 * np.sqrt(6**2 - 1) / (3 * np.sqrt(4**2 - 1)))


def test_a_blob_by_the_libraries() -> None:
    spacing = (3.0, 1.5, 0.5)
    mask = blob()
    vertices, faces, _, _ = marching_cubes(np.pad(mask, 1).astype(float), 0.5, spacing=spacing, method="lorensen")
    area = mesh_surface_area(vertices, faces)
    first, second, third = vertices[faces].transpose(1, 0, 2)
    inside = abs(np.sum(first * np.cross(second, third))) / 6
    hull = ConvexHull(vertices)
    variances = np.linalg.eigvalsh(np.cov(np.argwhere(mask) * spacing, rowvar=False))[::-1]
    sphere = (36 * np.pi * inside**2) ** (1 / 3)
    box = np.ptp(vertices, axis=0)
    found = shape(volume(np.where(mask, 2, 9), mask))
    expected = {
        "volume_mesh": inside,
        "volume_voxel_counting": mask.sum() * 2.25,
        "surface_area_mesh": area,
        "surface_to_volume_ratio": area / inside,
        "compactness_1": inside / (np.sqrt(np.pi) * area**1.5),
        "compactness_2": (sphere / area) ** 3,
        "spherical_disproportion": area / sphere,
        "sphericity": sphere / area,
        "asphericity": area / sphere - 1,
        "maximum_3d_diameter": pdist(vertices[hull.vertices]).max(),
        "major_axis_length": 4 * np.sqrt(variances[0]),
        "minor_axis_length": 4 * np.sqrt(variances[1]),
        "least_axis_length": 4 * np.sqrt(variances[2]),
        "elongation": np.sqrt(variances[1] / variances[0]),
        "flatness": np.sqrt(variances[2] / variances[0]),
        "volume_density_axis_aligned_bounding_box": inside / box.prod(),
        "area_density_axis_aligned_bounding_box": area / (2 * (box[0] * box[1] + box[1] * box[2] + box[0] * box[2])),
        "volume_density_approximate_enclosing_ellipsoid": inside / (4 / 3 * np.pi * 8 * np.sqrt(variances.prod())),
        "volume_density_convex_hull": inside / hull.volume,
        "area_density_convex_hull": area / hull.area,
        "integrated_intensity": 2 * inside,
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("axes", [(3, 2.9, 2), (3, 2, 1), (5, 4, 2.5), (9, 8, 0.1)])
def test_the_series_of_an_ellipsoid(axes: tuple[float, float, float]) -> None:
    a, b, c = axes
    alpha, beta, n = np.sqrt(1 - (b / a) ** 2), np.sqrt(1 - (c / a) ** 2), np.arange(21)
    terms = (alpha * beta) ** n / (1 - 4 * n**2) * eval_legendre(n, (alpha**2 + beta**2) / (2 * alpha * beta))
    assert ellipsoid.area(a, b, c) == pytest.approx(4 * np.pi * a * b * terms.sum())


def test_a_sphere_is_an_ellipsoid() -> None:
    assert ellipsoid.area(2, 2, 2) == pytest.approx(16 * np.pi)
    assert ellipsoid.volume(2, 2, 2) == pytest.approx(32 / 3 * np.pi)


def test_planes_and_unknown_spacings_have_no_shape_in_space() -> None:
    image = volume(random_levels(3, 4, 5), spacing=None)
    assert set(reasons(image, groups=["morphology", "local"]).values()) == {Reason.NO_SPACING}
    assert len(reasons(image, groups=["morphology", "local"])) == 27


def test_a_sum_of_zero_has_no_centre() -> None:
    why = reasons(volume([[[-1, 1]], [[1, -1]]]), groups=["morphology"])
    assert why["morphology_centre_of_mass_shift"] == Reason.UNDEFINED
