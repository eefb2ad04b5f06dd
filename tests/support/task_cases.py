"""Training configurations of every task on the synthetic archive of the tests: small, and fitted in seconds."""

from __future__ import annotations

from typing import Any

import yaml

BINARY = """
name: tiny
labels: {target: malignant}
inputs:
  table:
    preprocess: {steps: [{op: percentile}, {op: resize, rows: 64, columns: 64}]}
    features: {families: [{family: intensity}, {family: shape}]}
  image:
    preprocess: {steps: [{op: percentile}, {op: resize, rows: 32, columns: 32}]}
models:
  xgb: {family: xgb, input: table, params: {rounds: 30}}
  svm: {family: svm, input: table}
  cnn: {family: cnn, input: image, params: {epochs: 3, width: 8}, scaling: {threads: 1}}
"""

_TINY: dict[str, Any] = yaml.safe_load(BINARY)
_FOREST = {"family": "forest", "input": "table", "params": {"n_estimators": 50}}
_ISOLATION = {"family": "isolation", "input": "table", "params": {"n_estimators": 50}}


def _tiny(task: dict[str, Any], models: tuple[str, ...], **others: dict[str, Any]) -> dict[str, Any]:
    """The configuration for another task, with some of its models and others."""
    rest = {name: part for name, part in _TINY.items() if name != "labels"}
    return {**rest, "task": task, "models": {name: _TINY["models"][name] for name in models} | others}


def _outlines() -> dict[str, Any]:
    """The configuration for masks; images without one have nothing to outline."""
    network = {"channels": [8, 16, 32], "epochs": 6, "batch_size": 8, "learning_rate": 0.02}
    task = {"kind": "segmentation", "target": "mask", "without_mask": "empty"}
    model = {"family": "unet", "input": "image", "params": network, "scaling": {"threads": 1}}
    return {**_tiny(task, ()), "models": {"unet": model}}


CASES: dict[str, dict[str, Any]] = {
    "binary": _TINY,
    "multiclass": _tiny(
        {"kind": "multiclass", "target": "finding", "classes": ["normal", "benign", "malignant"]}, ("xgb", "svm", "cnn")
    ),
    "segmentation": _outlines(),
    "multilabel": _tiny({"kind": "multilabel", "labels": ["lesion", "malignant"]}, ("cnn",)),
    "regression": _tiny({"kind": "regression", "target": "area_px", "unit": "px"}, ("xgb",), forest=_FOREST),
    "anomaly": _tiny(
        {"kind": "anomaly", "target": "finding", "normal": ["normal"], "others": "anomalous", "train_on": "normal"},
        (),
        isolation=_ISOLATION,
    ),
}
"""Case → configuration but for ``output`` and ``catalog``."""

ENSEMBLES: dict[str, dict[str, Any]] = {
    "ensemble-mean": {"of": "binary", "models": ["xgb", "svm"], "combine": "mean"},
    "ensemble-stacked": {"of": "binary", "models": ["xgb", "cnn"], "combine": "stacked"},
}
"""Case → whose published models are combined, and how."""

MODELS = [(case, model) for case, config in CASES.items() for model in config["models"]]
MODELS += [(case, config["combine"]) for case, config in ENSEMBLES.items()]
"""(case, model) of all of them."""
