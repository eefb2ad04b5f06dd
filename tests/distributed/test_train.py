"""Training on several Ray Train workers, and errors that come back from workers as what they are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from medray.data import store
from medray.distributed.train import Scaling, fit_all
from medray.errors import MedrayError, ModelError
from medray.models.table import family_of
from medray.runs.fitting import table_uri
from medray.tasks.regression import Regression
from medray.types import Float32
from medray.work.fit import FitJob, fit_data
from medray.work.prepare import PrepareJob


@pytest.fixture
def job(trained: Any, tmp_path: Path) -> FitJob:
    """The XGBoost fit of the trained run, to be done again elsewhere."""
    manifest = trained.bundles["xgb"].manifest
    spec = manifest.input
    output = str(Path(trained.run_uri).parents[1])
    return FitJob(
        model="xgb",
        family="xgb",
        params={"rounds": 20, "report_every": 5},
        task=manifest.task,
        samples_uri=store.join(trained.run_uri, "samples.parquet"),
        values_uri=table_uri(output, spec, manifest.task),
        record=PrepareJob(spec).record,
        columns=spec.columns(),
        fit_uri=str(tmp_path / "fit"),
        seed=0,
    )


def tables(job: FitJob, rank: int = 0, world_size: int = 1) -> tuple[Float32, Float32]:
    """What a worker has of the training and the validation split."""
    with fit_data(job, rank, world_size) as data:
        return data.train.table(1 << 30, "").x, data.valid.table(1 << 30, "").x


def test_shards_are_disjoint_and_whole(job: FitJob) -> None:
    train, valid = tables(job)
    shards = [tables(job, rank, 3) for rank in range(3)]
    rows = np.concatenate([shard for shard, _ in shards])
    assert np.array_equal(np.sort(rows[:, 0]), np.sort(train[:, 0]))
    assert all(np.array_equal(own, valid, equal_nan=True) for _, own in shards)
    samples = pq.read_table(job.samples_uri)
    assert len(train) == samples["split"].to_pylist().count("train")


def test_two_workers_train_xgboost_with_checkpoints(job: FitJob, ray_session: None) -> None:
    steps: list[int] = []
    fit_all([(job, Scaling(workers=2))], lambda model, step, metrics: steps.append(step))
    model = family_of("xgb").load(Path(job.model_uri))
    _, valid = tables(job)
    assert model.predict(valid)["probability"].shape == (len(valid), 2)
    assert max(steps) == 20
    assert list(Path(job.fit_uri).glob("train/xgb/checkpoint_*"))


def test_more_workers_than_samples(job: FitJob, tmp_path: Path, ray_session: None) -> None:
    """The second of two workers has an empty shard; the one sample that the other has is learnt."""
    samples = pq.read_table(job.samples_uri)
    few = pa.concat_tables(
        [samples.filter(pc.equal(samples["split"], "train")).slice(0, 1), samples.filter(pc.equal(samples["split"], "val"))]
    )
    numbers = pa.array(np.full(len(few), 7.0))
    pq.write_table(few.set_column(few.column_names.index("target"), "target", numbers), tmp_path / "samples.parquet")
    task = Regression(target="area")
    few_job = replace(job, params={"rounds": 20, "report_every": 20}, task=task, samples_uri=str(tmp_path / "samples.parquet"))
    fit_all([(few_job, Scaling(workers=2))])
    model = family_of("xgb").load(Path(few_job.model_uri))
    _, valid = tables(few_job)
    np.testing.assert_allclose(model.predict(valid)["value"], 7.0, atol=0.5)


def test_an_error_in_a_worker_comes_back_typed(job: FitJob, tmp_path: Path, ray_session: None) -> None:
    samples = pq.read_table(job.samples_uri)
    one_class = samples.set_column(samples.column_names.index("target"), "target", pa.array([0] * len(samples), pa.int64()))
    pq.write_table(one_class, tmp_path / "samples.parquet")
    hopeless = replace(job, samples_uri=str(tmp_path / "samples.parquet"))
    with pytest.raises(ModelError) as caught:
        fit_all([(hopeless, Scaling())])
    assert caught.value.code == "MODEL_SINGLE_CLASS"
    assert not hopeless.finished()


def test_a_trainer_that_cannot_write_is_no_success(job: FitJob, tmp_path: Path, ray_session: None) -> None:
    """What is raised beside Ray's own errors, here of a file where a folder has to be."""
    (tmp_path / "fit").mkdir()
    (tmp_path / "fit" / "train").write_text("in the way")
    with pytest.raises((MedrayError, OSError)):
        fit_all([(job, Scaling(workers=2))])
    assert not job.finished()
