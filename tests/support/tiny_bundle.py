"""A bundle that is made in a moment: dark images from bright ones, by features of intensity."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from medray.bundles.input_spec import InputSpec
from medray.bundles.manifest import Manifest, write_bundle
from medray.evaluation.thresholds import Threshold
from medray.features.table import FeatureSpec
from medray.imaging.preprocess import PreprocessSpec
from medray.models.family import ArraySamples, FitData, LocalContext
from medray.models.xgb import XGB, XgbParams
from medray.tasks.binary import Binary
from medray.tasks.decision import Decision
from medray.types import Image

TASK = Binary(target="bright")
INPUT = InputSpec(
    preprocess=PreprocessSpec.model_validate({"steps": [{"op": "percentile"}, {"op": "resize", "rows": 32, "columns": 32}]}),
    features=FeatureSpec.model_validate({"families": [{"family": "intensity"}]}),
)


def tiny_bundle(folder: Path) -> str:
    """Make it in a folder that is not there yet; returns its URI."""
    rng, y = np.random.default_rng(0), np.arange(40) % 2
    images = [rng.random((32, 32)).astype(np.float32) ** (0.5 if positive else 3) for positive in y]
    samples = ArraySamples(np.stack([INPUT.apply(Image(pixels)) for pixels in images]), y, np.arange(40), INPUT.columns())
    params = XgbParams(rounds=8, min_child_weight=0, subsample=1, colsample_bytree=1, learning_rate=0.3)
    XGB.fit(FitData(samples, samples), TASK, params, LocalContext()).save(folder / "model")
    decision = Decision(thresholds={"positive": Threshold(value=0.5, reason="a test")})
    fields = {"name": "tiny", "family": "xgb", "params": params.model_dump(), "input": INPUT, "task": TASK, "decision": decision}
    write_bundle(Manifest.model_validate(fields), {"model": folder / "model"}, str(folder / "bundle"))
    return str(folder / "bundle")
