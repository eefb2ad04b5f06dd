"""Features of the neighbourhood grey tone difference matrix."""

from __future__ import annotations

import numpy as np

from medray.features.ibsi.subject import Slab
from medray.features.ibsi.textures import undirected
from medray.features.radiomics.classes.ngtdm import FEATURES, tones
from medray.types import Float64

CODES = {"QCDE": "Coarseness", "65HE": "Contrast", "NQ30": "Busyness", "HDEZ": "Complexity", "1X9X": "Strength"}
PLACES = {feature.name: (place, feature.definition) for place, feature in enumerate(FEATURES)}


def _statistics(slab: Slab) -> Float64:
    """Only pixels with a neighbour count; NaN where none has."""
    found = slab.neighbours
    if not found.surrounded.any():
        return np.full(len(CODES), np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        values = tones(found.surrounded, found.difference)
    values[~np.isfinite(values)] = np.nan
    return values[[PLACES[name][0] for name in CODES.values()]]


NGTDM = undirected("ngtdm", "3.10", [(code, name.lower(), PLACES[name][1]) for code, name in CODES.items()], _statistics)
