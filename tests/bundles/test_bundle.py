"""Bundles: written whole, checked before they are opened, one way from any input to a probability."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from quantity_images import ct, pet

import medray
from medray.bundles.bundle import Bundle, open_bundle
from medray.bundles.input_spec import InputSpec
from medray.bundles.manifest import Manifest, digest_of, write_bundle
from medray.data.dicom import decode
from medray.errors import BundleError, Excluded
from medray.evaluation.thresholds import Threshold
from medray.features import table as features
from medray.features.table import FeatureSpec
from medray.imaging.op import is_constant
from medray.imaging.preprocess import PreprocessSpec, preprocess
from medray.models.family import ArraySamples, FitData, LocalContext
from medray.models.xgb import XGB, XgbParams
from medray.tasks.binary import Binary
from medray.tasks.decision import Decision
from medray.tasks.head import Output
from medray.types import Image, State

TWO_CLASSES = Binary(target="malignant")

FILES = Path(pydicom.__file__).parent / "data" / "test_files"
MR = FILES / "MR_small.dcm"
PARAMS = XgbParams(rounds=8, min_child_weight=0, subsample=1, colsample_bytree=1, learning_rate=0.3)
INPUT = InputSpec(
    preprocess=PreprocessSpec.model_validate({"steps": [{"op": "percentile"}, {"op": "resize", "rows": 32, "columns": 32}]}),
    features=FeatureSpec.model_validate({"families": [{"family": "intensity"}]}),
)


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model of the intensity features that tells dark images from bright ones."""
    rng = np.random.default_rng(0)
    y = np.arange(40) % 2
    images = [rng.random((32, 32)).astype(np.float32) ** (0.5 if positive else 3) for positive in y]
    samples = ArraySamples(np.stack([INPUT.apply(Image(pixels)) for pixels in images]), y, np.arange(40), INPUT.columns())
    folder = tmp_path_factory.mktemp("model")
    XGB.fit(FitData(samples, samples), TWO_CLASSES, PARAMS, LocalContext()).save(folder)
    return folder


def manifest(**changes: object) -> Manifest:
    fields = {"name": "tiny", "family": "xgb", "params": PARAMS.model_dump(), "input": INPUT}
    of_two = {"task": Binary(target="bright"), "decision": deciding(0.5, "a test")}
    return Manifest.model_validate({**fields, **of_two, "modalities": ["MR"], **changes})


def deciding(value: float, reason: str) -> Decision:
    return Decision(thresholds={"positive": Threshold(value=value, reason=reason)})


@pytest.fixture
def uri(model_folder: Path, tmp_path: Path) -> str:
    write_bundle(manifest(), {"model": model_folder}, str(tmp_path / "bundle"))
    return str(tmp_path / "bundle")


@pytest.fixture
def bundle(uri: str) -> Bundle:
    return open_bundle(uri)


def code_of(uri: str) -> str:
    with pytest.raises(BundleError) as caught:
        open_bundle(uri)
    return caught.value.code


# --- writing and opening -------------------------------------------------------------------------------------------------------


def test_a_bundle_comes_back_as_it_was_written(uri: str, model_folder: Path) -> None:
    opened = medray.open_bundle(uri)
    assert opened.manifest.model_copy(update={"files": {}, "digest": ""}) == manifest()
    assert set(opened.manifest.files) == {"model/model.ubj"}
    x = np.random.default_rng(1).random((5, len(INPUT.columns()))).astype(np.float32)
    np.testing.assert_array_equal(opened.model.predict(x)["probability"], XGB.load(model_folder).predict(x)["probability"])


def test_the_fingerprint_names_the_content_wherever_it_lies(uri: str, model_folder: Path, s3: str) -> None:
    write_bundle(manifest(), {"model": model_folder}, f"{s3}/bundle")
    assert open_bundle(f"{s3}/bundle").fingerprint == open_bundle(uri).fingerprint
    write_bundle(manifest(decision=deciding(0.6, "another")), {"model": model_folder}, f"{s3}/other")
    assert open_bundle(f"{s3}/other").fingerprint != open_bundle(uri).fingerprint


@pytest.mark.parametrize("change", ["altered", "missing", "added"])
def test_a_folder_that_differs_from_its_manifest_is_not_opened(uri: str, change: str) -> None:
    model = Path(uri) / "model" / "model.ubj"
    if change == "altered":
        data = bytearray(model.read_bytes())
        data[len(data) // 2] ^= 1
        model.write_bytes(bytes(data))
    elif change == "missing":
        model.unlink()
    else:
        (model.parent / "more.bin").write_bytes(b"x")
    assert code_of(uri) == "BUNDLE_ALTERED"


def test_what_is_no_bundle(uri: str, tmp_path: Path) -> None:
    assert code_of(str(tmp_path / "none")) == "BUNDLE_NOT_FOUND"
    path = Path(uri) / "bundle.json"
    raw = json.loads(path.read_text())
    for text in (json.dumps({**raw, "format": 99}), json.dumps({**raw, "surplus": 1}), "[]", "not json", "{}"):
        path.write_text(text)
        assert code_of(uri) == "BUNDLE_FORMAT"


def test_a_bundle_without_its_manifest_is_not_there_yet(uri: str) -> None:
    (Path(uri) / "bundle.json").unlink()
    assert code_of(uri) == "BUNDLE_NOT_FOUND"


# --- predicting ----------------------------------------------------------------------------------------------------------------


def test_bytes_paths_uris_images_and_arrays_give_one_answer(bundle: Bundle) -> None:
    image = decode(MR)
    answers = bundle.predict([MR.read_bytes(), str(MR), MR, image, image.pixels])
    assert {answer.state for answer in answers} == {State.SCORED}
    assert len({answer.probability for answer in answers}) == 1
    assert [answer.sop_uid for answer in answers] == [image.header.sop_uid] * 4 + [""]
    assert [answer.flags for answer in answers] == [("PREAMBLE_NOT_ZERO",)] * 4 + [()]
    assert all(answer.positive == (answer.probability >= 0.5) for answer in answers if answer.probability is not None)


def test_the_answer_is_that_of_the_parts(bundle: Bundle) -> None:
    assert INPUT.features is not None
    prepared = preprocess(decode(MR), INPUT.preprocess)
    row = features.extract(prepared, INPUT.features).values.astype(np.float32)[None]
    (answer,) = bundle.predict([MR])
    assert answer.probability == float(bundle.model.predict(row)["probability"][0, 1])


def test_dark_and_bright_images_differ(bundle: Bundle) -> None:
    noise = np.random.default_rng(5).random((32, 32))
    dark, bright = bundle.predict([noise**3, noise**0.5])
    assert (dark.positive, bright.positive) == (False, True)


def test_the_threshold_is_inclusive(uri: str, model_folder: Path, bundle: Bundle) -> None:
    (before,) = bundle.predict([MR])
    assert before.probability is not None
    write_bundle(manifest(decision=deciding(before.probability, "equal")), {"model": model_folder}, uri)
    assert open_bundle(uri).predict([MR])[0].positive is True


def test_an_input_that_cannot_be_scored_takes_its_own_state(bundle: Bundle, tmp_path: Path) -> None:
    data = MR.read_bytes()
    answers = bundle.predict([data[:5000], b"", FILES / "test-SR.dcm", FILES / "CT_small.dcm", tmp_path / "none.dcm", data])
    assert [(answer.state, answer.code) for answer in answers] == [
        (State.QUARANTINED, "PIXELS_TRUNCATED"),
        (State.QUARANTINED, "DICOM_EMPTY"),
        (State.EXCLUDED, "OBJECT_NOT_AN_IMAGE"),
        (State.EXCLUDED, "MODEL_SCOPE"),
        (State.FAILED, "STORE_NOT_FOUND"),
        (State.SCORED, ""),
    ]
    assert all(answer.probability is None and answer.positive is None for answer in answers[:-1])
    assert all(answer.message for answer in answers[:-1])


@pytest.mark.parametrize("array", [np.zeros((2, 3, 4)), np.zeros((0, 5)), np.array([[1.0, np.nan]]), np.zeros(7)])
def test_arrays_that_are_no_image_are_excluded(bundle: Bundle, array: np.ndarray) -> None:
    (answer,) = bundle.predict([array])
    assert (answer.state, answer.code) == (State.EXCLUDED, "ARRAY_SHAPE")


@pytest.mark.parametrize(
    "array",
    [
        np.array([["a", "b"], ["c", "d"]]),
        np.array([[1, 2], [3, "x"]], dtype=object),
        np.array([["2020-01-01", "2021-01-01"]], dtype="datetime64[D]"),
        np.array([[1, 2], [3, 4 + 1j]]),
        np.zeros((2, 2), [("a", int)]),
        np.array([[1e300, 1], [2, 3]]),
    ],
)
def test_arrays_of_what_is_no_real_number_are_excluded(bundle: Bundle, array: np.ndarray) -> None:
    (answer,) = bundle.predict([array])
    assert (answer.state, answer.code) == (State.EXCLUDED, "ARRAY_SHAPE")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_an_image_with_pixels_that_are_no_numbers_is_excluded(bundle: Bundle, value: float) -> None:
    pixels = np.arange(64, dtype=np.float32).reshape(8, 8)
    pixels[3, 3] = value
    assert bundle.predict([Image(pixels)])[0].code == "IMAGE_NOT_FINITE"


class Overflowing:
    """A model whose answer is no number for any image."""

    def predict(self, x: np.ndarray) -> Output:
        return {"probability": np.full((len(x), 2), np.nan)}

    def save(self, folder: Path) -> None:
        """It has no files."""


def test_an_answer_that_is_no_number_is_none() -> None:
    """It would reach no threshold and end a worklist."""
    (found,) = Bundle(manifest(), Overflowing(), "").predict([np.random.default_rng(0).random((32, 32))])
    assert (found.state, found.code, found.answer) == (State.QUARANTINED, "MODEL_NOT_FINITE", {})


def test_a_masked_array_has_invalid_pixels(bundle: Bundle) -> None:
    array = np.random.default_rng(1).random((32, 32))
    array[:8] = np.nan
    (answer,) = bundle.predict([np.ma.masked_invalid(array)])
    cut = Image(np.nan_to_num(array).astype(np.float32), np.isfinite(array))
    assert answer == bundle.predict([cut])[0]
    assert answer.state is State.SCORED
    constant = np.ma.masked_less(np.where(array > 0.5, 5.0, 1.0), 3)
    assert bundle.predict([constant])[0].code == "PIXELS_CONSTANT"


def test_a_neighbour_in_the_batch_changes_nothing(bundle: Bundle) -> None:
    alone = bundle.predict([MR])[0]
    assert bundle.predict([b"broken", MR, FILES / "MR_small_RLE.dcm"])[1] == alone


# --- scope: units ---------------------------------------------------------------------------------------------------------------


def in_scope(model_folder: Path, tmp_path: Path, units: tuple[str, ...], data: bytes) -> str:
    """The code that a bundle of these units gives an image, "" where it scores it."""
    uri = str(tmp_path / f"scope{'-'.join(units).replace('/', '')}")
    write_bundle(manifest(modalities=[], units=units), {"model": model_folder}, uri)
    (answer,) = open_bundle(uri).predict([data])
    assert (answer.state is State.SCORED) == (answer.code == "")
    return answer.code


@pytest.mark.parametrize(
    ("units", "data", "code"),
    [
        (("HU",), ct(), ""),
        (("HU",), ct(RescaleType="MGML"), "MODEL_SCOPE"),
        (("MGML",), ct(), "MODEL_SCOPE"),
        (("HU", "MGML"), ct(RescaleType="MGML"), ""),
        (("BQML",), pet(), ""),
        (("BQML",), pet(Units="CNTS"), "MODEL_SCOPE"),
        (("HU",), MR.read_bytes(), "MODEL_SCOPE"),
        (("",), MR.read_bytes(), ""),
        (("",), ct(), "MODEL_SCOPE"),
        ((), ct(RescaleType="MGML"), ""),
    ],
)
def test_a_bundle_refuses_other_units(model_folder: Path, tmp_path: Path, units: tuple[str, ...], data: bytes, code: str) -> None:
    assert in_scope(model_folder, tmp_path, units, data) == code


def test_a_bundle_that_brings_its_units_scores_all_that_it_can_bring_there(model_folder: Path, tmp_path: Path) -> None:
    steps = [{"op": "suv"}, {"op": "window", "centre": 3, "width": 6}, {"op": "resize", "rows": 32, "columns": 32}]
    spec = InputSpec(preprocess=PreprocessSpec.model_validate({"steps": steps}), features=INPUT.features)
    write_bundle(manifest(modalities=["PT"], input=spec), {"model": model_folder}, str(tmp_path / "suv"))
    opened = open_bundle(str(tmp_path / "suv"))
    factor = decode(pet()).suv
    assert factor is not None
    assert factor.factor is not None
    already = pet(Units="GML", RescaleSlope=f"{2.5 * factor.factor:.10g}")
    activity, uptake, without, counts = opened.predict([pet(), already, pet(PatientWeight=None), pet(Units="CPS")])
    assert activity.state is uptake.state is State.SCORED
    assert activity.probability == uptake.probability
    assert {without.code, counts.code} == {"SUV_UNKNOWN"}


def test_arrays_are_taken_to_be_in_the_units_of_the_bundle(model_folder: Path, tmp_path: Path) -> None:
    write_bundle(manifest(units=["HU"]), {"model": model_folder}, str(tmp_path / "hu"))
    assert open_bundle(str(tmp_path / "hu")).predict([decode(MR).pixels])[0].state is State.SCORED


def test_a_bundle_of_before_there_were_units_scores_as_it_did(uri: str, bundle: Bundle) -> None:
    path = Path(uri) / "bundle.json"
    raw = json.loads(path.read_text())
    del raw["units"], raw["input"]["allow_constant"]
    path.write_text(json.dumps({**raw, "digest": digest_of(raw)}))
    assert open_bundle(uri).predict([MR]) == bundle.predict([MR])


# --- images that show nothing ---------------------------------------------------------------------------------------------------

FLAT = np.full((32, 32), 7.0)
PLAIN = Image(np.full((40, 40), 3, np.float32))
PADDED = Image(np.arange(64, dtype=np.float32).reshape(8, 8), np.zeros((8, 8), np.bool_))
SPOT = np.pad(np.arange(36.0).reshape(6, 6), ((0, 26), (0, 26)))


def flat_dicom(photometric: str = "MONOCHROME2") -> bytes:
    """The MR test file with one value or one colour."""
    found = pydicom.dcmread(MR)
    size = found.Rows * found.Columns
    if photometric == "RGB":
        found.PhotometricInterpretation, found.SamplesPerPixel, found.PlanarConfiguration = "RGB", 3, 0
        found.BitsAllocated, found.BitsStored, found.HighBit, found.PixelRepresentation = 8, 8, 7, 0
        found.PixelData = bytes([13, 57, 201]) * size
        found["PixelData"].VR = "OB"
    else:
        found.PhotometricInterpretation, found.PixelData = photometric, bytes([17, 1]) * size
    stream = io.BytesIO()
    found.save_as(stream)
    return stream.getvalue()


@pytest.mark.parametrize(
    "item", [FLAT, FLAT[:1, :1], PLAIN, PADDED, flat_dicom(), flat_dicom("MONOCHROME1"), flat_dicom("RGB")], ids=range(7)
)
def test_an_image_of_one_value_is_excluded(bundle: Bundle, item: Any) -> None:
    (answer,) = bundle.predict([item])
    assert (answer.state, answer.code, answer.probability) == (State.EXCLUDED, "PIXELS_CONSTANT", None)


@pytest.mark.parametrize(
    "steps",
    [
        [{"op": "centre_crop", "rows": 8, "columns": 8}],
        [{"op": "window", "centre": 5000, "width": 10}],
        [{"op": "box_crop", "top": 20, "rows": 8, "columns": 8}, {"op": "minmax"}, {"op": "pad", "rows": 32, "columns": 32}],
    ],
)
def test_so_is_one_of_which_preprocessing_leaves_one_value(steps: list[dict[str, Any]]) -> None:
    spec = InputSpec(preprocess=PreprocessSpec.model_validate({"steps": steps}))
    for image in (Image(SPOT.astype(np.float32)), Image(SPOT.astype(np.float32), np.ones(SPOT.shape, np.bool_))):
        with pytest.raises(Excluded) as caught:
            spec.apply(image)
        assert caught.value.code == "PIXELS_CONSTANT"
        assert "preprocessing" in caught.value.message


def test_a_spec_may_allow_them(model_folder: Path, tmp_path: Path) -> None:
    allowing = manifest(input=INPUT.model_copy(update={"allow_constant": True}))
    write_bundle(allowing, {"model": model_folder}, str(tmp_path / "allows"))
    answers = open_bundle(str(tmp_path / "allows")).predict([FLAT, flat_dicom()])
    assert {answer.state for answer in answers} == {State.SCORED}


@settings(deadline=None, max_examples=50)
@given(size=st.integers(2, 40000), at=st.integers(0, 39999), padding=st.booleans())
def test_one_pixel_that_differs_is_enough(size: int, at: int, padding: bool) -> None:
    pixels, valid = np.zeros((1, size), np.float32), np.ones((1, size), np.bool_)
    pixels[0, at % size] = 1
    assert not is_constant(Image(pixels, valid if padding else None))
    valid[0, at % size] = False
    assert is_constant(Image(pixels, valid))
