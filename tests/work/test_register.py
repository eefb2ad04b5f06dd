"""Shards that a power loss cut, runs that register at once: the table has each input once, and what is in it is whole."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest
from prepared import prepared

from medray.bundles.input_spec import InputSpec
from medray.data import store, tables
from medray.errors import StoreError
from medray.imaging.preprocess import PreprocessSpec
from medray.runs.score import object_rows
from medray.work.job import ImageJob
from medray.work.local import on_this_machine
from medray.work.prepare import PrepareJob
from medray.work.process import process
from medray.work.register import mark_gone
from medray.work.shard_file import listed
from medray.work.table import outcomes

STEPS = {"steps": [{"op": "percentile"}, {"op": "resize", "rows": 12, "columns": 10}]}
JOB = PrepareJob(InputSpec(preprocess=PreprocessSpec.model_validate(STEPS), stored="uint8"))


@pytest.fixture(params=["local", "s3"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "root") if request.param == "local" else str(request.getfixturevalue("s3"))


@pytest.fixture
def images(archive: Path, tmp_path: Path) -> Path:
    """Ten images of this test's own."""
    folder = tmp_path / "images"
    folder.mkdir()
    for path in sorted((archive / "images").rglob("*.dcm"))[:10]:
        shutil.copy2(path, folder / path.name)
    return folder


def rows_of(images: Path) -> pa.Table:
    return object_rows(store.list_objects(str(images)))


def stopped(shards: Mapping[str, pa.Table], job: ImageJob, table_uri: str) -> Iterator[int]:
    """All shards are written, and then the machine stops: nothing is registered."""
    yield from on_this_machine()(shards, job, table_uri)
    raise KeyboardInterrupt


def left_unregistered(rows: pa.Table, table_uri: str) -> list[str]:
    """Names of the files of a run that ended before its commit."""
    with pytest.raises(KeyboardInterrupt):
        process(rows, JOB, table_uri, stopped)
    assert not tables.files(tables.open_table(table_uri))
    return [name for name in store.names(table_uri) if name.startswith("part-")]


def once(rows: pa.Table, table_uri: str) -> None:
    """The table has one row for each input, and the samples are what images give."""
    found = tables.read_table(table_uri)
    assert sorted(found["uri"].to_pylist()) == sorted(rows["uri"].to_pylist())
    assert prepared(table_uri, rows, JOB).shape == (len(rows), 12, 10)


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def zeroed(data: bytes) -> bytes:
    """As a journal leaves a file whose size it knew before its content."""
    return bytes(len(data))


def flipped(data: bytes) -> bytes:
    return data[:40] + bytes([data[40] ^ 1]) + data[41:]


@pytest.mark.parametrize("harm", [cut, zeroed, flipped, lambda data: b""])
@pytest.mark.parametrize("kind", [".parquet", ".samples"])
def test_what_a_power_loss_spoilt_before_it_was_registered_is_computed_again(
    images: Path, root: str, harm: object, kind: str
) -> None:
    rows, table = rows_of(images), f"{root}/table"
    names = left_unregistered(rows, table)
    spoilt = next(name for name in names if name.endswith(kind))
    whole = store.read(f"{table}/{spoilt}")
    store.write(f"{table}/{spoilt}", harm(whole))  # type: ignore[operator]
    seen: list[int] = []
    process(rows, JOB, table, on_this_machine(), lambda done, total: seen.append(done))
    assert seen[0] == len(rows) - 1, "the others were computed again, or this one was not"
    once(rows, table)
    assert store.read(f"{table}/{spoilt}") == whole


def test_a_shard_that_is_cut_while_the_run_is_at_work_is_not_registered(images: Path, tmp_path: Path) -> None:
    rows, table = rows_of(images), str(tmp_path / "table")

    def losing(shards: Mapping[str, pa.Table], job: ImageJob, table_uri: str) -> Iterator[int]:
        yield from on_this_machine()(shards, job, table_uri)
        path = sorted(Path(table_uri).glob("part-*.parquet"))[0]
        path.write_bytes(cut(path.read_bytes()))

    with pytest.raises(StoreError, match=r"SHARDS_MISSING: 1 of 10 shards"):
        process(rows, JOB, table, losing)
    process(rows, JOB, table, on_this_machine())
    once(rows, table)


@pytest.mark.parametrize("kind", [".parquet", ".samples"])
def test_a_finished_shard_that_is_removed_while_a_run_counts_on_it_is_not_registered(
    images: Path, tmp_path: Path, kind: str
) -> None:
    rows, table = rows_of(images), str(tmp_path / "table")
    first, second = sorted(name for name in left_unregistered(rows, table) if name.endswith(kind))[:2]
    (tmp_path / "table" / first).unlink()  # there is something to do

    def losing(shards: Mapping[str, pa.Table], job: ImageJob, table_uri: str) -> Iterator[int]:
        (tmp_path / "table" / second).unlink()
        yield from on_this_machine()(shards, job, table_uri)

    with pytest.raises(StoreError, match="SHARDS_MISSING: 1 files of earlier starts were removed"):
        process(rows, JOB, table, losing)
    process(rows, JOB, table, on_this_machine())
    once(rows, table)


def test_what_is_gone_is_recorded_in_files_like_all_others_by_many_at_once(images: Path, root: str) -> None:
    """Named by size and checksum, and on the disk before they count: not as the table's own writer would make them."""
    rows, table = rows_of(images), f"{root}/table"
    for path in sorted(images.iterdir())[:3]:
        path.unlink()
    process(rows, PairsJob(JOB.input), table, on_this_machine())
    assert outcomes(rows, table)["code"].to_pylist().count("STORE_NOT_FOUND") == 3
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: mark_gone(table, ["STORE_NOT_FOUND"]), range(4)))
    found = outcomes(rows, table)
    assert Counter(zip(found["state"].to_pylist(), found["code"].to_pylist(), strict=True)) == {
        ("FAILED", "OBJECT_GONE"): 3,
        ("SCORED", ""): 7,
    }
    assert {str(file["path"]) for file in tables.files(tables.open_table(table))} <= listed(table).keys()


def beside(rows: pa.Table, wait: bool = True) -> object:
    """How a run works while another one does all of its own work, and registers it."""

    def run(shards: Mapping[str, pa.Table], job: ImageJob, table_uri: str) -> Iterator[int]:
        if not wait:
            yield from on_this_machine()(shards, job, table_uri)
        process(rows, JOB, table_uri, on_this_machine())
        if wait:
            yield from on_this_machine()(shards, job, table_uri)

    return run


@pytest.mark.parametrize("wait", [True, False])
def test_two_runs_of_the_same_inputs_register_each_once(images: Path, root: str, wait: bool) -> None:
    rows, table = rows_of(images), f"{root}/table"
    process(rows, JOB, table, beside(rows, wait))  # type: ignore[arg-type]
    once(rows, table)


@pytest.mark.parametrize(("mine", "theirs"), [((0, 10), (3, 4)), ((0, 6), (4, 6)), ((2, 3), (0, 10))])
def test_two_runs_that_share_some_inputs_register_each_once(
    images: Path, tmp_path: Path, mine: tuple[int, int], theirs: tuple[int, int]
) -> None:
    """Their blocks differ, so shards are of other inputs."""
    rows, table = rows_of(images), str(tmp_path / "table")
    process(rows.slice(*mine), JOB, table, beside(rows.slice(*theirs)))  # type: ignore[arg-type]
    process(rows, JOB, table, on_this_machine())
    once(rows, table)


def test_blocks_that_another_run_has_in_part_are_cut_to_the_rest(archive: Path, tmp_path: Path) -> None:
    """Of 120 images, a block has two."""
    rows, table = object_rows(store.list_objects(str(archive / "images"))), str(tmp_path / "table")
    others = rows.take(pa.array(range(0, len(rows), 3), pa.int64()))
    job = PairsJob(JOB.input)
    process(rows, job, table, lambda shards, own, uri: _others_first(shards, own, uri, others))
    once(rows, table)


class PairsJob(PrepareJob):
    """Of several inputs a block."""

    block_rows = 4  # type: ignore[misc]


def _others_first(shards: Mapping[str, pa.Table], job: ImageJob, uri: str, others: pa.Table) -> Iterator[int]:
    assert max(map(len, shards.values())) > 1
    process(others, job, uri, on_this_machine())
    yield from on_this_machine()(shards, job, uri)


def test_an_outcome_takes_the_place_of_a_failed_one_in_the_same_commit(images: Path, root: str) -> None:
    rows, table = rows_of(images), f"{root}/table"
    first = sorted(images.iterdir())[0]
    away = first.with_suffix(".away")
    first.rename(away)
    process(rows, PairsJob(JOB.input), table, on_this_machine())
    assert outcomes(rows, table)["state"].to_pylist().count("FAILED") == 1
    away.rename(first)

    def watching(shards: Mapping[str, pa.Table], job: ImageJob, table_uri: str) -> Iterator[int]:
        assert len(outcomes(rows, table_uri)) == len(rows), "others find an outcome of each input at any time"
        yield from on_this_machine()(shards, job, table_uri)

    version = tables.open_table(table).version()
    process(rows, PairsJob(JOB.input), table, watching)
    assert tables.open_table(table).version() == version + 1
    once(rows, table)


def test_of_two_runs_one_sees_an_object_and_the_other_does_not(images: Path, tmp_path: Path) -> None:
    """Whoever registers first: what was read counts, what failed does not take its place."""
    rows, table = rows_of(images), str(tmp_path / "table")
    first = sorted(images.iterdir())[0]

    def failing(shards: Mapping[str, pa.Table], job: ImageJob, table_uri: str) -> Iterator[int]:
        away = first.with_suffix(".away")
        first.rename(away)
        yield from on_this_machine()(shards, job, table_uri)
        away.rename(first)
        process(rows, JOB, table_uri, on_this_machine())

    process(rows, JOB, table, failing)
    once(rows, table)
    assert outcomes(rows, table)["state"].to_pylist() == ["SCORED"] * 10
