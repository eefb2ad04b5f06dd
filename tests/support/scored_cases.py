"""Small sets of cases that the tests of the statistics share."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

CASES = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 8).map(lambda k: k / 8)), min_size=2, max_size=40).filter(
    lambda rows: len({label for label, _ in rows}) == 2
)
"""Small sets of both classes with many ties."""


def noisy(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels (n,), of which three in ten are 1, and probabilities (n,) that tell them apart somewhat."""
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < 0.3).astype(int)
    return y, 1 / (1 + np.exp(-(rng.normal(size=n) + 1.5 * y - 0.5)))
