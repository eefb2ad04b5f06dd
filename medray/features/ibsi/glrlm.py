"""Features of the grey-level run-length matrix."""

from __future__ import annotations

import numpy as np

from medray.features.ibsi.sizes import numbered, rows
from medray.features.ibsi.textures import directed
from medray.features.radiomics.matrices.glrlm import glrlm
from medray.types import Float64, Int64

ROWS = rows(
    "22OV W4KF V3SW G3QZ HTZT GD3A IVPO 3KUM R5YN OVBL W92Y IC23 9ZK5 8CE5 SXLW HJ9O",
    "runs of level i and length j",
    small="short_runs",
    large="long_runs",
    short="short_run",
    long="long_run",
    count="run",
    size="run_length",
    percentage="run",
    entropy="run",
)


def _statistics(counts: Int64) -> Float64:
    """The features of each matrix."""
    return np.array([numbered(matrix) for matrix in counts])


GLRLM = directed("glrlm", "3.7", ROWS, glrlm, _statistics)
