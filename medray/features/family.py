"""The contract of a feature family. One file (or package) per family implements it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, Protocol

import numpy as np

from medray.spec import Spec
from medray.types import Float64, Image


class Reason(StrEnum):
    """Why a feature cannot be computed."""

    EMPTY = "EMPTY"  #: no pixel counts
    TOO_SMALL = "TOO_SMALL"  #: too few pixels, or none with the neighbours that the feature needs
    CONSTANT = "CONSTANT"  #: one grey level, for which the feature is not defined
    NO_REGION = "NO_REGION"  #: no region stands out
    NO_SPACING = "NO_SPACING"  #: the size of a pixel is unknown
    DIMENSIONS = "DIMENSIONS"  #: a plane where a volume is needed, or the other way round
    TOO_MANY_LEVELS = "TOO_MANY_LEVELS"  #: more grey levels than the matrices may have; take wider bins
    TOO_LARGE = "TOO_LARGE"  #: more pixels than the feature is computed of
    UNDEFINED = "UNDEFINED"  #: the formula divides by zero on this image


@dataclass(frozen=True)
class Feature:
    """What a feature is.

    Attributes:
        name: column of the feature table.
        definition: in words or as a formula.
        source: section of a standard, or a paper, that defines it.
        unit: of its value; "" for none. ``"grey level"`` is the unit of the pixels.
    """

    name: str
    definition: str
    source: str
    unit: str = ""


@dataclass(frozen=True)
class Extracted:
    """The features of one image.

    Attributes:
        values: float64 (n,), finite or NaN.
        reasons: index of each value that is NaN → why.
    """

    values: Float64
    reasons: Mapping[int, Reason]


class FeatureFamily(Protocol):
    """One group of features of an image."""

    name: str
    params: type[Spec]
    dimensions: ClassVar[tuple[int, ...]]
    """Planes (2), volumes (3) or both; the table answers for the others (Reason.DIMENSIONS)."""
    unit_range: ClassVar[bool]
    """Whether grey levels must be from 0 to 1, because bins or thresholds are of that range."""

    def features(self, params: Any) -> Sequence[Feature]:
        """The features, the same and in the same order for the same parameters."""
        ...

    def extract(self, image: Image, params: Any) -> Extracted:
        """The values of :meth:`features`.

        Args:
            image: preprocessed; finite pixels; at least one of ``image.region`` counts (the table answers for the others).

        A feature that is undefined on this image is NaN with its reason; nothing is raised.
        """
        ...


def explained(values: Iterable[float], reason: Reason = Reason.UNDEFINED) -> Extracted:
    """The values; each that is not finite becomes NaN, for one reason."""
    array = np.array(values if isinstance(values, np.ndarray) else list(values), dtype=np.float64)
    missing = ~np.isfinite(array)
    array[missing] = np.nan
    return Extracted(array, dict.fromkeys(np.flatnonzero(missing).tolist(), reason))


def undefined(count: int, reason: Reason) -> Extracted:
    """No value at all."""
    return explained(np.full(count, np.nan), reason)


def joined(parts: Sequence[Extracted]) -> Extracted:
    """The parts one after the other."""
    reasons: dict[int, Reason] = {}
    start = 0
    for part in parts:
        reasons.update({start + index: reason for index, reason in part.reasons.items()})
        start += len(part.values)
    return Extracted(np.concatenate([np.empty(0), *(part.values for part in parts)]), reasons)
