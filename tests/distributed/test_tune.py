"""A small sweep with real trials."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from medray.distributed.contexts import TrialContext
from medray.errors import ConfigError
from medray.models.cnn.family import CNN
from medray.models.cnn.params import CnnParams
from medray.models.family import ArraySamples, FitData
from medray.runs.train_config import TrainConfig
from medray.runs.tune import tune
from medray.tasks.binary import Binary


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


def test_a_trial_goes_on_from_its_checkpoint(tmp_path: Path, ray_session: None) -> None:
    from ray import tune as ray_tune

    failed = tmp_path / "failed"

    def trial(sample: dict[str, Any]) -> None:
        class Failing(TrialContext):
            def report(self, step: int, metrics: Any, save: Any = None) -> None:
                super().report(step, metrics, save)
                if step == 2 and not failed.exists():
                    failed.touch()
                    raise RuntimeError("once")

        rng = np.random.default_rng(0)
        samples = ArraySamples(rng.random((16, 32, 32), dtype=np.float32), np.arange(16) % 2, np.arange(16))
        CNN.fit(FitData(samples, samples), Binary(target="y"), CnnParams(width=4, members=1, epochs=4), Failing())

    again = ray_tune.FailureConfig(max_failures=1)
    run = ray_tune.RunConfig(storage_path=str(tmp_path / "runs"), failure_config=again, verbose=0)
    (result,) = ray_tune.Tuner(trial, param_space={"x": 1}, run_config=run).fit()
    assert failed.exists()
    assert result.metrics_dataframe is not None
    assert result.metrics_dataframe["step"].tolist() == [1, 2, 3, 4]
