"""Sums that must agree."""

from __future__ import annotations

import pyarrow as pa
import pytest

from medray.errors import RunError
from medray.runs.summary import summarise


def outcomes(*states: tuple[str, str]) -> pa.Table:
    return pa.table(
        {"uri": [f"u{n}" for n in range(len(states))], "state": [s for s, _ in states], "code": [c for _, c in states]}
    )


def test_every_input_is_counted_once() -> None:
    table = outcomes(("SCORED", ""), ("SCORED", ""), ("EXCLUDED", "B"), ("QUARANTINED", "A"), ("FAILED", "A"))
    found = summarise(table, 5)
    assert found.counts() == {"inputs": 5, "scored": 2, "excluded": 1, "quarantined": 1, "failed": 1}
    assert found.reasons == {"A": 2, "B": 1}


@pytest.mark.parametrize(
    ("table", "inputs"),
    [
        (outcomes(("SCORED", "")), 2),
        (outcomes(("SCORED", ""), ("SCORED", "")), 1),
        (outcomes(("SCORED", ""), ("IMAGE", "")), 2),
        (pa.table({"uri": ["a", "a"], "state": ["SCORED", "SCORED"], "code": ["", ""]}), 2),
    ],
    ids=["lost", "invented", "no state", "twice"],
)
def test_sums_that_do_not_agree_publish_nothing(table: pa.Table, inputs: int) -> None:
    with pytest.raises(RunError) as caught:
        summarise(table, inputs)
    assert caught.value.code == "RUN_DOES_NOT_RECONCILE"
