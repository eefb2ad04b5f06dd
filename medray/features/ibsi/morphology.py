"""Shape of the region, and how the intensities lie in it."""

from __future__ import annotations

import numpy as np

from medray.features.family import Extracted, Feature, Reason, explained, joined, undefined
from medray.features.ibsi import ellipsoid
from medray.features.ibsi.definition import Group, defined
from medray.features.ibsi.params import IbsiParams
from medray.features.ibsi.spatial import autocorrelation
from medray.features.ibsi.subject import Subject
from medray.features.radiomics.classes.axes import axes_mm
from medray.features.radiomics.classes.mesh import cubes, diameter, outermost
from medray.features.radiomics.region import Region
from medray.types import Bool, Float64

BOX, AXES, HULL = "axis_aligned_bounding_box", "approximate_enclosing_ellipsoid", "convex_hull"

FEATURES = defined(
    "morphology",
    "3.1",
    (
        ("RNU0", "volume_mesh", "volume V inside the surface, by marching cubes", "mm³"),
        ("YEKZ", "volume_voxel_counting", "volume of the voxels", "mm³"),
        ("C0JK", "surface_area_mesh", "area A of the surface", "mm²"),
        ("2PR5", "surface_to_volume_ratio", "A / V", "1/mm"),
        ("SKGS", "compactness_1", "V / (π^½ A^(3/2))", ""),
        ("BQWJ", "compactness_2", "36 π V² / A³", ""),
        ("KRCK", "spherical_disproportion", "A by the surface of the sphere of the same volume", ""),
        ("QCFX", "sphericity", "surface of the sphere of the same volume by A", ""),
        ("25C7", "asphericity", "(A³ / (36 π V²))^⅓ - 1", ""),
        ("KLMA", "centre_of_mass_shift", "distance of the centre of the voxels to that weighted by intensity", "mm"),
        ("L0JK", "maximum_3d_diameter", "largest distance of two vertices of the surface", "mm"),
        ("TDIC", "major_axis_length", "4 √ (variance along the first principal axis, over n - 1)", "mm"),
        ("P9VJ", "minor_axis_length", "4 √ (variance along the second principal axis, over n - 1)", "mm"),
        ("7J51", "least_axis_length", "4 √ (variance along the third principal axis, over n - 1)", "mm"),
        ("Q3CK", "elongation", "minor by major axis length", ""),
        ("N17B", "flatness", "least by major axis length", ""),
        ("PBX1", f"volume_density_{BOX}", "V by the volume of the surface's bounding box", ""),
        ("R59B", f"area_density_{BOX}", "A by the area of the surface's bounding box", ""),
        ("6BDE", f"volume_density_{AXES}", "V by the volume of the ellipsoid of the principal axes", ""),
        ("RDD2", f"area_density_{AXES}", "A by the area of the ellipsoid of the principal axes", ""),
        ("R3ER", f"volume_density_{HULL}", "V by the volume of the surface's convex hull", ""),
        ("7T7F", f"area_density_{HULL}", "A by the area of the surface's convex hull", ""),
        ("99N0", "integrated_intensity", "mean intensity times V", "grey level mm³"),
        ("N365", "morans_i_index", "Moran's I, pairs of voxels weighted by their inverse distance", ""),
        ("NPT7", "gearys_c_measure", "Geary's C, pairs of voxels weighted by their inverse distance", ""),
    ),
)


def features(params: IbsiParams) -> tuple[Feature, ...]:
    """The same for all parameters."""
    return FEATURES


def extract(subject: Subject) -> Extracted:
    """The features of the region of a volume; those of one voxel or a flat region have no ratios of axes."""
    region, spacing = subject.region, subject.region.spacing_mm
    if subject.plane:
        return undefined(len(FEATURES), Reason.DIMENSIONS)
    if spacing is None:
        return undefined(len(FEATURES), Reason.NO_SPACING)
    area, volume = cubes(region.mask, spacing)
    axes = _axes(region, spacing)
    parts = [
        explained(_compactness(volume, area, np.count_nonzero(region.mask) * float(np.prod(spacing)))),
        explained([_shift(region, subject.intensity, spacing)], _empty(subject) or Reason.UNDEFINED),
        explained([diameter(region.mask, spacing)]),
        explained([*axes, axes[1] / axes[0], axes[2] / axes[0]], Reason.TOO_SMALL),
        explained(_box_densities(volume, area, region.mask, spacing)),
        explained(_ellipsoid_densities(volume, area, axes / 2), Reason.TOO_SMALL),
        explained(_hull_densities(volume, area, region.mask, spacing)),
        explained([_mean(subject.intensity) * volume], _empty(subject) or Reason.UNDEFINED),
        autocorrelation(subject.intensity),
    ]
    return joined(parts)


def _empty(subject: Subject) -> Reason | None:
    """Whether no intensity is within the range that counts."""
    return None if subject.intensity.mask.any() else Reason.EMPTY


def _mean(region: Region) -> float:
    return float(region.values[region.mask].mean()) if region.mask.any() else np.nan


def _compactness(volume: float, area: float, voxels: float) -> list[float]:
    sphere = np.cbrt(36 * np.pi * volume**2)
    return [
        volume,
        voxels,
        area,
        area / volume,
        volume / np.sqrt(np.pi * area**3),
        36 * np.pi * volume**2 / area**3,
        area / sphere,
        sphere / area,
        area / sphere - 1,
    ]


def _shift(shape: Region, intensity: Region, spacing: tuple[float, float, float]) -> float:
    """Distance of the centre of one region to the centre of another weighted by its values; NaN where their sum is 0."""
    weights = intensity.values[intensity.mask]
    total = weights.sum()
    if total == 0:
        return np.nan
    weighted = weights @ np.argwhere(intensity.mask) / total
    return float(np.linalg.norm((weighted - np.argwhere(shape.mask).mean(0)) * spacing))


def _axes(region: Region, spacing: tuple[float, float, float]) -> Float64:
    """Lengths of the principal axes, descending, float64 (3,): the manual's values are those of n - 1; NaN for one voxel."""
    count = np.count_nonzero(region.mask)
    if count == 1:
        return np.full(3, np.nan)
    return np.asarray(axes_mm(region.mask, spacing)[::-1] * np.sqrt(count / (count - 1)), dtype=np.float64)


def _box_densities(volume: float, area: float, mask: Bool, spacing: tuple[float, float, float]) -> list[float]:
    """The surface reaches half a voxel beyond the centres, so that its box is that of the voxels."""
    a, b, c = np.array(mask.shape) * spacing
    return [volume / (a * b * c), area / (2 * (a * b + b * c + a * c))]


def _ellipsoid_densities(volume: float, area: float, half: Float64) -> list[float]:
    """NaN for a region of one slice, row or column of voxels, whose ellipsoid is flat."""
    if not half[2] > 0:
        return [np.nan, np.nan]
    a, b, c = half.tolist()
    return [volume / ellipsoid.volume(a, b, c), area / ellipsoid.area(a, b, c)]


def _hull_densities(volume: float, area: float, mask: Bool, spacing: tuple[float, float, float]) -> list[float]:
    from scipy.spatial import ConvexHull

    hull = ConvexHull(outermost(mask) * (np.array(spacing) / 2))
    return [volume / hull.volume, area / hull.area]


MORPHOLOGY = Group(features, extract)
