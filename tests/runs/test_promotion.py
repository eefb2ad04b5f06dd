"""Which run becomes champion: toys, other targets, patients in common, rollbacks; by real trainings on one catalog."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from task_cases import BINARY

from medray.bundles import registry
from medray.bundles.registry_table import Entry
from medray.cli import run
from medray.data import store, tables
from medray.data.key_record import marked
from medray.distributed.session import ClusterSpec
from medray.errors import BundleError, ConfigError, LabelError
from medray.runs.comparison import too_few
from medray.runs.ensemble import EnsembleConfig, ensemble
from medray.runs.publish import TrainResult
from medray.runs.samples import labelled_samples
from medray.runs.screen import ScreenConfig, screen
from medray.runs.train import run_name, train
from medray.runs.train_config import TrainConfig
from medray.tasks.binary import Binary

Train = Callable[..., TrainResult]
TOY = {"rounds": 1, "max_depth": 1}
GOOD = {"rounds": 60}
HERE = {"executor": "local"}
ODD, EVEN = {"train": 0.5, "val": 0.15, "seed": 3}, {"train": 0.5, "val": 0.15}


def run_of(params: dict[str, Any], target: str = "malignant", split: Any = EVEN, **more: Any) -> TrainResult:
    """A run of XGBoost on features that are soon computed."""
    models = {"xgb": {"family": "xgb", "input": "table", "params": params}}
    raw = {**yaml.safe_load(BINARY), "labels": {"target": target, "split": split}, "models": models, "cluster": HERE}
    families = {"families": [{"family": "intensity"}, {"family": "hog"}]}
    raw["inputs"] = {"table": {"preprocess": raw["inputs"]["image"]["preprocess"], "features": families}}
    return train(TrainConfig.model_validate({**raw, **more}))


@pytest.fixture(scope="module")
def prepared(catalogued: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What every run of this module prepares, made once."""
    root = tmp_path_factory.mktemp("prepared")
    run_of(TOY, output=str(root), catalog=catalogued)
    return root / "cache"


@pytest.fixture
def out(prepared: Path, tmp_path: Path) -> str:
    shutil.copytree(prepared, tmp_path / "out" / "cache")
    return str(tmp_path / "out")


@pytest.fixture
def trained_on(catalogued: str, out: str) -> Train:
    """``trained_on(params, target=…, split=…, promote=…)``: a run under one output, recorded in its registry."""
    return partial(run_of, output=out, catalog=catalogued)


def bundle(result: TrainResult) -> str:
    return result.bundles[result.best].uri


def last(out: str) -> Entry:
    return registry.history(out)[-1]


def test_a_toy_trained_later_does_not_displace_a_better_champion(trained_on: Train, out: str) -> None:
    toy = trained_on(TOY)
    assert toy.standing is not None
    assert toy.standing.promoted, "a night needs a champion: the first has no rival"
    assert "the first of" in registry.champion(out).reason
    good = trained_on(GOOD)
    found = registry.champion(out)
    assert found.bundle == bundle(good)
    assert found.figures["gain"]["low"] > 0
    assert (found.policy, found.figures["patients"], found.figures["left_out_patients"]) == ("if_better", 42, 0)
    assert f"by {registry.user()} (if_better): better: auroc 0." in found.why

    again = trained_on({"rounds": 1, "max_depth": 2})
    assert again.standing is not None
    assert not again.standing.promoted
    assert again.standing.champion == bundle(good)
    assert registry.champion(out) == found
    assert (last(out).event, last(out).bundle, last(out).replaced) == ("not_promoted", bundle(again), found.fingerprint)
    assert "not shown to be better" in last(out).reason

    entries = registry.history(out)
    assert trained_on(GOOD).standing.promoted  # type: ignore[union-attr]
    trained_on({"rounds": 1, "max_depth": 2})
    assert registry.history(out) == entries, "the same runs again have nothing to add"


def test_what_was_rolled_back_is_not_promoted_by_the_same_command(trained_on: Train, out: str) -> None:
    toy, good = trained_on(TOY), trained_on(GOOD)
    registry.rollback(out, None, "bob", "it flags a marker in the corner")
    assert registry.champion(out).bundle == bundle(toy)
    again = trained_on(GOOD)
    assert again.standing is not None
    assert "rolled back" in again.standing.why
    assert registry.champion(out).bundle == bundle(toy)
    registry.promote(out, registry.Published.of(good.bundles["xgb"]), "bob", "the marker is gone")
    assert registry.champion(out).bundle == bundle(good)


def test_the_policies(trained_on: Train, out: str) -> None:
    never = trained_on(GOOD, promote="never")
    assert never.standing is not None
    assert (never.standing.promoted, never.standing.champion) == (False, None)
    assert [one.event for one in registry.history(out)] == ["published"]
    trained_on(GOOD)
    alike = trained_on({"rounds": 61}, promote={"policy": "if_not_inferior", "margin": 0.05})
    assert registry.champion(out).bundle == bundle(alike)
    assert last(out).figures["margin"] == 0.05
    assert "not worse by more than 0.05" in last(out).reason
    trained_on(TOY, promote="if_not_inferior")
    assert registry.champion(out).bundle == bundle(alike)
    trained_on({"rounds": 2}, promote={"policy": "if_not_inferior", "patients": 43, "margin": 1})
    assert registry.champion(out).bundle == bundle(alike)
    assert "42 patients to compare on, 43 are needed" in last(out).reason


def test_a_policy_does_not_make_another_run(catalogued: str) -> None:
    raw = {**yaml.safe_load(BINARY), "output": "out", "catalog": catalogued}
    one, other = (TrainConfig.model_validate({**raw, "promote": policy}) for policy in ("if_better", "never"))
    samples, _ = labelled_samples(catalogued, one.task, one.labels.split)
    assert run_name(one, samples) == run_name(other, samples)


def test_patients_that_the_champion_learnt_from_are_left_out(trained_on: Train, out: str, catalogued: str) -> None:
    """Another split tests the new model on patients that the champion was trained on, and knows by heart."""
    champion = trained_on(TOY, split=ODD)
    new = trained_on(GOOD, promote={"patients": 15})
    samples = {name: pq.read_table(f"{run.run_uri}/samples.parquet") for name, run in (("old", champion), ("new", new))}
    learnt = set(samples["old"].filter(pa.compute.equal(samples["old"]["split"], "train"))["group"].to_pylist())
    tested = set(samples["new"].filter(pa.compute.equal(samples["new"]["split"], "test"))["group"].to_pylist())
    assert learnt & tested
    assert last(out).figures["left_out_patients"] == len(learnt & tested)
    assert last(out).figures["patients"] == len(tested - learnt)
    assert f"left out: {len(learnt & tested)} patients" in last(out).reason

    before = registry.champion(out)
    trained_on({"rounds": 61}, split=ODD, promote={"patients": 41})
    assert registry.champion(out) == before
    assert "patients to compare on, 41 are needed; left out: " in last(out).reason


def test_what_is_not_known_leaves_the_champion_where_it_is(trained_on: Train, out: str) -> None:
    champion = trained_on(TOY)
    standing = registry.champion(out)
    uri = f"{champion.run_uri}/samples.parquet"
    samples = pq.read_table(uri)
    renamed = pa.array([f"x{group}" for group in samples["group"].to_pylist()])
    manifest = Path(bundle(champion), "bundle.json")

    def after(rounds: int) -> str:
        trained_on({"rounds": rounds})
        assert registry.standings(registry.history(out))[standing.question] == [standing]
        return last(out).reason

    at = samples.column_names.index("group")
    store.write(uri, tables.parquet_bytes(samples.set_column(at, samples.schema.field(at), renamed)))
    assert "another pseudonym key" in after(60)
    elsewhere = samples.set_column(0, "uri", pa.array([f"/elsewhere/{number}" for number in range(len(samples))]))
    store.write(uri, tables.parquet_bytes(marked(elsewhere, "of another site")))
    assert "another pseudonym key" in after(64), "with no image in both, only the key tells"
    store.delete(uri)
    assert "it is not known which patients were learnt from" in after(61)
    more = manifest.parent / "model" / "more"
    more.write_text("x")
    assert "is not what it was when it was promoted (BUNDLE_ALTERED)" in after(64)
    more.unlink()
    manifest.write_text(manifest.read_text().replace('"tiny-xgb"', '"tiny-abc"'))
    assert "is not what it was when it was promoted (BUNDLE_CHANGED)" in after(62)
    store.delete(bundle(champion))
    assert "is gone" in after(63)


def test_a_model_of_another_target_is_never_taken(trained_on: Train, out: str, archive: Path) -> None:
    trained_on(TOY, promote="never")
    lesion = trained_on(GOOD, target="lesion")
    source = str(archive / "images" / "SYN-000001")

    def night(name: str, **more: str) -> Any:
        return screen(ScreenConfig(output=out, source=source, night=name, cluster=ClusterSpec(executor="local"), **more))

    with pytest.raises(BundleError) as caught:
        night("a", champion="malignant")
    assert caught.value.code == "BUNDLE_NO_CHAMPION"
    assert 'binary lesion positive="1"' in caught.value.message
    assert night("b").bundle_uri == bundle(lesion)

    malignant = trained_on(TOY)
    with pytest.raises(BundleError) as caught:
        night("c")
    assert caught.value.code == "BUNDLE_SEVERAL_TASKS"
    assert 'binary lesion positive="1"; binary malignant positive="1"' in caught.value.message
    found = night("c", champion="malignant")
    assert found.bundle_uri == bundle(malignant)
    assert (
        found.chosen.why
        == f"champion of {registry.champion(out, 'malignant').question}, {registry.champion(out, 'malignant').why}"
    )
    summary = json.loads(Path(found.night_uri, "summary.json").read_text())
    assert (summary["bundle"], summary["why"]) == (found.bundle_uri, found.chosen.why)
    assert found.chosen.why in Path(found.night_uri, "night.json").read_text().replace('\\"', '"')

    registry.promote(out, registry.Published.of(trained_on(GOOD, promote="never").bundles["xgb"]), "ann", "")
    assert night("c", champion="malignant").chosen == found.chosen, "a night goes on with what it was started with"
    with pytest.raises(ConfigError) as differs:
        night("c", champion="lesion")
    assert differs.value.code == "NIGHT_DIFFERS"
    with pytest.raises(ValueError, match="give one of them"):
        night("d", champion="lesion", bundle=bundle(lesion))


def test_bundles_of_an_earlier_version_are_not_displaced_unseen(trained_on: Train, out: str) -> None:
    row = {"run": "r", "model": "m", "family": "xgb", "bundle": "/b", "fingerprint": "f", "champion": True, "value": 0.9}
    row |= {"published_at": "2026-11-01", "task": "binary", "target": "malignant"}
    tables.append(registry.registry_uri(out), pa.Table.from_pylist([row]))
    new = trained_on(TOY)
    assert new.standing is not None
    assert (new.standing.promoted, new.standing.champion) == (False, None)
    assert "an earlier medray" in new.standing.why
    assert trained_on(TOY, target="lesion").standing.promoted  # type: ignore[union-attr]


def test_ensembles_are_promoted_by_the_same_rules(trained_on: Train, out: str, catalogued: str) -> None:
    members = [bundle(trained_on(params)) for params in (TOY, {"rounds": 1, "max_depth": 2})]

    def combined(split: Any, combine: str = "mean") -> TrainResult:
        raw = {"output": out, "catalog": catalogued, "members": members, "combine": combine, "cluster": HERE}
        return ensemble(EnsembleConfig.model_validate({**raw, "labels": {"split": split}}))

    first = combined(EVEN)
    assert first.standing is not None
    assert last(out).bundle == bundle(first)
    assert last(out).figures["patients"] == 42
    good = trained_on(GOOD)
    assert registry.champion(out).bundle == bundle(good)
    stacked = combined(EVEN, "stacked")
    assert stacked.standing is not None
    assert (stacked.standing.promoted, stacked.standing.champion) == (False, bundle(good))

    with pytest.raises(LabelError, match="ENSEMBLE_LEARNT"):  # members have learnt from what it would be judged on
        combined(ODD)
    registry.promote(out, registry.Published.of(stacked.bundles["stacked"]), "ann", "to be the rival")
    trained_on({"rounds": 62}, split=ODD)
    by_stacked = last(out).figures["left_out_patients"]
    registry.promote(out, registry.Published.of(first.bundles["mean"]), "ann", "to be the rival")
    trained_on({"rounds": 63}, split=ODD)
    assert by_stacked > last(out).figures["left_out_patients"], "a stacked one has learnt from its validation images"


def test_few_patients_of_one_kind_are_too_few() -> None:
    def rows(positives: int, negatives: int) -> pa.Table:
        targets = [1] * (2 * positives) + [0] * (2 * negatives)
        return pa.table({"target": targets, "group": [f"p{at // 2}" for at in range(len(targets))]})

    task = Binary(target="y")
    assert too_few(task, rows(5, 15), 20) == ""
    assert "19 patients to compare on, 20 are needed" in too_few(task, rows(5, 14), 20)
    assert "4 patients of one kind" in too_few(task, rows(4, 40), 20)


def test_the_command_line_says_who_when_and_why(
    trained_on: Train, out: str, archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    toy, good = bundle(trained_on(TOY)), bundle(trained_on(GOOD, promote="never"))

    def said(*arguments: str) -> tuple[Any, list[str]]:
        capsys.readouterr()
        assert run([*arguments, "--json"]) == 0
        captured = capsys.readouterr()
        return json.loads(captured.out), captured.err.splitlines()

    def standing() -> list[tuple[str, str]]:
        return [(row["standing"], row["bundle"]) for row in said("registry", "list", out)[0]]

    assert standing() == [("champion", toy), ("published", good)]
    made, _ = said("registry", "promote", good, "--by", "Dr. Ann", "--reason", "read on 200 cases")
    assert (made["by"], made["reason"], made["bundle"], made["event"]) == ("Dr. Ann", "read on 200 cases", good, "promoted")
    assert standing() == [("champion", good), ("former champion", toy)]

    config = tmp_path / "screen.yaml"
    config.write_text(f"output: {out}\nsource: {archive / 'images' / 'SYN-000001'}\nnight: n\ncluster: {{executor: local}}\n")
    answer, lines = said("screen", "--config", str(config))
    (line,) = [line for line in lines if line.startswith("screening with")]
    assert good in line
    assert line.endswith("by Dr. Ann: read on 200 cases")
    assert (answer["bundle"], answer["why"]) == (good, line.removeprefix(f"screening with {good}: "))

    back, _ = said("registry", "rollback", out, "--reason", "too many alarms")
    assert (back["bundle"], back["event"], back["by"]) == (toy, "rolled_back", registry.user())
    shown, _ = said("registry", "show", good)
    assert shown["standing"] == "former champion"
    assert [(one["event"], one["by"]) for one in shown["changes"]] == [
        ("published", registry.user()),
        ("promoted", "Dr. Ann"),
        ("rolled_back", registry.user()),
    ]
    events = [row["event"] for row in said("registry", "list", out, "--changes")[0]]
    assert events == ["published", "promoted", "published", "promoted", "rolled_back"]
    for arguments, code in (
        (["rollback", out], "REGISTRY_NO_FORMER"),
        (["show", f"{out}/bundles/none/xgb"], "REGISTRY_UNKNOWN"),
        (["promote", str(tmp_path)], "REGISTRY_OUTPUT"),
        (["promote", f"{out}/bundles/none/xgb"], "BUNDLE_NOT_FOUND"),
    ):
        assert run(["registry", *arguments]) == 1
        (problem,) = capsys.readouterr().err.splitlines()
        assert problem.startswith(f"medray: {code}: ")
