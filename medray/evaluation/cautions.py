"""What makes figures less than they seem: said where they are shown, and no reason to stop.

A caution has a stable code (see ``docs/codes.md``) and a message without values of patients.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from medray.spec import Spec
from medray.types import Float64

FEWEST_PATIENTS = 10
"""Patients of a class below which what is learnt of it depends on who they are."""

SHARE_TOLERANCE = 0.02
"""How far the share of a split may be from what was asked for."""


class Caution(Spec):
    """One caution."""

    code: str
    message: str

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


def few_patients(patients: Mapping[str, int]) -> list[Caution]:
    """Classes that some patients of the training split have, but fewer than ten; "" stands for all patients."""
    return [
        Caution(
            code="CLASS_FEW_PATIENTS",
            message=f"{count} patients{name and f' with {name}'} to learn from, fewer than {FEWEST_PATIENTS}",
        )
        for name, count in patients.items()
        if 0 < count < FEWEST_PATIENTS
    ]


def absent(images: Mapping[str, int], n: int, where: str) -> list[Caution]:
    """Classes that none of n judged images has."""
    return [
        Caution(
            code="COHORT_CLASS_ABSENT",
            message=f"none of {n} {where} is {name}: figures that need such images (AUROC among them) are undefined",
        )
        for name, count in images.items()
        if n and not count
    ]


def constant(model: str, columns: Mapping[str, Float64]) -> list[Caution]:
    """Columns of answers, float64 (n,), NaN for none, that hold one value for two images or more."""
    found = []
    for name, values in columns.items():
        known = values[~np.isnan(values)]
        if len(known) > 1 and (known == known[0]).all():
            message = f"{model} answers {name} = {known[0]:.4g} for each of {len(known)} images"
            found.append(Caution(code="SCORE_CONSTANT", message=message))
    return found


def no_skill(model: str, skill: Mapping[str, float | None], where: str) -> list[Caution]:
    """Decisions whose Youden's J, sensitivity + specificity − 1, is 0 or less; None where it is undefined."""
    return [
        Caution(
            code="THRESHOLD_NO_SKILL",
            message=f"at its threshold {model} tells {name} no better than chance on {where} (Youden's J {value:.2f})",
        )
        for name, value in skill.items()
        if value is not None and value <= 1e-9
    ]


def shares_off(shares: Mapping[str, tuple[float, float, float]]) -> list[Caution]:
    """Splits whose share of patients or images is more than 2 % off; by name (asked, of patients, of images)."""
    return [
        Caution(
            code="SPLIT_SHARES",
            message=f"{name} holds {patients:.1%} of the patients and {images:.1%} of the images, not {asked:.1%}: "
            "too few patients, or some with too many images, to divide them so",
        )
        for name, (asked, patients, images) in shares.items()
        if max(abs(patients - asked), abs(images - asked)) > SHARE_TOLERANCE
    ]
