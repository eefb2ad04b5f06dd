"""One image, one answer: train-time validation, evaluate, predict, screen, serve and Python agree for every task and family."""

from __future__ import annotations

import shutil
from base64 import b64encode
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pydicom
import pytest
from prepared import prepared
from task_cases import CASES, ENSEMBLES, MODELS

import medray
from medray.bundles import registry
from medray.bundles.input_spec import InputSpec
from medray.data import store
from medray.data.dicom import decode
from medray.distributed.dataset import on_ray
from medray.distributed.session import ClusterSpec
from medray.errors import ConfigError
from medray.imaging.preprocess import PreprocessSpec, preprocess
from medray.runs.evaluate import evaluate_source
from medray.runs.predict import predict_source
from medray.runs.report import write_train_report
from medray.runs.score import object_rows
from medray.runs.screen import ScreenConfig, screen
from medray.runs.train_config import TrainConfig
from medray.runs.tune import tune
from medray.work.local import on_this_machine
from medray.work.prepare import PrepareJob
from medray.work.process import process
from medray.work.table import outcomes

HERE, RAY = ClusterSpec(executor="local"), ClusterSpec(address="local", executor="ray")
TOLERANCE = 1e-6


@pytest.fixture(scope="module")
def held_out(trained: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The validation and test images of the run, as an archive of their own."""
    return copied(trained, tmp_path_factory.mktemp("held-out"))


def copied(run: Any, folder: Path) -> Path:
    for uri in run.scores.rows["uri"].to_pylist():
        shutil.copy(uri, folder)
    return folder


def test_preprocessing_on_ray_is_that_of_one_image_bit_for_bit(held_out: Path, tmp_path: Path, ray_session: None) -> None:
    steps = [{"op": "median"}, {"op": "percentile"}, {"op": "clahe"}, {"op": "resize", "rows": 16, "columns": 24}]
    spec = InputSpec(preprocess=PreprocessSpec.model_validate({"steps": steps}))
    rows = object_rows(store.list_objects(str(held_out))).slice(0, 8)
    process(rows, PrepareJob(spec), str(tmp_path / "table"), on_ray(2))
    found = prepared(str(tmp_path / "table"), rows, PrepareJob(spec))
    alone = [preprocess(decode(Path(uri)), spec.preprocess).pixels for uri in rows["uri"].to_pylist()]
    np.testing.assert_array_equal(found, alone)


Answers = dict[str, dict[str, Any]]
"""File name → columns of the answer and the decision."""


def by_name(rows: list[dict[str, Any]], columns: Sequence[str]) -> Answers:
    return {row["uri"].rsplit("/", 1)[-1]: {name: row[name] for name in columns} for row in rows}


def expected_of(run: Any, model: str) -> Answers:
    """What the run itself found for its held-out images."""
    manifest = run.bundles[model].manifest
    rows = pa.concat_tables([run.scores.of(model, split) for split in ("val", "test")])
    decided = manifest.task.decided(rows, manifest.decision)
    return by_name(decided.to_pylist(), manifest.task.answer_columns)


def assert_equal(found: Answers, expected: Answers, route: str) -> None:
    assert found.keys() == expected.keys(), route
    for name, answer in expected.items():
        for column, value in answer.items():
            wanted = pytest.approx(value, abs=TOLERANCE, nan_ok=True) if isinstance(value, float) else value
            assert found[name][column] == wanted, (route, name, column)


@pytest.mark.parametrize(("case", "model"), MODELS)
def test_every_route_gives_the_same_answers(
    case: str, model: str, train_case: Callable[[str], Any], archive: Path, tmp_path: Path, ray_session: None
) -> None:
    run = train_case(case)
    (tmp_path / "images").mkdir()
    images = copied(run, tmp_path / "images")
    bundle, task = run.bundles[model].uri, run.task
    columns, expected = task.answer_columns, expected_of(run, model)
    names = list(expected)

    evaluated = evaluate_source(bundle, str(images), str(archive / "labels.csv"), HERE)
    predict_source(bundle, str(images), str(tmp_path / "scores.parquet"), RAY)
    night = screen(ScreenConfig(output=str(tmp_path), source=str(images), bundle=bundle, night="n", cluster=HERE))
    direct = medray.open_bundle(bundle).predict([images / name for name in names])
    in_memory = medray.open_bundle(bundle).predict([(images / name).read_bytes() for name in names])

    undecided = [field.name for field in task.fields()]
    listed = [name for name in columns if name in night.worklist.column_names]
    assert_equal(by_name(evaluated.rows.to_pylist(), undecided), only(expected, undecided), "evaluate")
    assert_equal(by_name(pq.read_table(tmp_path / "scores.parquet").to_pylist(), columns), expected, "predict")
    assert_equal(by_name(night.worklist.to_pylist(), listed), only(expected, listed), "screen")
    assert_equal(dict(zip(names, (item.answer for item in direct), strict=True)), expected, "open_bundle, paths")
    assert_equal(dict(zip(names, (item.answer for item in in_memory), strict=True)), expected, "open_bundle, bytes")
    served = serve_answers(bundle, [images / name for name in names])
    assert_equal(dict(zip(names, served, strict=True)), only(as_served(expected), list(served[0])), "serve")
    assert evaluated.summary.scored == len(names)
    urgency = task.urgency(run.scores.of(model, "test"))
    assert len(set(urgency.tolist())) > 5, "the answers differ"


def only(answers: Answers, columns: Sequence[str]) -> Answers:
    return {name: {column: answer[column] for column in columns if column in answer} for name, answer in answers.items()}


def as_served(answers: Answers) -> Answers:
    """Masks travel as base64."""

    def plain(value: Any) -> Any:
        return b64encode(value).decode() if isinstance(value, bytes) else value

    return {name: {column: plain(value) for column, value in answer.items()} for name, answer in answers.items()}


@pytest.mark.parametrize("case", [*CASES, *ENSEMBLES])
def test_every_task_has_its_report_and_its_row_in_the_registry(case: str, train_case: Callable[[str], Any]) -> None:
    run = train_case(case)
    page = store.read(write_train_report(run)).decode()
    assert run.task.monitor.figure
    assert all(cell.heading in page for cell in run.task.cells(run.judged[run.best].figures))
    output = str(Path(run.run_uri).parents[1])
    assert {entry.monitor for entry in registry.history(output)} == {run.task.monitor.figure}
    assert registry.champion(output, run.task.question).bundle == run.bundles[run.best].uri


@pytest.mark.parametrize("case", CASES)
def test_every_task_is_tuned_by_its_monitor(
    case: str, catalogued: str, train_case: Callable[[str], Any], ray_session: None
) -> None:
    run = train_case(case)
    raw = {**CASES[case], "output": str(Path(run.run_uri).parents[1]), "catalog": catalogued}
    config = TrainConfig.model_validate({**raw, "tune": {"samples": 2, "concurrent": 2, "max_steps": 3}})
    model = next(iter(config.models))
    trials = tune(config, [model])[model]
    values = [run.task.monitor.sign * trial.value for trial in trials]
    assert values == sorted(values, reverse=True)


def test_kept_partial_results_never_meet_another_bundle(trained: Any, held_out: Path, tmp_path: Path) -> None:
    for family in ("xgb", "svm"):
        out = tmp_path / f"{family}.parquet"
        predict_source(trained.bundles[family].uri, str(held_out), str(out), HERE, work=str(tmp_path / "work"))
        assert_equal(by_name(pq.read_table(out).to_pylist(), ["probability", "positive"]), expected_of(trained, family), family)


def test_kept_results_of_evaluate_and_predict_do_not_mix(train_case: Callable[[str], Any], archive: Path, tmp_path: Path) -> None:
    """Outlines are compared with masks by evaluate alone; both commands may be given one folder for partial results."""
    run = train_case("segmentation")
    (tmp_path / "images").mkdir()
    images, bundle, work = copied(run, tmp_path / "images"), run.bundles["unet"].uri, str(tmp_path / "work")
    columns, out = run.task.answer_columns, tmp_path / "scores.parquet"
    for _ in range(2):
        predict_source(bundle, str(images), str(out), HERE, work=work)
        assert_equal(by_name(pq.read_table(out).to_pylist(), columns), expected_of(run, "unet"), "predict")
        evaluated = evaluate_source(bundle, str(images), str(archive / "labels.csv"), HERE, work)
        assert evaluated.rows["dice"].null_count == 0
        assert len(evaluated.rows) == len(run.scores.rows)


def test_a_night_refuses_a_bundle_that_changed(trained: Any, held_out: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    shutil.copytree(trained.bundles["xgb"].uri, bundle)
    config = ScreenConfig(output=str(tmp_path), source=str(held_out), bundle=str(bundle), night="n", cluster=HERE)
    screen(config)
    shutil.rmtree(bundle)
    shutil.copytree(trained.bundles["svm"].uri, bundle)
    with pytest.raises(ConfigError) as caught:
        screen(config)
    assert caught.value.code == "NIGHT_DIFFERS"


def test_every_route_refuses_an_image_of_one_value(trained: Any, held_out: Path, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    first, second = sorted(held_out.glob("*.dcm"))[:2]
    shutil.copy(first, tmp_path / "images" / "sound.dcm")
    flat = pydicom.dcmread(second)
    flat.PixelData = bytes(len(flat.PixelData))
    flat.save_as(tmp_path / "images" / "flat.dcm")
    source, bundle = str(tmp_path / "images"), trained.bundles["xgb"].uri
    rows = object_rows(store.list_objects(source))
    process(rows, PrepareJob(trained.bundles["xgb"].manifest.input), str(tmp_path / "table"), on_this_machine())
    prepared = outcomes(rows, str(tmp_path / "table"))
    codes = {row["uri"].rsplit("/", 1)[-1]: row["code"] for row in prepared.to_pylist()}
    assert codes == {"sound.dcm": "", "flat.dcm": "PIXELS_CONSTANT"}
    night = screen(ScreenConfig(output=str(tmp_path), source=source, bundle=bundle, night="flat", cluster=HERE))
    predicted = predict_source(bundle, source, str(tmp_path / "scores.csv"), HERE)
    for summary in (night.summary, predicted):
        assert (summary.scored, summary.reasons) == (1, {"PIXELS_CONSTANT": 1})


def test_a_bundle_knows_the_units_of_the_images_that_it_was_trained_on(trained: Any) -> None:
    assert all(bundle.manifest.units == ("",) for bundle in trained.bundles.values())


def serve_answers(bundle: str, paths: list[Path]) -> list[dict[str, Any]]:
    """Answers of the HTTP endpoint, in requests of up to 16 files."""
    from medray.distributed.serve import ServeSpec, start
    from medray.distributed.serving import take_down

    start(bundle, ServeSpec(port=18765))
    answers: list[dict[str, Any]] = []
    try:
        for first in range(0, len(paths), 16):
            files = [("files", (path.name, path.read_bytes())) for path in paths[first : first + 16]]
            response = httpx.post("http://127.0.0.1:18765/v1/score", files=files, timeout=60)
            assert response.status_code == 200, response.text
            answers += response.json()["results"]
    finally:
        take_down()
    names = medray.open_bundle(bundle).manifest.task.answer_columns
    return [{name: answer[name] for name in names} for answer in answers]
