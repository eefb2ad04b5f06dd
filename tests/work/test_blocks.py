"""How inputs are shared out: whole, in bounds, the same for everybody, the large ones first and alone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from medray.bundles.input_spec import InputSpec
from medray.data import store
from medray.imaging.preprocess import PreprocessSpec
from medray.runs.score import object_rows
from medray.work import blocks
from medray.work.prepare import PrepareJob
from medray.work.shard import ShardWriter


def rows(sizes: list[int]) -> pa.Table:
    uris = [f"/a/{number:06d}" for number in range(len(sizes))]
    columns = {"uri": pa.array(uris, pa.string()), "etag": pa.array(["1"] * len(sizes), pa.string())}
    return pa.table({**columns, "size_bytes": pa.array(sizes, pa.int64())})


def parts(sizes: list[int]) -> list[list[int]]:
    return [block["size_bytes"].to_pylist() for block in blocks.shards(rows(sizes), 0).values()]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.just(-1), st.integers(0, 1 << 18), st.integers(1 << 25, 1 << 31)), max_size=400))
def test_every_input_is_in_one_block_of_bounded_size(sizes: list[int]) -> None:
    found = blocks.shards(rows(sizes), 3)
    together = pa.concat_tables([*found.values(), rows([])]).sort_by("uri")
    assert together.equals(rows(sizes))
    for block in found.values():
        known = [max(size, 0) for size in block["size_bytes"].to_pylist()]
        assert len(known) == 1 or (len(known) <= blocks.MAX_BLOCK_ROWS and sum(known) <= blocks.MAX_BLOCK_BYTES)
    assert len(found) >= min(len(sizes), blocks.MIN_BLOCKS)
    assert found.keys() == blocks.shards(rows(sizes), 3).keys()
    chunks = [chunk for block in found.values() for chunk in blocks.chunks(block.to_pylist())]
    assert sorted(row["uri"] for chunk in chunks for row in chunk) == rows(sizes)["uri"].to_pylist()
    for chunk in chunks:
        known = [max(row["size_bytes"], 0) for row in chunk]
        assert len(known) == 1 or (len(known) <= blocks.MAX_CHUNK_ROWS and sum(known) <= blocks.MAX_CHUNK_BYTES)


def test_large_objects_come_first_and_alone() -> None:
    sizes = [266_000] * 2000
    for large in (700, 1500):
        sizes[large] = 600_000_000
    found = parts(sizes)
    assert found[:2] == [[600_000_000]] * 2
    assert max(map(len, found)) <= 64
    assert len(found) <= 100, "the large ones do not break up the rest"


def test_many_small_objects_are_in_blocks_of_256_and_the_last_of_64() -> None:
    assert [len(part) for part in parts([100_000] * 51_200)] == [256] * 175 + [64] * 100


def test_a_block_is_bounded_where_samples_are_large() -> None:
    assert {len(block) for block in blocks.shards(rows([100_000] * 51_200), 0, most=100).values()} == {100, 25}


def test_names_follow_from_the_inputs_alone() -> None:
    first = blocks.shards(rows([1, 2, 3]), 0)
    assert set(first) == set(blocks.shards(rows([1, 2, 3]).drop_columns(["size_bytes"]), 0))
    assert not set(first) & set(blocks.shards(rows([1, 2, 3]), 1)), "a later run's shards have other names"


def test_calls_of_an_actor_at_a_time_write_what_they_write_one_by_one(archive: Path, tmp_path: Path) -> None:
    objects = object_rows(store.list_objects(str(archive / "images")))
    job = PrepareJob(
        InputSpec(
            preprocess=PreprocessSpec.model_validate(
                {"steps": [{"op": "percentile"}, {"op": "resize", "rows": 32, "columns": 32}]}
            )
        )
    )
    named = [
        block.append_column("shard", pa.array([name] * len(block), pa.string()))
        for name, block in blocks.shards(objects, 0).items()
    ]
    for folder, threads in (("one", 1), ("many", 4)):
        with ThreadPoolExecutor(threads) as pool:
            done = list(pool.map(ShardWriter(job, str(tmp_path / folder)), named))
        assert sum(table["done"][0].as_py() for table in done) == len(objects)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "many" / path.name).read_bytes()


def test_few_small_inputs_keep_one_process_busy() -> None:
    def rows(count: int, size_bytes: int) -> pa.Table:
        return pa.table({"uri": [str(number) for number in range(count)], "size_bytes": [size_bytes] * count})

    assert blocks.useful_processes([rows(10, 100_000)]) == 1
    assert blocks.useful_processes([rows(64, 5_000)]) == 1
    assert blocks.useful_processes([rows(33, 5_000), rows(33, 5_000)]) == 2
    assert blocks.useful_processes([rows(10, 100 << 20)]) == 126
    assert blocks.useful_processes([rows(640, 200_000)]) == 18
