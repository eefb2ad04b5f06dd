"""One image, one probability: train-time validation, evaluate, predict, screen and serve agree for every family."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow.parquet as pq
import pydicom
import pytest

import medray
from medray.bundles.input_spec import InputSpec
from medray.data import store
from medray.data.dicom import decode
from medray.distributed.dataset import outcomes, process, read_values
from medray.distributed.session import ClusterSpec
from medray.errors import ConfigError
from medray.imaging.preprocess import PreprocessSpec, preprocess
from medray.runs.score import evaluate_source, object_rows, predict_source
from medray.runs.screen import ScreenConfig, screen
from medray.work.prepare import PrepareJob

LOCAL = ClusterSpec(address="local")
TOLERANCE = 1e-6


@pytest.fixture(scope="module")
def held_out(trained: Any, archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The validation and test images of the run, as an archive of their own."""
    folder = tmp_path_factory.mktemp("held-out")
    for uri in trained.scores.rows["uri"].to_pylist():
        shutil.copy(uri, folder)
    return folder


def test_preprocessing_on_ray_is_that_of_one_image_bit_for_bit(held_out: Path, tmp_path: Path, ray_session: None) -> None:
    steps = [{"op": "median"}, {"op": "percentile"}, {"op": "clahe"}, {"op": "resize", "rows": 16, "columns": 24}]
    spec = InputSpec(preprocess=PreprocessSpec.model_validate({"steps": steps}))
    rows = object_rows(store.list_objects(str(held_out))).slice(0, 8)
    process(rows, PrepareJob(spec), str(tmp_path / "table"), 2)
    found = read_values(str(tmp_path / "table"), rows)["values"].to_pylist()
    alone = [preprocess(decode(Path(uri)), spec.preprocess).pixels.ravel() for uri in rows["uri"].to_pylist()]
    np.testing.assert_array_equal(np.array(found, np.float32), alone)


def by_name(rows: list[dict[str, Any]]) -> dict[str, float]:
    return {row["uri"].rsplit("/", 1)[-1]: row["probability"] for row in rows}


@pytest.mark.parametrize("family", ["xgb", "svm", "cnn"])
def test_every_route_gives_the_same_probabilities(
    family: str, trained: Any, archive: Path, held_out: Path, tmp_path: Path, ray_session: None
) -> None:
    bundle = trained.bundles[family].uri
    names = [uri.rsplit("/", 1)[-1] for uri in trained.scores.rows["uri"].to_pylist()]
    expected = dict(zip(names, trained.scores.probability[family], strict=True))

    evaluated = evaluate_source(bundle, str(held_out), str(archive / "labels.csv"), LOCAL)
    predict_source(bundle, str(held_out), str(tmp_path / "scores.parquet"), LOCAL)
    night = screen(ScreenConfig(output=str(tmp_path), source=str(held_out), bundle=bundle, night="n", cluster=LOCAL))
    direct = medray.open_bundle(bundle).predict([held_out / name for name in names])
    in_memory = medray.open_bundle(bundle).predict([(held_out / name).read_bytes() for name in names])

    routes = {
        "evaluate": by_name(evaluated.rows.to_pylist()),
        "predict": by_name(pq.read_table(tmp_path / "scores.parquet").to_pylist()),
        "screen": {row["uri"].rsplit("/", 1)[-1]: row["probability"] for row in night.worklist.to_pylist()},
        "open_bundle, paths": dict(zip(names, (item.probability for item in direct), strict=True)),
        "open_bundle, bytes": dict(zip(names, (item.probability for item in in_memory), strict=True)),
        "serve": dict(zip(names, serve_scores(bundle, [held_out / name for name in names]), strict=True)),
    }
    for route, found in routes.items():
        assert found.keys() == expected.keys(), route
        assert found == pytest.approx(expected, abs=TOLERANCE), route
    assert evaluated.summary.scored == len(names)
    assert len(set(expected.values())) > 5


def test_kept_partial_results_never_meet_another_bundle(trained: Any, held_out: Path, tmp_path: Path, ray_session: None) -> None:
    names = [uri.rsplit("/", 1)[-1] for uri in trained.scores.rows["uri"].to_pylist()]
    for family in ("xgb", "svm"):
        out = tmp_path / f"{family}.parquet"
        predict_source(trained.bundles[family].uri, str(held_out), str(out), LOCAL, work=str(tmp_path / "work"))
        expected = dict(zip(names, trained.scores.probability[family], strict=True))
        assert by_name(pq.read_table(out).to_pylist()) == pytest.approx(expected, abs=TOLERANCE)


def test_a_night_refuses_a_bundle_that_changed(trained: Any, held_out: Path, tmp_path: Path, ray_session: None) -> None:
    bundle = tmp_path / "bundle"
    shutil.copytree(trained.bundles["xgb"].uri, bundle)
    config = ScreenConfig(output=str(tmp_path), source=str(held_out), bundle=str(bundle), night="n", cluster=LOCAL)
    screen(config)
    shutil.rmtree(bundle)
    shutil.copytree(trained.bundles["svm"].uri, bundle)
    with pytest.raises(ConfigError) as caught:
        screen(config)
    assert caught.value.code == "NIGHT_DIFFERS"


def test_every_route_refuses_an_image_of_one_value(trained: Any, held_out: Path, tmp_path: Path, ray_session: None) -> None:
    (tmp_path / "images").mkdir()
    first, second = sorted(held_out.glob("*.dcm"))[:2]
    shutil.copy(first, tmp_path / "images" / "sound.dcm")
    flat = pydicom.dcmread(second)
    flat.PixelData = bytes(len(flat.PixelData))
    flat.save_as(tmp_path / "images" / "flat.dcm")
    source, bundle = str(tmp_path / "images"), trained.bundles["xgb"].uri
    rows = object_rows(store.list_objects(source))
    process(rows, PrepareJob(trained.bundles["xgb"].manifest.input), str(tmp_path / "table"), 1)
    prepared = outcomes(rows, str(tmp_path / "table"))
    codes = {row["uri"].rsplit("/", 1)[-1]: row["code"] for row in prepared.to_pylist()}
    assert codes == {"sound.dcm": "", "flat.dcm": "PIXELS_CONSTANT"}
    night = screen(ScreenConfig(output=str(tmp_path), source=source, bundle=bundle, night="flat", cluster=LOCAL))
    predicted = predict_source(bundle, source, str(tmp_path / "scores.csv"), LOCAL)
    for summary in (night.summary, predicted):
        assert (summary.scored, summary.reasons) == (1, {"PIXELS_CONSTANT": 1})


def test_a_bundle_knows_the_units_of_the_images_that_it_was_trained_on(trained: Any) -> None:
    assert all(bundle.manifest.units == ("",) for bundle in trained.bundles.values())


def serve_scores(bundle: str, paths: list[Path]) -> list[float]:
    """Scores of the HTTP endpoint, in requests of up to 16 files."""
    from ray import serve

    from medray.distributed.serve import ServeSpec, start

    start(bundle, ServeSpec(port=18765))
    try:
        answers: list[float] = []
        for first in range(0, len(paths), 16):
            files = [("files", (path.name, path.read_bytes())) for path in paths[first : first + 16]]
            response = httpx.post("http://127.0.0.1:18765/v1/score", files=files, timeout=60)
            assert response.status_code == 200, response.text
            answers += [item["probability"] for item in response.json()["results"]]
        return answers
    finally:
        serve.delete("medray")
