"""A small sweep with real trials."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from medray.errors import ConfigError
from medray.runs.train_config import TrainConfig
from medray.runs.tune import tune


@pytest.fixture
def config(trained: Any, tmp_path: Path) -> TrainConfig:
    """The configuration of the trained run with a sweep of two trials, sharing its cache."""
    manifest = trained.bundles["xgb"].manifest
    output = str(Path(trained.run_uri).parents[1])
    return TrainConfig.model_validate(
        {
            "name": "tiny",
            "output": output,
            "catalog": manifest.provenance["catalog"],
            "labels": {"target": "malignant"},
            "inputs": {"table": manifest.input.model_dump()},
            "models": {"xgb": {"family": "xgb", "input": "table", "params": {"rounds": 10}}},
            "tune": {"samples": 2, "concurrent": 2},
        }
    )


def test_a_sweep_ranks_its_trials_and_writes_the_best(config: TrainConfig, ray_session: None) -> None:
    found = tune(config, ["xgb"])
    trials = found["xgb"]
    assert len(trials) == 2
    assert trials[0].value >= trials[1].value > 0.4
    assert trials[0].params != trials[1].params
    (written,) = Path(config.output).glob("tune/*/best.yaml")
    best = yaml.safe_load(written.read_text())["models"]["xgb"]["params"]
    assert best == {"rounds": 10, **trials[0].params} or best.items() >= trials[0].params.items()


def test_other_settings_make_another_sweep(config: TrainConfig, ray_session: None) -> None:
    once = tune(config, ["xgb"])["xgb"]
    assert [trial.params for trial in tune(config, ["xgb"])["xgb"]] == [trial.params for trial in once]
    more = config.model_copy(update={"tune": config.tune.model_copy(update={"samples": 3})})
    assert len(tune(more, ["xgb"])["xgb"]) == 3


def test_an_unknown_model_is_refused(config: TrainConfig) -> None:
    with pytest.raises(ConfigError) as caught:
        tune(config, ["forest"])
    assert caught.value.code == "MODEL_UNKNOWN"
