"""Groups of features and their definitions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from medray.features.family import Extracted, Feature
from medray.features.ibsi.params import IbsiParams
from medray.features.ibsi.subject import Subject


@dataclass(frozen=True)
class Group:
    """A feature family of the manual.

    Attributes:
        features: for some parameters, with their columns' names.
        extract: their values.
    """

    features: Callable[[IbsiParams], tuple[Feature, ...]]
    extract: Callable[[Subject], Extracted]


def defined(group: str, section: str, rows: Iterable[tuple[str, str, str, str]]) -> tuple[Feature, ...]:
    """Features from rows of IBSI code, name, definition and unit.

    Args:
        group: prefix of the columns' names.
        section: of the reference manual, for example ``"3.6"``.
        rows: one a feature.
    """
    return tuple(
        Feature(f"ibsi_{group}_{name}", definition, f"IBSI reference manual {section}, {code}", unit)
        for code, name, definition, unit in rows
    )
