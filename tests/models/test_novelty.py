"""Families that learn what is usual by distances, without labels: each finds what is not, saves, refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from skops.io import dump

from medray.errors import BundleError, ModelError
from medray.models.family import ArraySamples, FitData, LocalContext, ModelFamily
from medray.models.lof import LOF, LofParams
from medray.models.ocsvm import OCSVM, OcsvmParams
from medray.tasks.anomaly import Anomaly

TASK = Anomaly(target="finding")
FAMILIES: tuple[tuple[ModelFamily, Any], ...] = ((LOF, LofParams()), (OCSVM, OcsvmParams()))
each = pytest.mark.parametrize(("family", "params"), FAMILIES, ids=[family.name for family, _ in FAMILIES])


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


@each
def test_unusual_cases_score_higher(family: ModelFamily, params: Any) -> None:
    reported: dict[str, float] = {}
    model = family.fit(DATA, TASK, params, LocalContext(on_report=lambda _, scores: reported.update(scores)))
    score = model.predict(DATA.valid.x)["score"]
    assert (score.dtype, score.shape) == (np.float64, (120,))
    assert ((score >= 0) & (score <= 1)).all()
    assert reported["valid_auroc"] > 0.9
    assert reported["valid_mean_score"] == pytest.approx(score.mean())


@each
def test_saved_model_predicts_the_same_row_by_row(family: ModelFamily, params: Any, tmp_path: Path) -> None:
    model, again = (family.fit(DATA, TASK, params, LocalContext(seed=1)) for _ in range(2))
    model.save(tmp_path)
    expected, loaded = model.predict(DATA.valid.x)["score"], family.load(tmp_path)
    rows = [loaded.predict(row[None])["score"] for row in DATA.valid.x]
    np.testing.assert_array_equal(np.concatenate(rows), expected)
    np.testing.assert_array_equal(again.predict(DATA.valid.x)["score"], expected)
    assert loaded.predict(DATA.valid.x[:0])["score"].shape == (0,)


@each
def test_refuses_what_it_cannot_learn_from_or_read(family: ModelFamily, params: Any, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="MODEL_TOO_FEW_SAMPLES"):
        family.fit(FitData(samples(1, 0, 0), DATA.valid), TASK, params, LocalContext())
    model = family.fit(DATA, TASK, params, LocalContext())
    with pytest.raises(ModelError, match="MODEL_FEATURE_COUNT"):
        model.predict(DATA.valid.x[:, :4])
    model.save(tmp_path)
    other = next(one for one, _ in FAMILIES if one is not family)
    with pytest.raises(BundleError, match="BUNDLE_MODEL"):
        other.load(tmp_path)


@pytest.mark.parametrize(
    ("family", "params", "name"),
    [(OCSVM, OcsvmParams(), name) for name in ("support_vectors_", "_dual_coef_", "support_", "_n_support")]
    + [(LOF, LofParams(), name) for name in ("_fit_X", "_lrd", "_distances_fit_X_")],
)
def test_refuses_arrays_of_other_sizes(family: ModelFamily, params: Any, name: str, tmp_path: Path) -> None:
    model: Any = family.fit(DATA, TASK, params, LocalContext())
    setattr(model.pipeline[-1], name, getattr(model.pipeline[-1], name)[:-1])
    dump(model.pipeline, tmp_path / "model.skops")
    with pytest.raises(BundleError, match="BUNDLE_MODEL"):
        family.load(tmp_path)


def test_more_neighbours_than_images_are_all_of_them() -> None:
    few = FitData(samples(8, 0, 0), DATA.valid)
    assert np.isfinite(LOF.fit(few, TASK, LofParams(), LocalContext()).predict(DATA.valid.x)["score"]).all()
