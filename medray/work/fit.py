"""One fit, wherever it runs: its samples from the chunk files of prepared inputs, and the fitted model back to the store.

Networks draw batches from the whole training split, whatever the number of workers. Of other families each worker reads its own
rows, ``rank::world_size`` of the sorted split, so that shards do not depend on timing (Ray Data's streaming split does).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import Field

from medray.data import store, temporary
from medray.data.folds import FOLD
from medray.models.family import FitContext, FitData, Model
from medray.models.table import family_of
from medray.spec import Spec
from medray.tasks.table import AnyTask
from medray.types import Int64
from medray.work.cache import CacheSpec
from medray.work.context import OnStep, StoreContext
from medray.work.record import Record
from medray.work.samples import ChunkedSamples, opened

MODEL_DONE = "complete"
_MAX_THREADS = 8


@dataclass(frozen=True)
class FitJob:
    """One fit, as plain values.

    Attributes:
        model: name of the model in the run.
        family, params, task: what to fit.
        samples_uri: Parquet file with columns uri, etag, target, group, split; fold where folds are given; mask and mask_etag
            where masks are learnt.
        values_uri: table of prepared inputs (see :class:`medray.work.prepare.PrepareJob`).
        record: how one of them lies in bytes.
        columns: feature names, empty for images.
        fit_uri: where checkpoints and the fitted model go.
        cache: where nodes keep the inputs.
    """

    model: str
    family: str
    params: dict[str, Any]
    task: AnyTask
    samples_uri: str
    values_uri: str
    record: Record
    columns: tuple[str, ...]
    fit_uri: str
    seed: int
    cache: CacheSpec = field(default_factory=CacheSpec)

    @property
    def model_uri(self) -> str:
        """Where the fitted model lies."""
        return store.join(self.fit_uri, "model")

    def finished(self) -> bool:
        """Whether the fitted model is there and whole."""
        return store.exists(store.join(self.fit_uri, MODEL_DONE))


class Scaling(Spec):
    """How a fit is spread."""

    workers: int = Field(0, ge=0, description="0: one process; 1 or more: workers of a Ray Train run")
    threads: int | None = Field(None, ge=1, description="threads of each worker; default: all CPUs for a network on one, else 1")
    gpu: bool | None = Field(None, description="one GPU for each worker of a network; default: where there is one")

    def spreads(self, job: FitJob) -> bool:
        """Whether the fit is a run of Ray Train."""
        return self.workers > 0 and family_of(job.family).parallelism != "single"

    def threads_of(self, job: FitJob, cpus: int) -> int:
        """Threads of each worker on a machine or cluster of so many CPUs."""
        network = family_of(job.family).parallelism == "torch"
        return self.threads or (min(cpus, _MAX_THREADS) if network and self.workers == 0 else 1)

    def wants_gpu(self, job: FitJob, gpus: int) -> bool:
        """Whether each worker takes a GPU."""
        return family_of(job.family).parallelism == "torch" and (gpus > 0 if self.gpu is None else self.gpu)


@contextmanager
def fit_data(job: FitJob, rank: int = 0, world_size: int = 1) -> Iterator[FitData]:
    """What this worker learns from: the training split, of it a shard unless a network learns; and the whole validation split."""
    samples = pq.read_table(pa.BufferReader(store.read(job.samples_uri))).sort_by("uri")
    groups = samples["group"].dictionary_encode().combine_chunks().indices
    samples = samples.set_column(samples.column_names.index("group"), "group", groups.cast(pa.int64()))
    samples = samples.filter(pc.is_in(samples["split"], pa.array(["train", "val"])))
    is_train = np.asarray(pc.equal(samples["split"], "train"))
    train, valid = np.flatnonzero(is_train), np.flatnonzero(~is_train)
    train = train[job.task.learnt_from(samples.take(train)["target"])]
    if family_of(job.family).parallelism != "torch":
        train = train[rank::world_size]
    with opened(job.values_uri, samples, job.record, job.cache) as (chunks, places):

        def side(at: Int64) -> ChunkedSamples:
            rows = samples.take(at)
            y = None if job.record.masked else job.task.truth(rows["target"])
            groups = rows["group"].to_numpy()
            folds = rows[FOLD].to_numpy() if FOLD in rows.column_names and not rows[FOLD].null_count else None
            return ChunkedSamples(chunks, job.record, places.of(at), y, groups, job.columns, folds)

        yield FitData(side(train), side(valid))


def fitted(job: FitJob, context: FitContext) -> Model:
    """The model of a job."""
    family = family_of(job.family)
    with fit_data(job, context.rank, context.world_size) as data:
        return family.fit(data, job.task, family.params.model_validate(job.params), context)


def run_fit(job: FitJob, context: FitContext) -> None:
    """Fit and, on rank 0, store the model: the one call that every way of training ends in."""
    model = fitted(job, context)
    if context.rank == 0:
        with temporary.folder("model") as folder:
            model.save(folder)
            store.upload_folder(folder, job.model_uri)
        store.write(store.join(job.fit_uri, MODEL_DONE), b"")


def fit_with_checkpoints(job: FitJob, threads: int, device: str, on_step: OnStep | None = None) -> None:
    """Fit in this process; checkpoints are kept beside the model, and a second start goes on from the last one."""
    run_fit(job, StoreContext(store.join(job.fit_uri, "checkpoints"), threads, device, job.seed, job.model, on_step))
