"""Objects that were deleted or replaced after a night was listed: looked for again, then given up, so that the night can end."""

from __future__ import annotations

import time
from collections.abc import Callable

import pyarrow as pa
from pydantic import Field

from medray.data.catalog import GONE
from medray.runs.summary import Summary
from medray.spec import Spec
from medray.work.register import mark_gone

_LOST = ("STORE_NOT_FOUND", "OBJECT_CHANGED")
"""Codes of an object that is not, or no longer, what was listed. What fails otherwise may be read when the store answers."""


class GoneSpec(Spec):
    """When a night ends without objects that are gone."""

    tries: int = Field(3, ge=1, description="how often an object that is gone is looked for before it counts as OBJECT_GONE")
    pause_s: float = Field(5.0, ge=0, description="seconds between two tries")
    most: float = Field(
        0.1, ge=0, le=1, description="share of the night's objects, or one, that may be gone; beyond it, it fails"
    )

    def allows(self, gone: int, inputs: int) -> bool:
        """Whether a night of so many inputs may end without so many of them. An archive that is not mounted is all gone."""
        return gone <= (max(1.0, self.most * inputs) if self.most else 0)


def without_gone(scored: Callable[[], tuple[pa.Table, Summary]], spec: GoneSpec, table_uri: str) -> tuple[pa.Table, Summary]:
    """Outcomes and sums, with what is gone after the last try recorded as FAILED with ``OBJECT_GONE`` for good.

    Nothing is recorded where other objects failed, too, or more are gone than may be.

    Args:
        scored: scores what the table lacks; called for each try.
        spec: how often, and how many.
        table_uri: where the outcomes are.

    Raises:
        StoreError
    """
    for tries in range(1, spec.tries + 1):
        table, summary = scored()
        lost = sum(summary.reasons.get(code, 0) for code in _LOST)
        gone = lost + summary.reasons.get(GONE, 0)
        if not lost or gone < summary.failed:
            return table, summary
        if tries < spec.tries:
            time.sleep(spec.pause_s)
    if not spec.allows(gone, summary.inputs):
        return table, summary
    mark_gone(table_uri, _LOST)
    return scored()
