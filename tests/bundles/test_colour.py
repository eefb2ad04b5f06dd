"""Inputs in colour: configuration, bundles, jobs and embeddings take red, green and blue; grey inputs take the luminance."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import syntax_matrix as matrix
import torch
from pydantic import ValidationError

from medray.bundles.bundle import open_bundle
from medray.bundles.embedding import EmbeddingSpec, open_embedding
from medray.bundles.input_spec import InputSpec
from medray.bundles.manifest import Manifest, write_bundle
from medray.data import store
from medray.data.dicom import decode
from medray.errors import Excluded
from medray.evaluation.thresholds import Threshold
from medray.features.table import FeatureSpec
from medray.imaging.op import luminance
from medray.imaging.preprocess import PreprocessSpec
from medray.models.cnn.family import CNN
from medray.models.cnn.model import CnnModel
from medray.models.cnn.network import build_network
from medray.models.cnn.params import CnnParams
from medray.models.family import ArraySamples, FitData, LocalContext
from medray.runs.score import object_rows
from medray.tasks.binary import Binary
from medray.tasks.decision import Decision
from medray.types import Image, State
from medray.work.extract import ExtractJob
from medray.work.prepare import PrepareJob
from medray.work.score import ScoreJob
from medray.work.shard import ShardWriter

TASK = Binary(target="referable")
PARAMS = CnnParams(width=4, members=1)
STEPS = PreprocessSpec.model_validate({"steps": [{"op": "percentile"}, {"op": "resize", "rows": 32, "columns": 36}]})
COLOUR, GREY = InputSpec(preprocess=STEPS, colour=True), InputSpec(preprocess=STEPS)
RGB, MONO = matrix.Kind("RGB", 8), matrix.Kind("MONOCHROME2", 8)
NATIVE = matrix.SYNTAXES[1]


def write(folder: Path, inputs: InputSpec, seed: int) -> str:
    """A bundle of a network that nobody trained."""
    torch.manual_seed(seed)
    shape = inputs.shape
    assert shape is not None
    weights = build_network(PARAMS, 3 if inputs.colour else 1, TASK.head.size).state_dict()
    (folder / "model").mkdir(parents=True)
    CnnModel(PARAMS, shape, TASK.head, weights).save(folder / "model")
    decision = Decision(thresholds={"positive": Threshold(value=0.5, reason="a test")})
    fields = {"name": "tiny", "family": "cnn", "params": PARAMS.model_dump(), "input": inputs}
    manifest = Manifest.model_validate({**fields, "task": TASK, "decision": decision})
    write_bundle(manifest, {"model": folder / "model"}, str(folder / "bundle"))
    return str(folder / "bundle")


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("bundles")
    return {"colour_": write(folder / "colour", COLOUR, 0), "grey_": write(folder / "grey", GREY, 1)}


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two images in colour and a grey one."""
    folder = tmp_path_factory.mktemp("archive")
    values = matrix.values_of(RGB)
    found = {"a": (RGB, values), "b": (RGB, values[::-1, :, ::-1]), "c": (MONO, matrix.values_of(MONO))}
    for name, (kind, pixels) in found.items():
        made = matrix.dataset(NATIVE, kind, np.ascontiguousarray(pixels), SOPInstanceUID=f"1.2.3.{ord(name)}")
        made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
        (folder / f"{name}.dcm").write_bytes(matrix.file_bytes(made))
    return folder


def table(job: Any, archive: Path, folder: Path) -> list[dict[str, Any]]:
    """The rows that a job makes of the archive."""
    rows = object_rows(store.list_objects(str(archive)))
    ShardWriter(job, str(folder))(rows.append_column("shard", pa.array(["part"] * len(rows), pa.string())))
    (shard,) = folder.glob("part-*.parquet")
    return sorted(pq.read_table(shard).to_pylist(), key=lambda row: row["uri"])


def test_an_input_in_colour_refuses_what_is_of_grey_levels() -> None:
    clahe = PreprocessSpec.model_validate({"steps": [{"op": "minmax"}, {"op": "clahe"}]})
    InputSpec(preprocess=clahe)
    with pytest.raises(ValidationError, match="clahe does not take images in colour"):
        InputSpec(preprocess=clahe, colour=True)
    with pytest.raises(ValidationError, match="features are of grey images"):
        InputSpec(preprocess=STEPS, features=FeatureSpec(), colour=True)
    assert (COLOUR.shape, GREY.shape) == ((3, 32, 36), (32, 36))
    assert InputSpec(preprocess=PreprocessSpec(), colour=True).shape is None


def test_a_grey_input_takes_the_luminance(archive: Path) -> None:
    image = decode(archive / "a.dcm", colour=True)
    np.testing.assert_array_equal(GREY.apply(image), GREY.apply(decode(archive / "a.dcm")))
    assert COLOUR.apply(image).shape == (3, 32, 36)
    with pytest.raises(Excluded, match="IMAGE_GREY"):
        COLOUR.apply(luminance(image))
    one_colour = Image(np.ones((3, 8, 9), np.float32) * np.float32([9, 3, 5])[:, None, None], channels=3)
    with pytest.raises(Excluded, match="PIXELS_CONSTANT"):
        COLOUR.apply(one_colour)


def test_a_bundle_takes_files_arrays_and_images_in_colour(bundles: dict[str, str], archive: Path) -> None:
    bundle = open_bundle(bundles["colour_"])
    path = archive / "a.dcm"
    image = decode(path, colour=True)
    masked = np.ma.masked_array(image.pixels, np.zeros(image.pixels.shape, bool))
    found = bundle.predict([path, str(path), path.read_bytes(), image, image.pixels, masked])
    assert {one.state for one in found} == {State.SCORED}
    assert len({one.probability for one in found}) == 1
    (swapped,) = bundle.predict([np.ascontiguousarray(image.pixels[::-1])])
    assert swapped.probability != found[0].probability
    masked[1, :9] = np.ma.masked
    (partly,) = bundle.predict([masked])
    same = Image(np.ma.filled(masked, 0), ~masked.mask[1], channels=3)
    assert partly.probability == bundle.predict([same])[0].probability
    refused = bundle.predict(
        [archive / "c.dcm", image.pixels[0], np.zeros((4, 8, 9)), np.zeros((8, 9, 3)), np.zeros((1, 3, 8, 9))]
    )
    assert [one.code for one in refused] == ["IMAGE_GREY", "IMAGE_GREY", "ARRAY_SHAPE", "ARRAY_SHAPE", "ARRAY_SHAPE"]


def test_a_grey_bundle_takes_no_array_in_colour(bundles: dict[str, str], archive: Path) -> None:
    bundle = open_bundle(bundles["grey_"])
    image = decode(archive / "a.dcm", colour=True)
    by_file, by_image, by_array = bundle.predict([archive / "a.dcm", image, image.pixels])
    assert by_file.probability == by_image.probability is not None
    assert by_array.code == "ARRAY_SHAPE"


def test_a_job_answers_as_its_bundles_do(bundles: dict[str, str], archive: Path, tmp_path: Path) -> None:
    rows = table(ScoreJob({"colour_": bundles["colour_"]}, TASK), archive, tmp_path / "colour")
    assert [row["code"] for row in rows] == ["", "", "IMAGE_GREY"]
    direct = open_bundle(bundles["colour_"]).predict([row["uri"] for row in rows])
    assert [row["colour_probability"] for row in rows] == [one.probability for one in direct]
    both = table(ScoreJob(bundles, TASK), archive, tmp_path / "both")
    direct = open_bundle(bundles["grey_"]).predict([row["uri"] for row in rows[:2]])
    assert [row["grey_probability"] for row in both[:2]] == [one.probability for one in direct]
    assert [row["colour_probability"] for row in both] == [row["colour_probability"] for row in rows]


def test_what_is_learnt_from_is_what_is_scored(archive: Path, tmp_path: Path) -> None:
    rows = table(PrepareJob(COLOUR), archive, tmp_path)
    assert [row["state"] for row in rows] == ["SCORED", "SCORED", "EXCLUDED"]
    records = np.fromfile(tmp_path / rows[0]["chunk"], np.uint8).reshape(2, -1)
    for row in rows[:2]:
        expected = COLOUR.apply(decode(row["uri"], colour=True))
        np.testing.assert_array_equal(PrepareJob(COLOUR).record.numbers(records[row["row"]][None])[0], expected)


def test_features_beside_an_embedding_in_colour_are_of_the_luminance(
    bundles: dict[str, str], archive: Path, tmp_path: Path
) -> None:
    spec = EmbeddingSpec(name="net", bundle=bundles["colour_"], device="cpu")
    embedding, measures = open_embedding(spec), FeatureSpec.model_validate({"families": [{"family": "intensity"}]})
    plain = ExtractJob(STEPS, measures, "made by this")
    deep = ExtractJob(STEPS, measures, "made by this", embeddings=(spec,), embedding_columns=embedding.columns)
    expected, found = table(plain, archive, tmp_path / "plain"), table(deep, archive, tmp_path / "deep")
    for before, after in zip(expected[:2], found[:2], strict=True):
        assert {name: after[name] for name in plain.columns} == {name: before[name] for name in plain.columns}
        (direct,) = embedding.extract([decode(after["uri"], colour=True)])
        assert not isinstance(direct, Exception)
        assert [after[name] for name in embedding.columns] == direct.values.tolist()


def hues(count: int, seed: int) -> ArraySamples:
    """Reddish and bluish images of one luminance, prepared in colour."""
    rng, y = np.random.default_rng(seed), np.arange(count) % 2
    grey = np.repeat(rng.uniform(80, 120, (count, 1, 32, 36)), 3, axis=1)
    tint = np.float64([[1, -0.414, -0.49], [-0.5, -0.1, 1.826]])[y] * 40  # 299 R + 587 G + 114 B = 0
    images = [Image(pixels.astype(np.float32), channels=3) for pixels in grey + tint[:, :, None, None]]
    return ArraySamples(np.stack([COLOUR.apply(image) for image in images]), y, np.arange(count))


def test_a_network_learns_hues_that_luminance_does_not_show() -> None:
    params = CnnParams(width=4, members=1, epochs=8, batch_size=8)
    train, unseen = hues(24, 0), hues(12, 1)
    model = CNN.fit(FitData(train, train), TASK, params, LocalContext())
    assert model.shape == (3, 32, 36)
    assert (model.predict(unseen.x)["probability"][:, 1] > 0.5).tolist() == (unseen.y == 1).tolist()
