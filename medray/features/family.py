"""The contract of a feature family. One file per family implements it."""

from __future__ import annotations

from typing import Any, Protocol

from medray.spec import Spec
from medray.types import Bool, Float32


class FeatureFamily(Protocol):
    """One group of features of a 2-D image."""

    name: str
    params: type[Spec]

    def columns(self, params: Any) -> tuple[str, ...]:
        """Names of the features, the same and in the same order for the same parameters; each starts with ``name + "_"``."""
        ...

    def extract(self, pixels: Float32, valid: Bool, params: Any) -> Float32:
        """The features, float32 (len(columns),).

        Args:
            pixels: float32 (rows, columns), preprocessed, in [0, 1].
            valid: bool (rows, columns), the pixels that count.

        A feature that is undefined on this image is NaN; nothing else is raised.
        """
        ...
