"""Several objects with one SOP Instance UID (case 75): scored once, or all quarantined."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from medray.data.duplicates import CONFLICT, DUPLICATE, settled

NAMES = ("content_sha256", "state", "code", "message")
ROW = st.tuples(st.sampled_from(["1.1", "1.2", "1.3"]), st.sampled_from(["x", "y", ""]))


def table(rows: list[tuple[str, str]]) -> pa.Table:
    items = [
        {"uri": f"u{number}", "sop_uid": uid, "content_sha256": content, "state": "IMAGE", "code": "", "message": ""}
        for number, (uid, content) in enumerate(rows)
    ]
    return pa.Table.from_pylist(items, schema=pa.schema([(name, pa.string()) for name in ("uri", "sop_uid", *NAMES)]))


def states(found: pa.Table) -> dict[str, tuple[str, str]]:
    return {item["uri"]: (item["state"], item["code"]) for item in found.to_pylist()}


def test_the_same_instance_counts_once_and_contradicting_ones_not_at_all() -> None:
    found = settled(table([("1.1", "x"), ("1.2", "x"), ("1.1", "x"), ("1.3", "x"), ("1.3", "y")]), "IMAGE")
    assert states(found) == {
        "u0": ("IMAGE", ""),
        "u1": ("IMAGE", ""),
        "u2": ("EXCLUDED", DUPLICATE),
        "u3": ("QUARANTINED", CONFLICT),
        "u4": ("QUARANTINED", CONFLICT),
    }


@given(st.lists(ROW, max_size=8), st.integers(0, 8))
def test_it_settles_at_once_and_anew(rows: list[tuple[str, str]], removed: int) -> None:
    found = settled(table(rows), "IMAGE")
    assert settled(found, "IMAGE").equals(found)
    left = [number for number in range(len(rows)) if number != removed]
    assert states(settled(found.take(pa.array(left, pa.int64())), "IMAGE")) == states(
        settled(table(rows).take(pa.array(left, pa.int64())), "IMAGE")
    )
    for uid in {uid for uid, _ in rows}:
        group = [item for item in found.to_pylist() if item["sop_uid"] == uid]
        usable = [item for item in group if item["state"] == "IMAGE"]
        contents = [item["content_sha256"] for item in group]
        agree = len(group) == 1 or (len(set(contents)) == 1 and "" not in contents)
        assert len(usable) == int(agree)


def test_contents_of_one_image_are_equal() -> None:
    rows = table([("1.1", "x"), ("1.1", "y"), ("1.2", "x"), ("1.2", "z"), ("1.3", "y"), ("1.3", "")])
    found = settled(rows, "IMAGE", {"x": "i", "y": "i", "z": "k"})
    assert [code for _, code in states(found).values()] == ["", DUPLICATE, CONFLICT, CONFLICT, CONFLICT, CONFLICT]
    assert settled(found, "IMAGE", {"x": "i", "y": "i", "z": "k"}).equals(found)
    assert [code for _, code in states(settled(found, "IMAGE")).values()][:2] == [CONFLICT, CONFLICT]
