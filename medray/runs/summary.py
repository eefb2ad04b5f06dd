"""What a run did with its inputs, in sums that must agree."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import pyarrow as pa

from medray.errors import RunError
from medray.types import State


@dataclass(frozen=True)
class Summary:
    """inputs = scored + excluded + quarantined + failed."""

    inputs: int
    scored: int = 0
    excluded: int = 0
    quarantined: int = 0
    failed: int = 0
    reasons: dict[str, int] = field(default_factory=dict)

    @property
    def attention(self) -> int:
        """Inputs that a person should look at: quarantined and failed ones; all of them where nothing was scored."""
        return self.quarantined + self.failed if self.scored else self.inputs

    def counts(self) -> dict[str, int]:
        """The sums without the reasons."""
        return {key: getattr(self, key) for key in ("inputs", "scored", "excluded", "quarantined", "failed")}


def summarise(outcomes: pa.Table, inputs: int) -> Summary:
    """Count the states of a run's outcomes.

    Raises:
        RunError: RUN_DOES_NOT_RECONCILE, when not every input has exactly one state.
    """
    states = Counter(outcomes["state"].to_pylist())
    reasons = Counter(code for code in outcomes["code"].to_pylist() if code)
    scored, excluded, quarantined, failed = (states[state.value] for state in State)
    if scored + excluded + quarantined + failed != inputs or len(set(outcomes["uri"].to_pylist())) != inputs:
        raise RunError(
            "RUN_DOES_NOT_RECONCILE", f"{inputs} inputs, but states {dict(states)}", "nothing was published; report this"
        )
    return Summary(inputs, scored, excluded, quarantined, failed, dict(sorted(reasons.items())))
