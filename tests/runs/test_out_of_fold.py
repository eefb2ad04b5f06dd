"""Models fitted in folds: who sees whom, what is decided on what, and what is published."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import yaml
from task_cases import BINARY

from medray.bundles import registry
from medray.bundles.bundle import open_bundle
from medray.bundles.combiner import Combiner, combine
from medray.bundles.ensemble import Ensemble
from medray.bundles.inputs import as_image
from medray.bundles.scorer import Scorer
from medray.cataloguing.ingest import ingest
from medray.data import store
from medray.errors import InputError, LabelError
from medray.runs.ensemble import EnsembleConfig, ensemble
from medray.runs.folded_answers import ANSWERS
from medray.runs.learnt import learnt_by
from medray.runs.publish import TrainResult
from medray.runs.train import train
from medray.runs.train_config import TrainConfig
from medray.tasks.head import Head

Train = Callable[..., TrainResult]
QUICK = {"xgb": {"family": "xgb", "input": "table", "params": {"rounds": 20}}}
NO_TEST = {"train": 0.85, "val": 0.15}


def run_of(models: dict[str, Any] = QUICK, split: Any = NO_TEST, **more: Any) -> TrainResult:
    raw = {**yaml.safe_load(BINARY), "labels": {"target": "malignant", "split": split}, "models": models, "folds": 3}
    families = {"families": [{"family": "intensity"}, {"family": "hog"}]}
    raw["inputs"] = {"table": {"preprocess": raw["inputs"]["image"]["preprocess"], "features": families}}
    return train(TrainConfig.model_validate({**raw, "cluster": {"executor": "local"}, **more}))


@pytest.fixture(scope="module")
def prepared(catalogued: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What every run of this module prepares, made once."""
    root = tmp_path_factory.mktemp("prepared")
    run_of(output=str(root), catalog=catalogued, folds=2)
    return root / "cache"


@pytest.fixture
def out(prepared: Path, tmp_path: Path) -> str:
    shutil.copytree(prepared, tmp_path / "out" / "cache")
    return str(tmp_path / "out")


@pytest.fixture
def folded(catalogued: str, out: str) -> Train:
    """``folded(models, split, **settings)``: a run in three folds."""
    return partial(run_of, output=out, catalog=catalogued)


def answers_of(scorer: Scorer, uris: list[str]) -> list[float]:
    """The probabilities of a bundle that has no decision."""
    found = scorer.answers([as_image(uri) for uri in uris])
    return [one["probability"] for one in found if not isinstance(one, InputError)]


def table(uri: str) -> pa.Table:
    return pq.read_table(pa.BufferReader(store.read(uri)))


def test_every_image_is_answered_for_by_a_model_that_has_not_seen_its_patient(folded: Train) -> None:
    found = folded()
    answers = table(f"{found.run_uri}/{ANSWERS}")
    assert len(answers) == 120
    assert len(pc.unique(answers["uri"])) == 120
    places = answers.group_by(["group", "fold"]).aggregate([])
    assert len(places) == len(pc.unique(answers["group"])), "a patient is in one fold"
    assert set(pc.value_counts(answers["fold"]).field("counts").to_pylist()) <= {39, 40, 41}
    for fold in range(3):
        own = answers.filter(pc.equal(answers["fold"], fold)).sort_by("uri")
        seen = table(f"{found.run_uri}/folds/fold-{fold + 1}.parquet")
        learnt = seen.filter(pc.equal(seen["split"], "train"))
        assert len(learnt) == 120 - len(own)
        assert not pc.any(pc.is_in(learnt["group"], value_set=own["group"].combine_chunks())).as_py()
        model = open_bundle(f"{found.run_uri}/drafts/xgb-fold-{fold + 1}", own=True)
        assert answers_of(model, own["uri"].to_pylist()) == own["xgb.probability"].to_pylist()


def test_the_mean_of_the_folds_is_published_and_decided_on_out_of_fold(folded: Train, out: str) -> None:
    found = folded()
    bundle = found.bundles["xgb"]
    assert isinstance(bundle, Ensemble)
    assert (found.evaluated_on, len(bundle.members)) == ("oof", 3)
    assert bundle.manifest.metrics.keys() == {"oof"}
    assert bundle.manifest.metrics["oof"]["n"] == 120
    assert found.judged["xgb"].figures.monitor.value == registry.champion(out).value
    images = pc.unique(table(f"{found.run_uri}/samples.parquet")["uri"]).to_pylist()[:5]
    each = np.mean([answers_of(member, images) for member in bundle.members], axis=0)
    calibration = bundle.manifest.decision.calibration
    assert calibration is not None
    expected = calibration.apply(np.column_stack([1 - each, each]))[:, 1]
    np.testing.assert_allclose([one.probability for one in bundle.predict(images)], expected, rtol=1e-9)
    learnt = learnt_by(bundle.uri, out)
    assert learnt is not None
    assert len(learnt.images.filter(learnt.images["learnt"])) >= 120


def test_the_same_run_again_changes_nothing(folded: Train) -> None:
    first, second = folded(repeats=2), folded(repeats=2)
    assert second.bundles["xgb"].fingerprint == first.bundles["xgb"].fingerprint
    assert second.judged["xgb"].figures == first.judged["xgb"].figures


def test_repeats_are_drawn_anew_and_averaged(folded: Train) -> None:
    found = folded(repeats=2)
    answers = table(f"{found.run_uri}/{ANSWERS}")
    first, second = (answers.filter(pc.equal(answers["repeat"], repeat)).sort_by("uri") for repeat in (0, 1))
    assert first["uri"].to_pylist() == second["uri"].to_pylist()
    assert first["fold"].to_pylist() != second["fold"].to_pylist()
    mean = (first["xgb.probability"].to_numpy() + second["xgb.probability"].to_numpy()) / 2
    bundle = found.bundles["xgb"]
    assert isinstance(bundle, Ensemble)
    calibration = bundle.manifest.decision.calibration
    assert calibration is not None
    expected = calibration.apply(np.column_stack([1 - mean, mean]))[:, 1]
    np.testing.assert_allclose(found.scores.of("xgb", "oof")["probability"].to_numpy(), expected)
    assert len(bundle.members) == 6


def test_one_model_that_is_fitted_to_everything(folded: Train) -> None:
    mean, one = folded(), folded(publish="refit")
    assert one.bundles["xgb"].manifest.family == "xgb"
    assert one.judged["xgb"].figures == mean.judged["xgb"].figures, "the figures are those of the same folds"
    sides = table(f"{one.run_uri}/folds/all.parquet")["split"].to_pylist()
    assert sides == ["train"] * 120


def test_test_images_are_answered_for_by_what_is_published(folded: Train) -> None:
    found = folded(split={"train": 0.6, "val": 0.15})
    bundle = found.bundles["xgb"]
    assert found.evaluated_on == "test"
    assert bundle.manifest.metrics.keys() == {"oof", "test"}
    rows = found.scores.of("xgb", "test")
    assert 0 < len(rows) < 60
    said = [one.probability for one in bundle.predict(rows["uri"].to_pylist())]
    np.testing.assert_allclose(rows["probability"].to_pylist(), said, rtol=1e-9)
    answers = table(f"{found.run_uri}/{ANSWERS}")
    assert len(answers) + len(rows) == 120


def test_a_fit_that_stops_early_goes_by_images_of_its_own(folded: Train) -> None:
    stopping = {"xgb": {"family": "xgb", "input": "table", "params": {"rounds": 20, "early_stopping_rounds": 3}}}
    found = folded(stopping)
    answers = table(f"{found.run_uri}/{ANSWERS}")
    for fold in range(3):
        held = answers.filter(pc.equal(answers["fold"], fold))
        sides = table(f"{found.run_uri}/folds/fold-{fold + 1}-watched.parquet")
        seen = sides.filter(pc.not_equal(sides["split"], ""))
        assert set(seen["split"].to_pylist()) == {"train", "val"}
        assert not pc.any(pc.is_in(seen["uri"], value_set=held["uri"].combine_chunks())).as_py()


def test_folds_that_the_labels_give(archive: Path, tmp_path: Path) -> None:
    labels = pyarrow.csv.read_csv(archive / "labels.csv")
    patients = labels["PatientID"].dictionary_encode().combine_chunks().indices.to_numpy()
    pyarrow.csv.write_csv(labels.append_column("fold", pa.array(patients % 3)), tmp_path / "labels.csv")
    ingest(str(archive / "images"), str(tmp_path / "catalog"), str(tmp_path / "labels.csv"), keep=("malignant",))
    here = partial(run_of, output=str(tmp_path / "out"), catalog=str(tmp_path / "catalog"))
    answers = table(f"{here().run_uri}/{ANSWERS}")
    given = dict(zip(labels["SOPInstanceUID"].to_pylist(), (patients % 3).tolist(), strict=True))
    assert answers["fold"].to_pylist() == [given[Path(uri).stem] for uri in answers["uri"].to_pylist()]
    with pytest.raises(LabelError, match="LABELS_BAD_FOLD: the labels give 3 folds"):
        here(folds=4)


def test_runs_in_folds_on_the_same_patients_are_compared(folded: Train, out: str) -> None:
    folded({"xgb": {"family": "xgb", "input": "table", "params": {"rounds": 1, "max_depth": 1}}})
    better = folded({"xgb": {"family": "xgb", "input": "table", "params": {"rounds": 60}}})
    assert better.standing is not None
    assert better.standing.promoted, better.standing.why
    assert registry.champion(out).figures["left_out_patients"] == 0
    assert "out-of-fold images" in registry.champion(out).reason


TWO = {**QUICK, "forest": {"family": "forest", "input": "table", "params": {"n_estimators": 20}}}


@pytest.mark.parametrize("how", ["mean", "weighted", "stacked"])
def test_ensembles_of_folds_are_fitted_and_decided_out_of_fold(how: str, folded: Train, out: str, catalogued: str) -> None:
    found = folded(TWO)
    raw = {"output": out, "catalog": catalogued, "members": [one.uri for one in found.bundles.values()], "combine": how}
    settings = {"labels": {"split": NO_TEST}, "cluster": {"executor": "local"}}
    both = ensemble(EnsembleConfig.model_validate({**raw, **settings}))
    bundle = both.bundles[how]
    assert (both.evaluated_on, bundle.manifest.metrics["oof"]["n"]) == ("oof", 120)
    rows = [found.scores.of(model, "oof")["probability"].to_numpy() for model in TWO]
    params = Combiner.model_validate(bundle.manifest.params)
    said = combine(Head("classes", 2), [{"probability": np.column_stack([1 - p, p])} for p in rows], params)["probability"]
    calibration = bundle.manifest.decision.calibration
    assert calibration is not None
    np.testing.assert_allclose(both.scores.of(how, "oof")["probability"].to_numpy(), calibration.apply(said)[:, 1])
    assert len(table(f"{both.run_uri}/{ANSWERS}")) == 120
    again = ensemble(EnsembleConfig.model_validate({**raw, **settings}))
    assert again.bundles[how].fingerprint == bundle.fingerprint


def test_an_ensemble_is_not_judged_on_what_a_member_has_learnt(folded: Train, out: str, catalogued: str) -> None:
    once, folds = folded(folds=0), folded()
    members = [one.bundles["xgb"].uri for one in (once, folds)]
    raw = {"output": out, "catalog": catalogued, "members": members, "labels": {"split": NO_TEST}}
    with pytest.raises(LabelError, match=r"ENSEMBLE_LEARNT: .* has learnt from patients of \d+ of \d+ images"):
        ensemble(EnsembleConfig.model_validate(raw))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"folds": 1}, "folds: 1 leaves nothing to learn from"),
        ({"folds": 0, "repeats": 3}, "repeats and publish are of models that are fitted in folds"),
    ],
)
def test_settings_that_make_no_sense(settings: dict[str, Any], said: str, folded: Train) -> None:
    with pytest.raises(ValueError, match=said):
        folded(**settings)


def test_more_folds_than_patients(folded: Train) -> None:
    with pytest.raises(LabelError, match=r"LABELS_TOO_FEW: \d+ patients do not make 50 folds"):
        folded(split={"train": 0.2, "val": 0.1}, folds=50)


def test_figures_are_plain_data(folded: Train) -> None:
    found = folded()
    metrics = json.loads(store.read(f"{found.run_uri}/metrics.json"))
    assert metrics["evaluated_on"] == "oof"
    assert metrics["split"][0] == {**metrics["split"][0], "split": "train", "class": "all", "images": 120}
