"""Texture features and the ways to aggregate them over slices and directions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from medray.features.family import Extracted, Feature, Reason, joined, undefined
from medray.features.ibsi.definition import Group, defined
from medray.features.ibsi.params import IbsiParams, Merging
from medray.features.ibsi.subject import Slab, Subject
from medray.features.radiomics.classes.definition import texture
from medray.features.radiomics.classes.glcm import mean_where_defined
from medray.types import Float64, Int64, UInt16

Matrices = Callable[[UInt16, int, Int64], Int64]
"""``matrices(levels, count, steps)``: int64 (steps, count, n)."""

DIRECTED = {
    ("2d", "averaged"): ("mean over slices and directions", "BTW3"),
    ("2d", "merged"): ("directions summed, mean over slices", "SUJT"),
    ("2_5d", "averaged"): ("slices summed, mean over directions", "JJUI"),
    ("2_5d", "merged"): ("slices and directions summed", "ZW7Z"),
    ("3d", "averaged"): ("mean over the 13 directions", "ITBB"),
    ("3d", "merged"): ("13 directions summed", "IAZD"),
}
UNDIRECTED = {
    "2d": ("mean over slices", "8QNN"),
    "2_5d": ("slices summed", "62GR"),
    "3d": ("of the volume", "KOBO"),
}
NAMES = {
    ("2d", "averaged"): "2d_averaged",
    ("2d", "merged"): "2d_slice_merged",
    ("2_5d", "averaged"): "2_5d_direction_merged",
    ("2_5d", "merged"): "2_5d_merged",
    ("3d", "averaged"): "3d_averaged",
    ("3d", "merged"): "3d_merged",
}
"""As the manual calls them."""


def directed(
    group: str, section: str, rows: Iterable[tuple[str, str, str]], matrices: Matrices, statistics: Callable[[Int64], Float64]
) -> Group:
    """A group with one matrix a direction.

    Args:
        group: its name.
        section: of the reference manual.
        rows: IBSI code, name and definition of each feature.
        matrices: counts of some slices along steps.
        statistics: features float64 (m, len(rows)) of matrices int64 (n, count, columns), at most one row a matrix.
    """
    base = defined(group, section, ((code, name, text, "") for code, name, text in rows))

    def features(params: IbsiParams) -> tuple[Feature, ...]:
        keys = [(dimension, way) for dimension in params.dimensions for way in params.merging]
        return _named(base, [(NAMES[key], *DIRECTED[key]) for key in keys])

    def measure(slabs: list[Slab], merging: tuple[Merging, ...]) -> list[Float64]:
        found: dict[Merging, list[Float64]] = {way: [] for way in merging}
        for slab in slabs:
            counts = matrices(slab.levels, slab.count, slab.steps)
            for way in merging:
                found[way].append(statistics(counts if way == "averaged" else counts.sum(0, keepdims=True)))
        return [mean_where_defined(np.concatenate(found[way])) for way in merging]

    def extract(subject: Subject) -> Extracted:
        merging = subject.params.merging
        return _extracted(subject, len(base), len(merging), lambda slabs: measure(slabs, merging))

    return Group(features, extract)


def undirected(group: str, section: str, rows: Iterable[tuple[str, str, str]], statistics: Callable[[Slab], Float64]) -> Group:
    """A group with one matrix for all directions.

    Args:
        group: its name.
        section: of the reference manual.
        rows: IBSI code, name and definition of each feature.
        statistics: features float64 (len(rows),).
    """
    base = defined(group, section, ((code, name, text, "") for code, name, text in rows))

    def features(params: IbsiParams) -> tuple[Feature, ...]:
        return _named(base, [(dimension, *UNDIRECTED[dimension]) for dimension in params.dimensions])

    def extract(subject: Subject) -> Extracted:
        return _extracted(
            subject, len(base), 1, lambda slabs: [mean_where_defined(np.array([statistics(slab) for slab in slabs]))]
        )

    return Group(features, extract)


def _named(base: tuple[Feature, ...], aggregations: list[tuple[str, str, str]]) -> tuple[Feature, ...]:
    """Each feature by each aggregation: its name, what it is, and its IBSI code."""
    return tuple(
        replace(
            feature, name=f"{feature.name}_{name}", definition=f"{feature.definition}; {text}", source=f"{feature.source}, {code}"
        )
        for feature in base
        for name, text, code in aggregations
    )


def _extracted(subject: Subject, count: int, ways: int, measure: Callable[[list[Slab]], list[Float64]]) -> Extracted:
    """The values of ``count`` features, each by all aggregations; those of a volume are not defined in a plane."""
    levels, dimensions = subject.levels, subject.params.dimensions
    if isinstance(levels, Reason):
        return undefined(count * ways * len(dimensions), levels)
    parts: list[Extracted] = []
    for dimension in dimensions:
        if subject.plane and dimension == "3d":
            parts += [undefined(count, Reason.DIMENSIONS)] * ways
        else:
            parts += [texture(values, levels) for values in measure(subject.slabs(dimension))]
    return _by_feature(joined(parts), len(parts))


def _by_feature(extracted: Extracted, aggregations: int) -> Extracted:
    """The values of one aggregation after the other, put in the order of the features."""
    places = np.arange(len(extracted.values)).reshape(aggregations, -1).T.ravel()
    reasons = {new: extracted.reasons[old] for new, old in enumerate(places.tolist()) if old in extracted.reasons}
    return Extracted(extracted.values[places], reasons)
