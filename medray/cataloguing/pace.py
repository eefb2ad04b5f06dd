"""How many rows one commit of an ingest has: few at first, so that a kill loses seconds of work, then so many that none shows."""

from __future__ import annotations

FIRST, GROWTH, LONGEST_S = 250, 4, 20.0


class Pace:
    """Rows of the next commit, ``most`` of any."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.rows = min(FIRST, most)

    def took(self, rows: int, seconds: float) -> None:
        """Learn from a commit: the next has four times as many, as far as that takes twenty seconds at the most."""
        possible = int(rows * LONGEST_S / max(seconds, 1e-3))
        self.rows = max(1, min(GROWTH * self.rows, possible, self._most))
