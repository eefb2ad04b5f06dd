"""The catalog: one row per object, states that follow from the error, and labels beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import medray
from medray.data.catalog import IMAGE, SCHEMA, Catalog, Entry, open_catalog, rows_of, terminal_state
from medray.data.pseudonym import Key
from medray.data.store import ObjectInfo
from medray.errors import ConfigError, Excluded, MedrayError, Quarantined, StoreError
from medray.types import Header, State

HEADER = Header(
    sop_uid="1.2", series_uid="1.3", study_uid="1.4", patient_key="p", modality="US", rows=4, columns=5, spacing_mm=(0.1, 0.2)
)

KEY = Key(b"the key of this test")


def row(outcome: Header | MedrayError) -> dict[str, Any]:
    return dict(rows_of([Entry(info("x"), outcome)]).to_pylist()[0])


def info(name: str, etag: str = "e") -> ObjectInfo:
    return ObjectInfo(f"s3://bucket/{name}", 10, etag)


def record(catalog: Catalog, *entries: Entry) -> None:
    catalog.table(KEY).replace(rows_of(entries), {entry.info.uri for entry in entries})


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (Excluded("A", "m"), State.EXCLUDED),
        (Quarantined("A", "m"), State.QUARANTINED),
        (StoreError("A", "m"), State.FAILED),
        (ConfigError("A", "m"), State.FAILED),
    ],
)
def test_the_state_follows_from_the_error(error: MedrayError, state: State) -> None:
    assert terminal_state(error) == state
    found = row(error)
    assert (found["state"], found["code"], found["message"]) == (state, "A", "m")


def test_a_row_keeps_the_header_and_nothing_else() -> None:
    found = row(HEADER)
    assert set(found) == set(SCHEMA.names)
    assert (found["state"], found["sop_uid"], found["spacing_mm"]) == (IMAGE, "1.2", [0.1, 0.2])
    assert not {name for name in SCHEMA.names if "name" in name or "birth" in name or name == "patient_id"}


def test_rows_are_replaced_by_uri_and_versions_stay(tmp_path: Path) -> None:
    catalog = Catalog(str(tmp_path / "catalog"))
    assert not catalog.exists()
    record(catalog, Entry(info("b"), HEADER), Entry(info("a"), Quarantined("BAD", "m")))
    first = catalog.version()
    record(catalog, Entry(info("a", "new"), HEADER), Entry(info("c"), StoreError("GONE", "m")))
    assert [(item["uri"][-1], item["state"]) for item in catalog.to_arrow().to_pylist()] == [
        ("a", IMAGE),
        ("b", IMAGE),
        ("c", State.FAILED),
    ]
    assert [item["state"] for item in catalog.to_arrow(first).to_pylist()] == [State.QUARANTINED, IMAGE]
    assert catalog.images()["uri"].to_pylist() == ["s3://bucket/a", "s3://bucket/b"]


def test_labels_are_kept_and_replaced(tmp_path: Path) -> None:
    catalog = Catalog(str(tmp_path))
    with pytest.raises(StoreError) as caught:
        catalog.labels()
    assert caught.value.code == "LABELS_NOT_FOUND"
    catalog.set_labels(pa.table({"sop_uid": ["1"], "y": ["0"]}))
    catalog.set_labels(pa.table({"uri": ["x"], "z": ["1"]}))
    assert catalog.labels().to_pylist() == [{"uri": "x", "z": "1"}]


def test_a_catalog_that_is_not_there(tmp_path: Path) -> None:
    for call in (open_catalog, medray.open_catalog, lambda uri: Catalog(uri).to_arrow()):
        with pytest.raises(StoreError) as caught:
            call(str(tmp_path / "none"))
        assert caught.value.code == "CATALOG_NOT_FOUND"
