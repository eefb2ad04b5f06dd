"""Fits on chunk files are those on arrays in memory, also where the store fails on the way or a file of the cache is harmed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from faulty_proxy import faulty
from sample_table import SampleTable, written

from medray.errors import StoreError
from medray.models.cnn.family import CNN
from medray.models.cnn.params import CnnParams
from medray.models.family import ArraySamples, FitData, LocalContext
from medray.models.xgb import XGB, XgbParams
from medray.tasks.binary import Binary
from medray.types import Int64
from medray.work.cache import CacheSpec
from medray.work.samples import ChunkedSamples, opened

TASK = Binary(target="malignant")
NETWORK = CnnParams(width=4, members=1, epochs=4, batch_size=64, group_size=8)
COUNT = 60
TRAIN, VALID = np.arange(40), np.arange(40, COUNT)


def discs() -> tuple[np.ndarray, Int64]:
    """Noise, every second image with a disc; a batch is larger than the 40 that are learnt from."""
    x = np.random.default_rng(5).uniform(0, 0.4, (COUNT, 32, 32)).astype(np.float32)
    rows, columns = np.mgrid[:32, :32]
    x[1::2] += np.float32(0.5) * ((rows - 20) ** 2 + (columns - 10) ** 2 < 36)
    return x, (np.arange(COUNT) % 2).astype(np.int64)


X, Y = discs()
IN_MEMORY = FitData(*(ArraySamples(X[side], Y[side], side) for side in (TRAIN, VALID)))


@contextmanager
def chunked(table: SampleTable, cache: CacheSpec) -> Iterator[FitData]:
    with opened(table.uri, table.rows, table.record, cache) as (chunks, places):
        yield FitData(*(ChunkedSamples(chunks, table.record, places.of(side), Y[side], side) for side in (TRAIN, VALID)))


def files(model: Any, folder: Path) -> dict[str, bytes]:
    folder.mkdir()
    model.save(folder)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def expected(tmp_path: Path) -> dict[str, bytes]:
    return files(CNN.fit(IN_MEMORY, TASK, NETWORK, LocalContext()), tmp_path / "expected")


def test_a_fit_on_files_is_that_in_memory(expected: dict[str, bytes], tmp_path: Path) -> None:
    table = written(str(tmp_path / "table"), X, 7)
    with chunked(table, CacheSpec()) as data:
        assert files(CNN.fit(data, TASK, NETWORK, LocalContext()), tmp_path / "found") == expected


def test_a_store_that_dies_in_mid_epoch_ends_the_fit_which_goes_on_to_the_same_weights(
    expected: dict[str, bytes], s3_server: str, s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = written(f"{s3}/table", X, 7)
    with faulty(s3_server) as proxy, chunked(table, CacheSpec(folder=str(tmp_path / "cache"), max_gib=0)) as data:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        monkeypatch.setenv("MEDRAY_STORE_RETRY_S", "1")
        monkeypatch.setenv("MEDRAY_STORE_TIMEOUT_S", "0.5")

        def break_off(step: int, metrics: Mapping[str, float]) -> None:
            if step == 2:
                proxy.always("reset")

        (tmp_path / "checkpoints").mkdir()
        with pytest.raises(StoreError, match="STORE_"):
            CNN.fit(data, TASK, NETWORK, LocalContext(folder=tmp_path / "checkpoints", on_report=break_off))
        proxy.calm()
        steps: list[int] = []
        context = LocalContext(folder=tmp_path / "checkpoints", on_report=lambda step, metrics: steps.append(step))
        assert files(CNN.fit(data, TASK, NETWORK, context), tmp_path / "found") == expected
        assert steps == [3, 4]


@pytest.mark.parametrize("harm", ["cut", "changed"])
def test_a_file_of_the_cache_that_is_harmed_in_mid_epoch_changes_no_weight(
    harm: str, expected: dict[str, bytes], s3: str, tmp_path: Path
) -> None:
    table, cache = written(f"{s3}/table", X, 7), CacheSpec(folder=str(tmp_path / "cache"), max_gib=1)

    def break_files(step: int, metrics: Mapping[str, float]) -> None:
        for path in cache.root.glob("*/*.samples"):
            data = path.read_bytes()
            path.write_bytes(data[: len(data) // 3] if harm == "cut" else bytes(len(data)))

    with chunked(table, cache) as data:
        model = CNN.fit(data, TASK, NETWORK, LocalContext(on_report=break_files))
    assert files(model, tmp_path / "found") == expected


def table_of(rows: int, columns: int, target: Callable[[np.ndarray], np.ndarray], seed: int) -> ArraySamples:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, columns)).astype(np.float32)
    x[rng.random(x.shape) < 0.02] = np.nan
    return ArraySamples(x, target(np.nan_to_num(x)), np.arange(rows))


@pytest.mark.parametrize("valid_rows", [1_000, 70_000])
@pytest.mark.parametrize("balance", [False, True])
def test_trees_on_a_table_from_disk_are_those_in_memory(balance: bool, valid_rows: int) -> None:
    """140,000 rows are three blocks; weights of three classes go with them."""

    def three(x: np.ndarray) -> np.ndarray:
        return (x[:, 0] > 0).astype(np.int64) + (x[:, 1] + x[:, 2] ** 2 > 1.5)

    from medray.tasks.multiclass import Multiclass

    task = Multiclass(target="finding", classes=["a", "b", "c"])
    data = FitData(table_of(140_000, 6, three, 0), table_of(valid_rows, 6, three, 1))
    params = XgbParams(rounds=12, report_every=5, balance=balance)
    reports: list[list[Mapping[str, float]]] = [[], []]
    for found, gib in zip(reports, (1.0, 0.001), strict=True):
        context = LocalContext(on_report=lambda step, metrics, found=found: found.append(metrics))
        model = XGB.fit(data, task, params.model_copy(update={"max_table_gib": gib}), context)
        found.append({"probability": float(model.predict(data.valid.x)["probability"][:, 1].sum())})
    assert reports[0] == reports[1]
