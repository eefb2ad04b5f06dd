"""Elastic net: learns, tells what it goes by, saves, refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from medray.errors import BundleError, ModelError
from medray.models.family import ArraySamples, FitData, LocalContext
from medray.models.logistic import LOGISTIC, LogisticParams
from medray.tasks.binary import Binary
from medray.tasks.multiclass import Multiclass

TWO_CLASSES = Binary(target="malignant")
PARAMS = LogisticParams(C=1)


def samples(n: int, seed: int, classes: int = 2) -> ArraySamples:
    """Classes along one of six features of other scales, with missing values; another feature is never there."""
    rng = np.random.default_rng(seed)
    y = rng.integers(classes, size=n)
    x = (rng.normal(size=(n, 6)) * 10.0 ** np.arange(6)).astype(np.float32)
    x[:, 2] += 250 * y
    x[rng.random(x.shape) < 0.05] = np.nan
    x[:, 5] = np.nan
    return ArraySamples(x, y, np.arange(n), tuple("abcdef"))


DATA = FitData(samples(400, 0), samples(200, 1))


def test_learns_and_reports() -> None:
    reported: dict[str, float] = {}
    model = LOGISTIC.fit(DATA, TWO_CLASSES, PARAMS, LocalContext(on_report=lambda _, scores: reported.update(scores)))
    probability = model.predict(DATA.valid.x)["probability"]
    assert (probability.dtype, probability.shape) == (np.float64, (200, 2))
    np.testing.assert_allclose(probability.sum(axis=1), 1)
    assert reported["valid_auroc"] > 0.8
    assert abs(probability[:, 1].mean() - DATA.valid.y.mean()) < 0.05, "it is calibrated"


def test_a_penalty_on_absolute_values_leaves_what_tells_the_classes_apart() -> None:
    model = LOGISTIC.fit(DATA, TWO_CLASSES, LogisticParams(C=0.01, l1_ratio=1), LocalContext())
    assert np.flatnonzero(model.coefficients[0]).tolist() == [2]


def test_several_classes() -> None:
    task = Multiclass(target="finding", classes=("a", "b", "c"))
    data = FitData(samples(400, 0, 3), samples(200, 1, 3))
    probability = LOGISTIC.fit(data, task, PARAMS, LocalContext()).predict(data.valid.x)["probability"]
    assert probability.shape == (200, 3)
    assert np.mean(probability.argmax(axis=1) == data.valid.y) > 0.55


def test_agrees_with_scikit_learn() -> None:
    from sklearn.linear_model import LogisticRegression

    from medray.models.scaled import scaled

    x, y = DATA.train.x, DATA.train.y
    pipeline = scaled(LogisticRegression(C=1, l1_ratio=0.5, solver="saga", max_iter=2000, random_state=0)).fit(x, y)
    model = LOGISTIC.fit(DATA, TWO_CLASSES, PARAMS, LocalContext())
    found = model.predict(DATA.valid.x)["probability"]
    np.testing.assert_allclose(found, pipeline.predict_proba(DATA.valid.x), atol=1e-5)


def test_saved_model_predicts_the_same_row_by_row(tmp_path: Path) -> None:
    model, again = (LOGISTIC.fit(DATA, TWO_CLASSES, PARAMS, LocalContext(seed=1)) for _ in range(2))
    model.save(tmp_path)
    expected, loaded = model.predict(DATA.valid.x)["probability"], LOGISTIC.load(tmp_path)
    rows = [loaded.predict(row[None])["probability"] for row in DATA.valid.x]
    np.testing.assert_array_equal(np.concatenate(rows), expected)
    np.testing.assert_array_equal(again.predict(DATA.valid.x)["probability"], expected)
    assert loaded.predict(DATA.valid.x[:0])["probability"].shape == (0, 2)


def test_refuses_what_it_cannot_learn_from() -> None:
    alone = ArraySamples(DATA.train.x, np.zeros_like(DATA.train.y), DATA.train.groups)
    with pytest.raises(ModelError, match="MODEL_SINGLE_CLASS"):
        LOGISTIC.fit(FitData(alone, DATA.valid), TWO_CLASSES, PARAMS, LocalContext())
    with pytest.raises(ModelError, match="MODEL_TABLE_TOO_LARGE"):
        LOGISTIC.fit(DATA, TWO_CLASSES, LogisticParams(max_table_gib=1e-6), LocalContext())
    model = LOGISTIC.fit(DATA, TWO_CLASSES, PARAMS, LocalContext())
    with pytest.raises(ModelError, match="MODEL_FEATURE_COUNT"):
        model.predict(DATA.valid.x[:, :4])


@pytest.mark.parametrize("content", [b"", b"no tensors", (1 << 63).to_bytes(8, "little") + b"{}", "cut"])
def test_refuses_broken_files(content: bytes | str, tmp_path: Path) -> None:
    LOGISTIC.fit(DATA, TWO_CLASSES, PARAMS, LocalContext()).save(tmp_path)
    file = tmp_path / "model.safetensors"
    file.write_bytes(file.read_bytes()[:40] if isinstance(content, str) else content)
    with pytest.raises(BundleError, match="BUNDLE_MODEL"):
        LOGISTIC.load(tmp_path)


@pytest.mark.parametrize("name", ["median", "coefficients", "intercept"])
def test_refuses_arrays_that_do_not_fit(name: str, tmp_path: Path) -> None:
    LOGISTIC.fit(DATA, TWO_CLASSES, PARAMS, LocalContext()).save(tmp_path)
    file = tmp_path / "model.safetensors"
    arrays = load_file(file)
    for changed in (arrays[name][:0], arrays[name] * np.nan, arrays[name].astype(np.float32), None):
        rest = {key: array for key, array in arrays.items() if key != name}
        save_file(rest | ({} if changed is None else {name: np.ascontiguousarray(changed)}), file)
        with pytest.raises(BundleError, match="BUNDLE_MODEL"):
            LOGISTIC.load(tmp_path)
