"""Frozen configuration models, their canonical JSON, and their fingerprint."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from pydantic import BaseModel, ConfigDict


class Spec(BaseModel):
    """Base of every configuration model: frozen, no unknown fields, finite numbers, fingerprinted."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def fingerprint(self) -> str:
        """First 16 hex digits of the sha256 of the canonical JSON."""
        return fingerprint(self.model_dump(mode="json"))


def canonical_json(value: Any) -> str:
    """JSON text with sorted keys and no white space: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def fingerprint(value: Any) -> str:
    """First 16 hex digits of the sha256 of the canonical JSON of plain data."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:16]
