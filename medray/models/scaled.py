"""What stands before estimators that measure distances: medians for missing features, and unit variance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

TRUSTED = (
    "numpy.dtype",
    "sklearn.impute._base.SimpleImputer",
    "sklearn.pipeline.Pipeline",
    "sklearn.preprocessing._data.StandardScaler",
)
"""The types in a saved pipeline, beside those of its estimator."""


def scaled(*estimators: Any) -> Pipeline:
    """A pipeline of scikit-learn: what is missing, the scale, and the estimators; a feature that is never there is 0."""
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler(), *estimators)
