"""Outcomes of a run in which instances are there twice (case 75): one of them counts, or none."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pyarrow as pa
from pydicom.data import get_testdata_file

from medray.data import tables
from medray.evaluation.thresholds import Threshold
from medray.runs.summary import summarise
from medray.tasks.binary import Binary
from medray.tasks.decision import Decision
from medray.work.outcome import OUTCOME, OUTCOME_COLUMNS
from medray.work.table import outcomes

AT_A_HALF = Decision(thresholds={"positive": Threshold(value=0.5, reason="a test")})
INSTANCES = {  # name: SOP Instance UID, content, state
    "a": ("1.1", "x", "SCORED"),
    "b": ("1.1", "x", "SCORED"),
    "c": ("1.2", "x", "SCORED"),
    "d": ("1.3", "x", "SCORED"),
    "e": ("1.3", "y", "SCORED"),
    "f": ("", "z", "QUARANTINED"),
    "g": ("", "z", "QUARANTINED"),
}


def test_an_instance_is_scored_once_and_contradicting_ones_not_at_all(tmp_path: Path) -> None:
    items = [
        dict.fromkeys(OUTCOME_COLUMNS, "")
        | {"uri": name, "etag": "1", "sop_uid": uid, "content_sha256": content, "state": state, "probability": 0.9}
        for name, (uid, content, state) in INSTANCES.items()
    ]
    schema = pa.schema([*OUTCOME, pa.field("probability", pa.float64())])
    uri = str(tmp_path / "table")
    tables.append(uri, pa.Table.from_pylist(items, schema=schema))

    def seen(names: str) -> dict[str, tuple[str, str, object]]:
        rows = pa.table({"uri": list(names), "etag": ["1"] * len(names)})
        found = Binary(target="y").decided(outcomes(rows, uri, [*OUTCOME_COLUMNS, "probability"]), AT_A_HALF)
        assert sum(summarise(found, len(rows)).counts().values()) == 2 * len(rows)
        return {item["uri"]: (item["state"], item["code"], item["positive"]) for item in found.to_pylist()}

    found = seen("abcdefg")
    assert list(found) == list("abcdefg")
    assert {name for name, (state, _, _) in found.items() if state == "SCORED"} == {"a", "c"}
    assert found["b"] == ("EXCLUDED", "DUPLICATE_INSTANCE", None)
    assert found["d"] == found["e"] == ("QUARANTINED", "DICOM_UID_CONFLICT", None)
    assert seen("bce")["b"] == seen("bce")["e"] == ("SCORED", "", True), "another run, in which they are alone"


def test_one_image_in_several_encodings_is_scored_once(tmp_path: Path) -> None:
    """Without a catalog, too: the objects in question are read again."""
    items = []
    for name in ("MR_small.dcm", "MR_small_RLE.dcm", "MR_small_jp2klossless.dcm", "CT_small.dcm"):
        path = Path(str(get_testdata_file(name, download=False)))
        known = {"uri": str(path), "sop_uid": name[:2], "content_sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        items.append(dict.fromkeys(OUTCOME_COLUMNS, "") | known | {"state": "SCORED"})
    uri = str(tmp_path / "table")
    tables.append(uri, pa.Table.from_pylist(items, schema=pa.schema(OUTCOME)))
    rows = pa.table({"uri": [item["uri"] for item in items], "etag": [""] * len(items)})
    found = {Path(item["uri"]).name: item["code"] for item in outcomes(rows, uri).to_pylist()}
    assert found == {
        "CT_small.dcm": "",
        "MR_small.dcm": "",
        "MR_small_RLE.dcm": "DUPLICATE_INSTANCE",
        "MR_small_jp2klossless.dcm": "DUPLICATE_INSTANCE",
    }


def test_stacks_of_one_instance_are_no_duplicates(tmp_path: Path) -> None:
    items = [
        dict.fromkeys(OUTCOME_COLUMNS, "") | {"uri": f"1.2#{stack}", "sop_uid": "1.3", "content_sha256": "x", "state": "SCORED"}
        for stack in range(2)
    ]
    uri = str(tmp_path / "table")
    tables.append(uri, pa.Table.from_pylist(items, schema=pa.schema(OUTCOME)))
    members = pa.array([[{"uri": "a", "etag": ""}]] * 2)
    rows = pa.table({"uri": [item["uri"] for item in items], "etag": ["", ""], "members": members})
    assert outcomes(rows, uri)["state"].to_pylist() == ["SCORED", "SCORED"]
