"""Outcomes of a run in which instances are there twice (case 75): one of them counts, or none."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from medray.data import tables
from medray.distributed.dataset import outcomes
from medray.distributed.outcome import OUTCOME, OUTCOME_COLUMNS
from medray.lifecycle.score import with_decision
from medray.lifecycle.summary import summarise

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
        found = with_decision(outcomes(rows, uri, [*OUTCOME_COLUMNS, "probability"]), 0.5)
        assert sum(summarise(found, len(rows)).counts().values()) == 2 * len(rows)
        return {item["uri"]: (item["state"], item["code"], item["positive"]) for item in found.to_pylist()}

    found = seen("abcdefg")
    assert list(found) == list("abcdefg")
    assert {name for name, (state, _, _) in found.items() if state == "SCORED"} == {"a", "c"}
    assert found["b"] == ("EXCLUDED", "DUPLICATE_INSTANCE", None)
    assert found["d"] == found["e"] == ("QUARANTINED", "DICOM_UID_CONFLICT", None)
    assert seen("bce")["b"] == seen("bce")["e"] == ("SCORED", "", True), "another run, in which they are alone"
