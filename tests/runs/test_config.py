"""Configuration files: YAML and overrides become frozen models, mistakes become one clear line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from medray.configuration import apply_override, load_config
from medray.data import store
from medray.errors import ConfigError
from medray.runs.screen import ScreenConfig
from medray.runs.train_config import TrainConfig
from medray.tasks.binary import Binary

TRAIN = """
output: out
catalog: cat
labels: {target: malignant}
inputs:
  table: {preprocess: {steps: [{op: percentile}]}, features: {}}
  image: {preprocess: {steps: [{op: percentile}, {op: resize, rows: 32, columns: 48}]}}
models:
  xgb: {family: xgb, input: table, params: {rounds: 30}}
  cnn: {family: cnn, input: image}
"""


@pytest.fixture
def path(tmp_path: Path) -> str:
    (tmp_path / "train.yaml").write_text(TRAIN)
    return str(tmp_path / "train.yaml")


def problem(path: str, *overrides: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(path, TrainConfig, overrides)
    assert "\n" not in str(caught.value)
    assert "pydantic" not in str(caught.value)
    return str(caught.value)


def test_a_file_becomes_a_configuration(path: str) -> None:
    config = load_config(path, TrainConfig)
    assert config.models["xgb"].params == {"rounds": 30}
    assert config.inputs["image"].preprocess.output_shape == (32, 48)
    assert config.task == Binary(target="malignant", positive="1")


def test_a_file_is_read_from_any_store(path: str, s3: str) -> None:
    store.write(f"{s3}/train.yaml", TRAIN.encode())
    assert load_config(f"{s3}/train.yaml", TrainConfig) == load_config(path, TrainConfig)


def test_overrides_reach_mappings_lists_and_what_was_not_there(path: str) -> None:
    sets = [
        "seed=7",
        "models.xgb.params.max_depth=5",
        "inputs.image.preprocess.steps.1.rows=40",
        "labels.split.train=0.5",
        "name=a",
    ]
    config = load_config(path, TrainConfig, sets)
    assert (config.seed, config.name, config.labels.split.train) == (7, "a", 0.5)
    assert config.models["xgb"].params == {"rounds": 30, "max_depth": 5}
    assert config.inputs["image"].preprocess.output_shape == (40, 48)


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("seed", "not of the form a.b=value"),
        ("=1", "not of the form a.b=value"),
        ("a..b=1", "not of the form a.b=value"),
        ("name.first=1", "name"),
        ("inputs.image.preprocess.steps.5.rows=1", "not an index of a list of 2"),
        ("inputs.image.preprocess.steps.².rows=1", "not an index of a list of 2"),
        ("seed=[1", "not valid YAML"),
    ],
)
def test_overrides_that_cannot_be_applied(path: str, override: str, says: str) -> None:
    sets = ["name=x"] if override.startswith("name.") else []
    text = problem(path, *sets, override)
    assert text.startswith("CONFIG_OVERRIDE")
    assert says in text


def test_an_override_does_not_go_through_a_value() -> None:
    raw: dict[str, Any] = {"a": {"b": 1}}
    with pytest.raises(ConfigError, match="b is a value"):
        apply_override(raw, "a.b.c=1")
    apply_override(raw, "a.c={d: 1}")
    assert raw == {"a": {"b": 1, "c": {"d": 1}}}


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("sede=1", "unknown setting sede, did you mean seed?"),
        ("labels.targe=1", "unknown setting labels.targe, did you mean target?"),
        ("cluster.adress=auto", "did you mean address?"),
        ("models.xgb.famly=xgb", "unknown setting models.xgb.famly, did you mean family?"),
        ("models.xgb.params.max_dept=3", "models.xgb: unknown setting params.max_dept, did you mean max_depth?"),
        ("inputs.image.preprocess.steps.1.row=3", "did you mean rows?"),
        ("models.xgb.params.max_depth=99", "models.xgb: params.max_depth: 99 is not from 1 to 16"),
        ("seed=-1", "seed: -1 is not from 0 to 2147483647"),
        (
            "models.xgb.family=xgboost",
            "there is no model family 'xgboost'; use one of xgb, svm, forest, logistic, ",
        ),
        ("models.xgb.input=tabel", "models.xgb.input is 'tabel', but inputs has table, image"),
        ("models.xgb.input=image", "models.xgb (xgb) takes a table, inputs.image gives a image"),
        ("inputs.image.preprocess.steps.1.op=resiz", "preprocess.steps.1.op: there is no op 'resiz', did you mean resize?"),
        ("inputs.image.preprocess.steps.1.op=qqq", "there is no op 'qqq'; use one of anisotropic_diffusion, bias_field, "),
        ("inputs.image.preprocess.steps.1={rows: 3}", "preprocess.steps.1.op is missing"),
        ("inputs.image.preprocess.steps.0.low=120", "inputs.image.preprocess.steps.0.percentile.low: 120 is not from 0 to 100"),
        ("inputs.image.preprocess.steps.0.low=.nan", "percentile.low: nan is not a finite number"),
        ("inputs.image.preprocess.steps.0.low=x", "percentile.low: 'x' is not a number from 0 to 100"),
        ("inputs.image.preprocess.steps.0.step=1", "unknown setting inputs.image.preprocess.steps.0.percentile.step; there is"),
        ("inputs.image.preprocess.steps.1.rows=0.5", "steps.1.resize.rows: 0.5 is not a whole number from 1 to 16384"),
        ("inputs.image.preprocess.steps.1.keep_aspect=maybe", "keep_aspect: 'maybe' is neither true nor false"),
        ("inputs.image.preprocess.steps.1={op: median, kernel: 7}", "median.kernel: 7 is not one of 3, 5"),
        (
            "inputs.image.preprocess.steps.1={op: text_mask, fill: paint}",
            "'paint' is not one of mask, inpaint, did you mean inpaint?",
        ),
        ("inputs.image.preprocess.steps.1={op: clahe, clip_limit: 0}", "clahe.clip_limit: 0 is not above 0 and at most 255"),
        (
            "inputs.image.preprocess.steps.1={op: fill, spacing_mm: [0, 1]}",
            "fill.spacing_mm.0: 0 is not above 0 and at most 1000",
        ),
        ("inputs.image.preprocess.steps.1={op: box_crop, rows: 9, columns: 9, slices: 0}", "slices: 0 is not from 1 to 16384"),
        ("inputs.image.preprocess.steps.1={op: resample}", "resample: give row_mm, column_mm or slice_mm"),
        ("inputs.table.preprocess.steps=[]", "intensity takes an image in [0, 1]: put window, percentile or minmax before it"),
        ("inputs.image.preprocess.steps=[]", "inputs.image must end in a fixed size"),
        ("name='a/b'", "name: String should match pattern"),
        ("models={}", "models: 0 given, at least 1 needed"),
        ("models={../x: {family: xgb, input: table}}", "models.../x: a name has letters, digits, _ and -"),
        ("labels={positive: 1}", "labels.target is missing"),
        ("labels.positive=yes", "task.binary.positive: true is not text: put it in quotes"),
        ("task={kind: binary, target: malignant}", "labels.target: the task says what is learnt: set task.target"),
        ("labels.split.val=0.9", "train + val must not be more than 1"),
        ("inputs.table=3", "inputs.table: 3 is not a mapping"),
        ("inputs.table.features.families=[]", "inputs.table: features.families is empty: name some, or remove features"),
        ("threshold=0.5", "threshold: 0.5 is not a mapping"),
    ],
)
def test_a_wrong_setting_is_named_in_one_line(path: str, override: str, says: str) -> None:
    text = problem(path, override)
    assert text.startswith("CONFIG_INVALID")
    assert says in text


def test_the_short_form_of_a_task_becomes_the_long_one(path: str) -> None:
    """A positive of 0 as well, which is a value like any other."""
    config = load_config(path, TrainConfig, ["labels.positive=0", "labels.split.seed=3"])
    assert config.task == Binary(target="malignant", positive="0")
    assert TrainConfig.model_validate(config.model_dump()) == config


def test_a_threshold_where_none_is_taken_is_refused(path: str) -> None:
    said = problem(path, "labels={}", "task={kind: regression, target: area}", "threshold={kind: youden}")
    assert ": threshold: the task regression takes none; remove it" in said
    assert "the file" not in said


def test_a_missing_setting_is_named(tmp_path: Path) -> None:
    (tmp_path / "screen.yaml").write_text("output: out\n")
    with pytest.raises(ConfigError, match="source is missing"):
        load_config(str(tmp_path / "screen.yaml"), ScreenConfig)


@pytest.mark.parametrize("text", ["a: [1", "just text", "- a\n- b", "", "a: !!python/object/apply:os.getcwd []"])
def test_files_that_hold_no_mapping(tmp_path: Path, text: str) -> None:
    (tmp_path / "bad.yaml").write_text(text)
    assert problem(str(tmp_path / "bad.yaml")).startswith("CONFIG_UNREADABLE")


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_bytes(b"\xff\xfe\x00\x80")
    assert problem(str(tmp_path / "bad.yaml")).startswith("CONFIG_UNREADABLE")


@pytest.mark.parametrize("rows", [20, 8])
def test_images_of_a_size_that_a_network_cannot_halve(rows: int) -> None:
    steps = [{"op": "percentile"}, {"op": "resize", "rows": rows, "columns": 64}]
    raw = {
        "output": "o",
        "catalog": "c",
        "task": {"kind": "segmentation"},
        "inputs": {"image": {"preprocess": {"steps": steps}}},
        "models": {"unet": {"family": "unet", "input": "image"}},
    }
    with pytest.raises(ValidationError, match=f"gives {rows} x 64 pixels, models.unet takes multiples of 8 from 16 on"):
        TrainConfig.model_validate(raw)
