"""Features of the neighbouring grey level dependence matrix, of equal levels at distance 1."""

from __future__ import annotations

import numpy as np

from medray.features.ibsi.sizes import numbered, rows
from medray.features.ibsi.subject import Slab
from medray.features.ibsi.textures import undirected
from medray.types import Float64

COUNTED = "pixels of level i with j - 1 neighbours of the same level"
ROWS = rows(
    "SODN IMOQ TL9H OAE7 EQ3F JA6D NBZI 9QMG FP8K 5SPA Z87G OKJI 6XV8 1PFV DNX2 FCBV",
    COUNTED,
    small="low_dependence",
    large="high_dependence",
    short="low_dependence",
    long="high_dependence",
    count="count",
    size="dependence_count",
    percentage="dependence_count",
    entropy="dependence_count",
)
ENERGY = ("CAS9", "dependence_count_energy", f"Σ p²; p(i, j) the share of {COUNTED}")
PERCENTAGE = 12


def _statistics(slab: Slab) -> Float64:
    """Every pixel counts once, so that the percentage is 1 by definition."""
    counts = slab.neighbours.dependence
    found = numbered(counts)
    found[PERCENTAGE] = 1
    share = counts / counts.sum()
    return np.append(found, np.sum(share * share))


NGLDM = undirected("ngldm", "3.11", [*ROWS, ENERGY], _statistics)
