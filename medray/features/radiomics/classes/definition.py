"""Feature classes and their definitions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from medray.features.family import Extracted, Feature, Reason, explained, undefined
from medray.features.radiomics.discretise import Discretised
from medray.features.radiomics.shared import Measured
from medray.types import Float64

PYRADIOMICS = "pyradiomics 3.1"


@dataclass(frozen=True)
class FeatureClass:
    """A group of features with one matrix or mesh.

    Attributes:
        features: with the names and in the order of pyradiomics.
        extract: their values.
        of_shape: they depend on the region alone, not on the grey levels.
    """

    features: tuple[Feature, ...]
    extract: Callable[[Measured], Extracted]
    of_shape: bool = False


def defined(section: str, rows: Iterable[tuple[str, str, str, str]]) -> tuple[Feature, ...]:
    """Features from rows of name, definition, IBSI code ("" where IBSI has none) and unit.

    Args:
        section: of the IBSI reference manual, for example ``"3.6"``.
        rows: one a feature.
    """
    manual = f"IBSI reference manual {section}"
    return tuple(
        Feature(name, definition, f"{manual}, {code}" if code else PYRADIOMICS, unit) for name, definition, code, unit in rows
    )


def texture(values: Float64, levels: Discretised) -> Extracted:
    """Values of a texture and why some are NaN: no pixel has a neighbour, there is a single grey level, or the formula itself."""
    pixels = levels.histogram.sum()
    if pixels == 1 or np.isnan(values).all():
        return explained(values, Reason.TOO_SMALL)
    return explained(values, Reason.CONSTANT if levels.histogram[-1] == pixels else Reason.UNDEFINED)


def too_many(features: tuple[Feature, ...]) -> Extracted:
    """No texture: too many grey levels."""
    return undefined(len(features), Reason.TOO_MANY_LEVELS)
