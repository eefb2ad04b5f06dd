"""Bundles that were tampered with, by someone who also corrected the checksums: each gives one error of its own code."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import suppress
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from medray.bundles.bundle import open_bundle
from medray.bundles.content import checksums
from medray.bundles.ensemble import ENSEMBLE
from medray.bundles.input_spec import InputSpec
from medray.bundles.manifest import Manifest, digest_of, write_bundle
from medray.errors import BundleError
from medray.evaluation.thresholds import Threshold
from medray.models.family import ArraySamples, FitData, LocalContext
from medray.models.table import family_of
from medray.tasks.anomaly import Anomaly
from medray.tasks.binary import Binary
from medray.tasks.decision import Decision
from medray.tasks.segmentation import Segmentation
from medray.tasks.task import Task
from medray.types import State

PREPROCESS = {"steps": [{"op": "percentile"}, {"op": "resize", "rows": 32, "columns": 32}]}
TABLE = InputSpec.model_validate({"preprocess": PREPROCESS, "features": {"families": [{"family": "intensity"}]}})
PIXELS = InputSpec.model_validate({"preprocess": PREPROCESS})
BINARY = Binary(target="malignant")
DECISION = Decision(thresholds=dict.fromkeys(("positive", "anomalous"), Threshold(value=0.5, reason="a test")))
IMAGE = np.random.default_rng(0).random((40, 50)).astype(np.float32)
SMALL: dict[str, tuple[Task, InputSpec, dict[str, Any]]] = {
    "xgb": (BINARY, TABLE, {"rounds": 3}),
    "forest": (BINARY, TABLE, {"n_estimators": 3}),
    "svm": (BINARY, TABLE, {}),
    "isolation": (Anomaly(), TABLE, {"n_estimators": 3}),
    "cnn": (BINARY, PIXELS, {"members": 1, "epochs": 1, "width": 4}),
    "unet": (Segmentation(), PIXELS, {"epochs": 1, "channels": [4, 8]}),
}

Tamper = Callable[[Path], object]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of each of some families, and an ensemble of two of them."""
    root = tmp_path_factory.mktemp("bundles")
    rng = np.random.default_rng(0)
    for name, (task, given, values) in SMALL.items():
        family = family_of(name)
        params = family.params.model_validate(values)
        x = rng.random((12, *(given.shape or ())), dtype=np.float32)
        y = x[:, None] > 0.5 if task.masked else np.arange(12) % 2
        samples = ArraySamples(x, y, np.arange(12), given.columns())
        folder = root / "models" / name
        folder.mkdir(parents=True)
        family.fit(FitData(samples, samples), task, params, LocalContext()).save(folder)
        decision = Decision() if task.masked else DECISION
        fields = {"name": name, "task": task, "decision": decision, "family": name, "params": values, "input": given}
        write_bundle(Manifest.model_validate(fields), {"model": folder}, str(root / name))
    both = Manifest(name="both", task=BINARY, decision=DECISION, family=ENSEMBLE, params={"combine": "mean"}, input=None)
    write_bundle(both, {"members/0": root / "xgb", "members/1": root / "cnn"}, str(root / "ensemble"))
    return root


def forged(sound: Path, name: str, tmp_path: Path, tamper: Tamper) -> str:
    """A copy that was tampered with, its checksums made right again."""
    folder = tmp_path / "forged"
    shutil.copytree(sound / name, folder)
    tamper(folder)
    for place in [*sorted(folder.glob("members/*")), folder]:
        if (place / "bundle.json").is_file():
            seal(place)
    return str(folder)


def seal(folder: Path) -> None:
    """Make checksums and digest right, as someone who knows how would."""
    path = folder / "bundle.json"
    edit(path, files=checksums(folder))
    with suppress(ValueError):  # NaN has no digest, and is refused before one is compared
        edit(path, digest=digest_of(json.loads(path.read_text())))


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def edited(**changes: Any) -> Tamper:
    return lambda folder: edit(folder / "bundle.json", **changes)


@pytest.mark.parametrize("name", [*SMALL, "ensemble"])
def test_what_was_not_tampered_with_answers(sound: Path, tmp_path: Path, name: str) -> None:
    assert open_bundle(forged(sound, name, tmp_path, lambda folder: None)).predict([IMAGE])[0].state == State.SCORED


@pytest.mark.parametrize(
    ("name", "tamper", "code"),
    [
        ("xgb", edited(input=None), "BUNDLE_FORMAT"),
        ("xgb", edited(family=ENSEMBLE), "BUNDLE_FORMAT"),
        ("xgb", edited(decision={"thresholds": {"positive": {"value": float("nan"), "reason": ""}}}), "BUNDLE_FORMAT"),
        ("forest", lambda folder: shutil.rmtree(folder / "model"), "BUNDLE_MODEL"),
        ("forest", lambda folder: (folder / "model" / "model.skops").rename(folder / "model" / "other"), "BUNDLE_MODEL"),
        ("ensemble", lambda folder: shutil.rmtree(folder / "members"), "BUNDLE_FORMAT"),
        ("ensemble", lambda folder: shutil.rmtree(folder / "members" / "0"), "BUNDLE_FORMAT"),
        ("ensemble", lambda folder: (folder / "members" / "0").rename(folder / "members" / "x"), "BUNDLE_FORMAT"),
        ("ensemble", lambda folder: (folder / "members" / "0").rename(folder / "members" / "²"), "BUNDLE_FORMAT"),
        ("ensemble", lambda folder: (folder / "members" / "2").write_text("x"), "BUNDLE_FORMAT"),
        ("ensemble", lambda folder: (folder / "members" / "1" / "bundle.json").unlink(), "BUNDLE_FORMAT"),
        (
            "ensemble",
            lambda folder: edit(folder / "members/0/bundle.json", task={"kind": "regression", "target": "g"}),
            "BUNDLE_FORMAT",
        ),
        ("ensemble", edited(params={"combine": "vote"}), "BUNDLE_FORMAT"),
        ("ensemble", edited(params={"combine": "stacked"}), "BUNDLE_FORMAT"),
        ("ensemble", edited(params={"combine": "stacked", "weights": [[1, 2], [3]], "intercept": [0, 0]}), "BUNDLE_FORMAT"),
        ("ensemble", edited(params={"combine": "stacked", "weights": [[1] * 4] * 3, "intercept": [0] * 3}), "BUNDLE_FORMAT"),
    ],
)
def test_what_does_not_belong_together_is_not_opened(sound: Path, tmp_path: Path, name: str, tamper: Tamper, code: str) -> None:
    with pytest.raises(BundleError) as caught:
        open_bundle(forged(sound, name, tmp_path, tamper))
    assert caught.value.code == code


def test_a_manifest_of_a_million_brackets(sound: Path, tmp_path: Path) -> None:
    uri = forged(sound, "xgb", tmp_path, lambda folder: None)
    (Path(uri) / "bundle.json").write_text("[" * 1_000_000)
    with pytest.raises(BundleError, match="BUNDLE_FORMAT"):
        open_bundle(uri)


def test_a_link_to_a_folder_is_no_member(sound: Path, tmp_path: Path) -> None:
    """Checksums do not look behind a link, so it may not be there."""
    shutil.copytree(sound / "ensemble", tmp_path / "linked")
    (tmp_path / "linked" / "members" / "2").symlink_to(sound / "forest")
    with pytest.raises(BundleError, match=r"BUNDLE_ALTERED.*members/2"):
        open_bundle(str(tmp_path / "linked"))


@pytest.mark.parametrize("thresholds", [{}, {"other": {"value": 0.5, "reason": "a test"}}])
def test_a_decision_without_its_threshold(sound: Path, tmp_path: Path, thresholds: dict[str, Any]) -> None:
    bundle = open_bundle(forged(sound, "xgb", tmp_path, edited(decision={"thresholds": thresholds})))
    with pytest.raises(BundleError, match=r"BUNDLE_DECISION.*positive"):
        bundle.predict([IMAGE])


@pytest.mark.parametrize(
    "task",
    [
        {"kind": "regression", "target": "g"},
        {"kind": "multiclass", "target": "g", "classes": ["a", "b", "c"]},
        {"kind": "multilabel", "labels": ["a", "b", "c"]},
        {"kind": "segmentation"},
        {"kind": "anomaly"},
    ],
)
def test_a_model_of_another_task_gives_no_answer(sound: Path, tmp_path: Path, task: dict[str, Any]) -> None:
    found = open_bundle(forged(sound, "xgb", tmp_path, edited(task=task))).predict([IMAGE])[0]
    assert (found.state, found.code) == (State.FAILED, "BUNDLE_MODEL")


@pytest.mark.parametrize("name", ["cnn", "unet"])
@pytest.mark.parametrize(
    "config",
    [
        {"shape": [10**9, 32, 32]},
        {"shape": []},
        {"shape": [float("inf"), 3]},
        {"head": {"kind": "classes", "size": 10**9}},
        {"head": {"kind": "classes", "size": -1}},
        {"params": None},
    ],
)
def test_networks_of_absurd_sizes_are_not_built(sound: Path, tmp_path: Path, name: str, config: dict[str, Any]) -> None:
    uri = forged(sound, name, tmp_path, lambda folder: edit(folder / f"model/{name}.json", **config))
    with pytest.raises(BundleError, match="BUNDLE_MODEL"):
        open_bundle(uri)


@pytest.mark.parametrize("channels", [[10**9, 10**9], [-1, 0], [10**30, 4]])
def test_nor_are_absurd_levels(sound: Path, tmp_path: Path, channels: list[int]) -> None:
    def tamper(folder: Path) -> None:
        path = folder / "model" / "unet.json"
        edit(path, params={**json.loads(path.read_text())["params"], "channels": channels})

    with pytest.raises(BundleError, match="BUNDLE_MODEL"):
        open_bundle(forged(sound, "unet", tmp_path, tamper))


@pytest.mark.parametrize("name", ["cnn", "unet"])
def test_weights_that_are_no_numbers_give_no_answer(sound: Path, tmp_path: Path, name: str) -> None:
    def tamper(folder: Path) -> None:
        path = folder / "model" / f"{name}.safetensors"
        weights = load_file(path)
        save_file(
            {key: np.full_like(value, np.nan) if value.dtype.kind == "f" else value for key, value in weights.items()}, path
        )

    found = open_bundle(forged(sound, name, tmp_path, tamper)).predict([IMAGE])[0]
    assert (found.state, found.code) == (State.QUARANTINED, "MODEL_NOT_FINITE")


def test_members_of_two_tasks_are_not_combined(sound: Path, tmp_path: Path) -> None:
    def tamper(folder: Path) -> None:
        shutil.rmtree(folder / "members" / "0")
        shutil.copytree(sound / "unet", folder / "members" / "0")

    with pytest.raises(BundleError, match="BUNDLE_FORMAT"):
        open_bundle(forged(sound, "ensemble", tmp_path, tamper))


def test_outlines_are_not_combined(sound: Path, tmp_path: Path) -> None:
    def tamper(folder: Path) -> None:
        edit(folder / "bundle.json", task={"kind": "segmentation"})
        for number in "01":
            shutil.rmtree(folder / "members" / number)
            shutil.copytree(sound / "unet", folder / "members" / number)

    with pytest.raises(BundleError, match="BUNDLE_FORMAT"):
        open_bundle(forged(sound, "ensemble", tmp_path, tamper))


def test_weights_of_a_combiner_that_overflow_give_no_answer(sound: Path, tmp_path: Path) -> None:
    params = {"combine": "stacked", "weights": [[1e308] * 4] * 2, "intercept": [0.0, 1e308]}
    found = open_bundle(forged(sound, "ensemble", tmp_path, edited(params=params))).predict([IMAGE])[0]
    assert (found.state, found.code) == (State.QUARANTINED, "MODEL_NOT_FINITE")


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("part", [0.0, 0.01, 0.3, 0.9, 0.999])
def test_a_model_that_was_cut(sound: Path, tmp_path: Path, name: str, part: float) -> None:
    def tamper(folder: Path) -> None:
        for path in (folder / "model").iterdir():
            data = path.read_bytes()
            path.write_bytes(data[: int(part * len(data))])

    with pytest.raises(BundleError, match="BUNDLE_MODEL"):
        open_bundle(forged(sound, name, tmp_path, tamper))


@pytest.mark.parametrize(("name", "other"), list(permutations(SMALL, 2)))
def test_the_files_of_another_family(sound: Path, tmp_path: Path, name: str, other: str) -> None:
    """Under the names that they should have."""

    def tamper(folder: Path) -> None:
        foreign = sorted((sound / other / "model").iterdir())
        for number, path in enumerate(sorted((folder / "model").iterdir())):
            path.write_bytes(foreign[number % len(foreign)].read_bytes())

    with pytest.raises(BundleError, match="BUNDLE_MODEL"):
        open_bundle(forged(sound, name, tmp_path, tamper))
