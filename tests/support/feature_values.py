"""Features of an array by name."""

from __future__ import annotations

from typing import Any

import numpy as np

from medray.features.family import FeatureFamily
from medray.spec import Spec
from medray.types import Header, Image


def measured(
    family: FeatureFamily, pixels: Any, region: Any = None, params: Spec | None = None, header: Header | None = None
) -> dict[str, float]:
    """Column → value, NaN where it is undefined; the names and the reasons are checked against the values."""
    params = params or family.params()
    mask = None if region is None else np.ascontiguousarray(region, dtype=bool)
    image = Image(np.ascontiguousarray(pixels, dtype=np.float32), mask=mask, header=header or Header())
    found = family.extract(image, params)
    names = [feature.name for feature in family.features(params)]
    assert set(found.reasons) == set(np.flatnonzero(~np.isfinite(found.values)).tolist())
    assert not np.isinf(found.values).any()
    return dict(zip(names, found.values.tolist(), strict=True))
