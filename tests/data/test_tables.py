"""Delta tables on local paths and S3: atomic, versioned, safe to repeat."""

from __future__ import annotations

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pyarrow as pa
import pytest

from medray.data import store, tables
from medray.errors import StoreError


@pytest.fixture(params=["local", "s3"])
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    root = str(tmp_path) if request.param == "local" else str(request.getfixturevalue("s3"))
    return f"{root}/table"


def rows(**values: int) -> pa.Table:
    return pa.table({"key": list(values), "value": pa.array(values.values(), pa.int64())})


def content(uri: str, version: int | None = None) -> dict[str, int]:
    found = tables.read_table(uri, version).to_pylist()
    assert len({item["key"] for item in found}) == len(found)
    return {item["key"]: item["value"] for item in found}


def test_append_and_replace(uri: str) -> None:
    assert not tables.is_table(uri)
    tables.append(uri, rows(a=1, b=2))
    tables.append(uri, rows(c=4))
    assert content(uri) == {"a": 1, "b": 2, "c": 4}
    tables.replace(uri, rows(z=9))
    assert content(uri) == {"z": 9}
    assert content(uri, version=0) == {"a": 1, "b": 2}
    assert tables.read_table(uri, columns=["value"]).column_names == ["value"]


def test_a_replacement_may_have_other_columns(uri: str) -> None:
    tables.replace(uri, rows(a=1))
    tables.replace(uri, pa.table({"other": ["x"]}))
    assert tables.read_table(uri).to_pylist() == [{"other": "x"}]


def test_a_table_that_is_not_there(uri: str) -> None:
    with pytest.raises(StoreError) as caught:
        tables.read_table(uri)
    assert caught.value.code == "TABLE_NOT_FOUND"


def test_a_table_is_made_once_whoever_is_faster(uri: str) -> None:
    """Or the marks of its columns, such as which key made them, were those of the last, and not of who wrote the rows."""

    def make(place: str, mark: str, together: Barrier) -> None:
        together.wait()
        tables.create(place, pa.schema([pa.field("key", pa.string(), metadata={"mark": mark})]))

    for number in range(10):
        place, together = f"{uri}-{number}", Barrier(4)
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(make, [place] * 4, "abcd", [together] * 4))
        assert tables.open_table(place).version() == 0


def test_concurrent_appends_lose_nothing(uri: str) -> None:
    tables.append(uri, rows(start=0))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: tables.append(uri, rows(**{f"k{n}": n})), range(8)))
    assert content(uri) == {"start": 0, **{f"k{n}": n for n in range(8)}}


def test_shards_are_registered_in_one_commit(uri: str) -> None:
    shards = []
    for number in range(3):
        data = tables.parquet_bytes(rows(**{f"k{number}": number}))
        store.write(f"{uri}/part-{number}.parquet", data)
        shards.append((f"part-{number}.parquet", len(data), tables.count_only(1)))
    tables.create(uri, rows(x=1).schema)
    tables.swap(tables.open_table(uri), shards, [])
    assert content(uri) == {"k0": 0, "k1": 1, "k2": 2}
    before = tables.open_table(uri).version()
    tables.append(uri, rows(more=7))
    assert tables.open_table(uri).version() == before + 1
    assert content(uri)["more"] == 7


def test_equal_rows_give_equal_parquet_bytes() -> None:
    assert tables.parquet_bytes(rows(a=1, b=2)) == tables.parquet_bytes(rows(a=1, b=2)) != tables.parquet_bytes(rows(a=1, b=3))


@pytest.mark.parametrize("name", ["100% a", "a b", "#1", "what?", "ü"])
def test_names_of_folders(tmp_path: Path, name: str) -> None:
    uri = str(tmp_path / name)
    tables.replace(uri, rows(a=1))
    tables.append(uri, rows(b=2))
    assert content(uri) == {"a": 1, "b": 2}
    data = tables.parquet_bytes(rows(c=3))
    store.write(f"{uri}/part-1.parquet", data)
    tables.swap(tables.open_table(uri), [("part-1.parquet", len(data), tables.count_only(1))], [])
    assert content(uri) == {"a": 1, "b": 2, "c": 3}
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_name_that_delta_rs_would_change_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as caught:
        tables.append(str(tmp_path / "per%41cent"), rows(a=1))
    assert caught.value.code == "STORE_NAME"
    assert not list(tmp_path.iterdir())


def test_the_digest_of_lists_tells_how_they_divide() -> None:
    one, other = ({"target": pa.array(lists, pa.list_(pa.float64()))} for lists in ([[1.0, 2.0], [3.0]], [[1.0], [2.0, 3.0]]))
    assert tables.table_digest(pa.table(one)) != tables.table_digest(pa.table(other))
    assert tables.table_digest(pa.table(one)) == tables.table_digest(pa.table({"target": pa.chunked_array([one["target"]])}))


CHANGES = """
import sys
import pyarrow as pa
from medray.data import store, tables
uri, rows = sys.argv[1], pa.table({"key": ["a", "b"]})
tables.replace(uri, rows)
table = tables.open_table(uri)
tables.append_next(table, rows.slice(0, 1))
tables.remove(uri, rows.slice(0, 1))
data = tables.parquet_bytes(rows)
store.write(f"{uri}/part-1.parquet", data)
tables.swap(tables.open_table(uri), [("part-1.parquet", len(data), tables.count_only(2))], [])
"""
"""Each way in which runs change a table."""


def traces() -> bool:
    """Whether system calls can be watched here."""
    try:
        return subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not traces(), reason="strace is not installed, or not allowed")
def test_what_a_commit_counts_is_on_the_disk_before_the_run_goes_on(tmp_path: Path) -> None:
    uri, calls = tmp_path / "a b%" / "table", tmp_path / "calls"
    watched = ["strace", "-f", "-y", "-s", "0", "-e", "trace=fsync", "-o", str(calls)]
    subprocess.run([*watched, sys.executable, "-c", CHANGES, str(uri)], check=True)
    synced = {Path(name) for name in re.findall(r"fsync\(\d+<(.*?)>", calls.read_text())}
    assert synced >= {uri, uri / "_delta_log", *(uri / "_delta_log" / f"{version:020}.json" for version in range(4))}
    parts = {uri / str(file["path"]) for version in range(4) for file in tables.files(tables.open_table(str(uri), version))}
    assert len(parts) >= 3
    assert parts <= synced
