"""The model families by name."""

from __future__ import annotations

from collections.abc import Mapping

from medray.errors import ConfigError
from medray.models.cnn.family import CNN
from medray.models.family import ModelFamily
from medray.models.forest import FOREST
from medray.models.isolation import ISOLATION
from medray.models.lof import LOF
from medray.models.logistic import LOGISTIC
from medray.models.ocsvm import OCSVM
from medray.models.svm import SVM
from medray.models.unet.family import UNET
from medray.models.xgb import XGB

FAMILIES: Mapping[str, ModelFamily] = {
    family.name: family
    for family in (
        *(XGB, SVM, FOREST, LOGISTIC, ISOLATION, LOF, OCSVM),
        *(CNN, UNET),
    )
}


def family_of(name: str) -> ModelFamily:
    """The family of that name.

    Raises:
        ConfigError: MODEL_UNKNOWN.
    """
    if name not in FAMILIES:
        raise ConfigError("MODEL_UNKNOWN", f"there is no model family {name!r}", f"use one of {', '.join(FAMILIES)}")
    return FAMILIES[name]
