"""Order belongs to the samples: any number of workers ends with the same weights, also where a fit goes on with another one."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fits import Breaking, Interrupted
from safetensors.torch import load_file
from torch import Tensor, distributed, multiprocessing

from medray.models.cnn.family import CNN
from medray.models.cnn.params import CnnParams
from medray.models.family import ArraySamples, FitData
from medray.models.unet.family import UNET
from medray.models.unet.params import UnetParams
from medray.tasks.binary import Binary
from medray.tasks.regression import Regression
from medray.tasks.segmentation import Segmentation

EPOCHS, CUT = 3, 1
CLASSES = CnnParams(width=4, members=2, epochs=EPOCHS, batch_size=16, group_size=4, dropout=0.2)
OUTLINES = UnetParams(channels=(4, 8), epochs=EPOCHS, batch_size=10, group_size=3)
CASES: dict[str, tuple[Any, Any, Any]] = {
    "classes": (CNN, Binary(target="malignant"), CLASSES),
    "number": (CNN, Regression(target="area_mm2"), CLASSES.model_copy(update={"group_size": 8})),  # 2 groups, for 3 workers
    "outlines": (UNET, Segmentation(target="mask"), OUTLINES),
}


def discs(case: str, count: int, seed: int) -> ArraySamples:
    """Noise with discs; what is learnt of them depends on the case."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(0, 0.4, (count, 32, 32)).astype(np.float32)
    rows, columns = np.mgrid[:32, :32]
    disc = (rows - 20) ** 2 + (columns - 10) ** 2 < 36
    shown = np.arange(count) % 2 == 1
    x[shown] += np.float32(0.5) * disc
    y = {"classes": shown.astype(np.int64), "number": 10.0 + shown, "outlines": (shown[:, None, None] & disc)[:, None]}[case]
    return ArraySamples(x, y, np.arange(count, dtype=np.int64))


def work(rank: int, world: int, meeting: Path, folder: Path, stop_at: int) -> None:
    """One worker, which fits every case; rank 0 keeps the checkpoints and the models."""
    torch.set_num_threads(1)
    if world > 1:
        distributed.init_process_group("gloo", init_method=meeting.as_uri(), rank=rank, world_size=world)
    for case, (family, task, params) in CASES.items():
        place = folder / case
        context = Worker(folder=place / "checkpoints", rank=rank, world_size=world, at=stop_at)
        try:
            fitted = family.fit(FitData(discs(case, 41, 1), discs(case, 10, 2)), task, params, context)
        except Interrupted:
            continue
        if rank == 0:
            (place / "model").mkdir()
            fitted.save(place / "model")
    if world > 1:
        distributed.destroy_process_group()


class Worker(Breaking):
    """Of several, the first keeps the checkpoints."""

    def report(self, step: int, metrics: Mapping[str, float], save: Callable[[Path], None] | None = None) -> None:
        super().report(step, metrics, save if self.rank == 0 else None)


def fit(folder: Path, workers: int, stop_at: int = 0) -> Path:
    """Fit, or go on with fits, on some workers."""
    for case in CASES:
        (folder / case).mkdir(parents=True, exist_ok=True)
    meeting = folder / "meeting"  # a file: of a port that was free a moment ago another may have taken hold
    meeting.unlink(missing_ok=True)
    if workers == 1:
        work(0, 1, meeting, folder, stop_at)
    else:
        multiprocessing.spawn(work, args=(workers, meeting, folder, stop_at), nprocs=workers)
    return folder


def weights(folder: Path, case: str) -> dict[str, Tensor]:
    (file,) = (folder / case / "model").glob("*.safetensors")
    return load_file(file)


def assert_equal(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fits by two workers."""
    return fit(tmp_path_factory.mktemp("pair"), 2)


@pytest.mark.parametrize("workers", [1, 3])
def test_any_number_of_workers_ends_with_the_same_weights(workers: int, pair: Path, tmp_path: Path) -> None:
    others = fit(tmp_path, workers)
    for case in CASES:
        assert_equal(weights(others, case), weights(pair, case))


def test_fits_go_on_with_the_same_or_another_number_of_workers(pair: Path, tmp_path: Path) -> None:
    cut = fit(tmp_path / "cut", 2, stop_at=CUT)
    resumed = [fit(shutil.copytree(cut, tmp_path / str(workers)), workers) for workers in (1, 2, 3)]
    for case in CASES:
        whole = weights(pair, case)
        for found in resumed:
            assert_equal(weights(found, case), whole)
