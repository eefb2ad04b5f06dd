"""How the scores of a cohort lie, whatever its labels."""

from __future__ import annotations

import numpy as np

from medray.spec import Spec
from medray.types import Float64


class ScoreSpread(Spec):
    """How the scores of all cases lie; None without cases."""

    median: float | None
    low: float | None
    high: float | None

    @classmethod
    def of(cls, scores: Float64) -> ScoreSpread:
        """The median, the 5th and the 95th percentile of scores, float64 (n,)."""
        if not len(scores):
            return cls(median=None, low=None, high=None)
        low, median, high = np.percentile(scores, [5, 50, 95]).tolist()
        return cls(median=median, low=low, high=high)
