"""Keyed tables: ranges are read and replaced, each change is one version, of two writers one is refused."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medray.data import sorted_table, store, tables
from medray.data.sorted_table import SortedTable
from medray.errors import StoreError

SCHEMA = pa.schema([("uri", pa.string()), ("key", pa.string()), ("value", pa.int64()), ("number", pa.float64())])


@pytest.fixture(params=["local", "s3"])
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    root = str(tmp_path) if request.param == "local" else str(request.getfixturevalue("s3"))
    return f"{root}/table"


def opened(uri: str) -> SortedTable:
    return SortedTable(uri, SCHEMA, key="key", then="uri")


def rows(keys: str, value: int = 0) -> pa.Table:
    items = [{"uri": f"{key}/{member}", "key": key, "value": value, "number": None} for key in keys for member in (1, 2)]
    return pa.Table.from_pylist(items, schema=SCHEMA)


def content(found: pa.Table) -> dict[str, int]:
    values = {item["uri"]: item["value"] for item in found.to_pylist()}
    assert len(values) == len(found)
    return values


def test_ranges_are_read_and_replaced(uri: str) -> None:
    table = opened(uri)
    assert len(table.between("", "z")) == 0
    table.replace(rows("acx", 1), set())
    table.replace(rows("b", 1), set())
    assert set(content(table.between("b", "x"))) == {"b/1", "b/2", "c/1", "c/2"}
    assert table.between("b", "x", ["uri", "key"]).column_names == ["uri", "key"]
    before = tables.open_table(uri).version()
    table.replace(rows("cd", 2), {"c", "a"})
    assert tables.open_table(uri).version() == before + 1
    expected = {"b/1": 1, "b/2": 1, "c/1": 2, "c/2": 2, "d/1": 2, "d/2": 2, "x/1": 1, "x/2": 1}
    assert content(table.between("", "z")) == content(opened(uri).between("", "z")) == content(tables.read_table(uri)) == expected
    assert content(tables.read_table(uri, before)) == {f"{key}/{member}": 1 for key in "abcx" for member in (1, 2)}


def test_a_file_changes_only_where_something_in_it_does(uri: str) -> None:
    table = opened(uri)
    table.replace(rows("ab"), set())
    table.replace(rows("yz"), set())
    version, files = tables.open_table(uri).version(), set(store.names(uri))
    table.rewrite(lambda found: None)
    assert tables.open_table(uri).version() == version
    table.rewrite(lambda found: rows("yz", 5) if "z" in found["key"].to_pylist() else None)
    assert content(table.between("", "zz")) == content(rows("ab")) | content(rows("yz", 5))
    assert len(set(store.names(uri)) - files) == 1


def test_of_two_writers_one_is_refused(uri: str) -> None:
    opened(uri).replace(rows("a"), set())
    first, second = opened(uri), opened(uri)
    first.replace(rows("b"), set())
    with pytest.raises(StoreError) as caught:
        second.replace(rows("b"), set())
    assert (caught.value.code, caught.value.retryable) == ("TABLE_BUSY", True)
    assert content(opened(uri).between("", "z")) == content(rows("ab"))


def test_of_two_first_writers_one_is_refused(uri: str) -> None:
    first, second = opened(uri), opened(uri)
    first.replace(rows("a"), set())
    with pytest.raises(StoreError) as caught:
        second.replace(rows("a"), set())
    assert caught.value.code == "TABLE_BUSY"
    assert content(opened(uri).between("", "z")) == content(rows("a"))


def test_filters_of_other_readers_find_what_is_there(tmp_path: Path) -> None:
    table = opened(str(tmp_path / "table"))
    table.replace(rows("ab", 3), set())
    found = tables.dataset(str(tmp_path / "table"))
    field = pa.dataset.field
    assert found.count_rows(filter=field("value") == 3) == 4
    assert found.count_rows(filter=field("value") == 4) == 0
    assert found.count_rows(filter=field("number").is_null()) == 4
    assert found.count_rows(filter=field("number") > 0) == 0


def test_many_small_changes_do_not_leave_many_files(tmp_path: Path) -> None:
    uri = str(tmp_path / "table")
    table = opened(uri)
    for number in range(60):
        table.replace(rows("m", number), {"m"} if number % 2 else set())
        table.replace(rows("az", number), set())
    assert len(tables.files(tables.open_table(uri))) <= 2 * sorted_table.MAX_FILES_OVER_A_KEY
    assert sum(item["value"] for item in table.between("a", "b").to_pylist()) == 2 * sum(range(60))


def test_a_table_of_another_form_is_refused(tmp_path: Path) -> None:
    tables.append(str(tmp_path / "table"), pa.table({"uri": ["a"], "key": ["a"]}))
    with pytest.raises(StoreError) as caught:
        opened(str(tmp_path / "table"))
    assert caught.value.code == "TABLE_FORMAT"


keys = st.text("abc/%é\U0001f600", min_size=1, max_size=3)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.lists(keys, min_size=1, max_size=6, unique=True), keys, keys), min_size=1, max_size=6))
def test_it_is_a_dictionary_in_key_order(changes: list[tuple[list[str], str, str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        table, expected = opened(f"{folder}/table"), {}
        for value, (replaced, start, end) in enumerate(changes):
            new = [{"uri": key, "key": key, "value": value, "number": 0.5} for key in replaced]
            table.replace(pa.Table.from_pylist(new, schema=SCHEMA), set(replaced))
            expected |= dict.fromkeys(replaced, value)
            assert content(table.between(start, end)) == {key: n for key, n in expected.items() if start <= key < end}
        assert content(opened(f"{folder}/table").between("", "\U0010ffff")) == expected
