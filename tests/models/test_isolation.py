"""Isolation forest: finds what is unusual, saves, refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from medray.errors import BundleError, ModelError
from medray.models.family import ArraySamples, FitData, LocalContext
from medray.models.isolation import ISOLATION, IsolationParams
from medray.tasks.anomaly import Anomaly

TASK = Anomaly(target="finding")
PARAMS = IsolationParams(n_estimators=50)


def samples(n: int, anomalies: int, seed: int) -> ArraySamples:
    """A cloud in five features with missing values and an empty feature, and cases far from it; a third is unlabelled."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 5)).astype(np.float32)
    y = (np.arange(n) < anomalies).astype(np.float64)
    x[y == 1] *= 4
    x[rng.random(x.shape) < 0.05] = np.nan
    x[:, 4] = np.nan
    y[::3] = np.nan
    return ArraySamples(x, y, np.arange(n), tuple("abcde"))


DATA = FitData(samples(300, 10, 0), samples(120, 40, 1))


def test_unusual_cases_score_higher() -> None:
    reported: dict[str, float] = {}
    model = ISOLATION.fit(DATA, TASK, PARAMS, LocalContext(on_report=lambda _, scores: reported.update(scores)))
    score = model.predict(DATA.valid.x)["score"]
    assert (score.dtype, score.shape) == (np.float64, (120,))
    assert ((score > 0) & (score <= 1)).all()
    assert reported["valid_auroc"] > 0.9
    assert reported["valid_mean_score"] == pytest.approx(score.mean())


def test_saved_model_predicts_the_same_row_by_row(tmp_path: Path) -> None:
    model = ISOLATION.fit(DATA, TASK, PARAMS, LocalContext(seed=1))
    again = ISOLATION.fit(DATA, TASK, PARAMS, LocalContext(seed=1))
    model.save(tmp_path)
    expected, loaded = model.predict(DATA.valid.x)["score"], ISOLATION.load(tmp_path)
    rows = [loaded.predict(row[None])["score"] for row in DATA.valid.x]
    np.testing.assert_array_equal(np.concatenate(rows), expected)
    np.testing.assert_array_equal(again.predict(DATA.valid.x)["score"], expected)
    assert loaded.predict(DATA.valid.x[:0])["score"].shape == (0,)


def test_refuses_what_it_cannot_learn_from_or_read(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="MODEL_TOO_FEW_SAMPLES"):
        ISOLATION.fit(FitData(samples(1, 0, 0), DATA.valid), TASK, PARAMS, LocalContext())
    model = ISOLATION.fit(DATA, TASK, PARAMS, LocalContext())
    with pytest.raises(ModelError, match="MODEL_FEATURE_COUNT"):
        model.predict(DATA.valid.x[:, :4])
    (tmp_path / "model.skops").write_bytes(b"no model")
    with pytest.raises(BundleError, match="BUNDLE_MODEL"):
        ISOLATION.load(tmp_path)


@pytest.mark.parametrize("features", [1.0, 0.5])
def test_refuses_trees_that_lead_nowhere(features: float, tmp_path: Path) -> None:
    params = PARAMS.model_copy(update={"max_features": features})
    model = ISOLATION.fit(DATA, TASK, params, LocalContext())
    model.save(tmp_path)
    ISOLATION.load(tmp_path)
    forest = model.pipeline[-1]
    forest.estimators_features_[3] = forest.estimators_features_[3][:1]
    model.save(tmp_path)
    with pytest.raises(BundleError, match=r"BUNDLE_MODEL.*not there"):
        ISOLATION.load(tmp_path)


@pytest.mark.parametrize("steps", ["imputer", "unfitted"])
def test_refuses_what_is_no_fitted_forest(steps: str, tmp_path: Path) -> None:
    import skops.io
    from sklearn.ensemble import IsolationForest
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline

    pipeline = make_pipeline(SimpleImputer(), *([] if steps == "imputer" else [IsolationForest()]))
    skops.io.dump(pipeline, tmp_path / "model.skops")
    with pytest.raises(BundleError, match="BUNDLE_MODEL"):
        ISOLATION.load(tmp_path)
