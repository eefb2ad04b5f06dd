"""Labels: read, joined by the most specific key, and split by patient; every mistake has its code."""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from medray.data.catalog import Catalog
from medray.data.label_columns import kept_labels
from medray.data.labels import join_keys, join_labels, read_labels
from medray.data.pseudonym import patient_key
from medray.data.splits import SplitSpec, assign_splits
from medray.errors import LabelError
from medray.tasks.anomaly import Anomaly
from medray.tasks.binary import Binary
from medray.tasks.multiclass import Multiclass
from medray.tasks.multilabel import Multilabel


def labels_file(folder: Path, text: str, name: str = "labels.csv") -> str:
    (folder / name).write_text(text)
    return str(folder / name)


def instance(number: int, **other: str) -> dict[str, str]:
    """A catalog row: two instances a series, two series a study, a patient for each study."""
    keys = {"sop_uid": f"1.{number}", "series_uid": f"2.{number // 2}", "study_uid": f"3.{number // 4}"}
    return {"uri": f"s3://b/images/p{number // 4}/{number}.dcm", **keys, "patient_key": f"p{number // 4}", **other}


TASK = Binary(target="y")
INSTANCES = pa.Table.from_pylist([instance(number) for number in range(8)])


def code_of(error: pytest.ExceptionInfo[LabelError]) -> str:
    return error.value.code


# --- reading -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("heading", "column"),
    [
        ("SOPInstanceUID", "sop_uid"),
        ("SOP Instance UID", "sop_uid"),
        ("sop_uid", "sop_uid"),
        ("SeriesInstanceUID", "series_uid"),
        ("study_instance_uid", "study_uid"),
        ("path", "uri"),
        ("filename", "uri"),
        ("URI", "uri"),
    ],
)
def test_the_key_column_goes_by_many_names(tmp_path: Path, heading: str, column: str) -> None:
    found = read_labels(labels_file(tmp_path, f"{heading},malignant\n1.2.3,1\n"))
    assert found.to_pylist() == [{column: "1.2.3", "malignant": "1"}]


def test_uids_and_codes_stay_text(tmp_path: Path) -> None:
    found = read_labels(labels_file(tmp_path, "sop_uid,y,grade\n1.10,01,\n1.1,1,4a\n"))
    assert found.to_pylist() == [{"sop_uid": "1.10", "y": "01", "grade": ""}, {"sop_uid": "1.1", "y": "1", "grade": "4a"}]


def test_the_split_column_is_known_in_any_case(tmp_path: Path) -> None:
    assert read_labels(labels_file(tmp_path, "sop_uid,y,Split\n1,1,val\n")).to_pylist() == [
        {"sop_uid": "1", "y": "1", "split": "val"}
    ]


def test_parquet_reads_like_csv(tmp_path: Path) -> None:
    sink = io.BytesIO()
    pq.write_table(pa.table({"SOPInstanceUID": ["1", "2"], "y": [1, None], "PatientID": ["A", "B"]}), sink)
    (tmp_path / "labels.parquet").write_bytes(sink.getvalue())
    as_csv = read_labels(labels_file(tmp_path, "SOPInstanceUID,y,PatientID\n1,1,A\n2,,B\n"))
    assert read_labels(str(tmp_path / "labels.parquet")).to_pylist() == as_csv.to_pylist()


def test_patient_identifiers_become_pseudonyms(tmp_path: Path) -> None:
    (found,) = read_labels(labels_file(tmp_path, "sop_uid,y,PatientID\n1,1,MRN-4711\n")).to_pylist()
    assert found["patient_key"] == patient_key("MRN-4711")
    assert "MRN-4711" not in str(found)


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("labels.parquet", b"not parquet", "LABELS_UNREADABLE"),
        ("labels.csv", b"sop_uid,y\n1,2,3\n", "LABELS_UNREADABLE"),
        ("labels.csv", b"", "LABELS_UNREADABLE"),
        ("labels.csv", b"sop_uid,y,y\n1,2,3\n", "LABELS_COLUMN_TWICE"),
        ("labels.csv", b"id,y\n1,1\n", "LABELS_NO_KEY"),
    ],
)
def test_files_that_are_no_labels(tmp_path: Path, name: str, content: bytes, code: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(LabelError) as caught:
        read_labels(str(tmp_path / name))
    assert code_of(caught) == code


@pytest.mark.parametrize("content", ["DOE^JANE,1\nROE^RICHARD,0\n", "sop_uid,y\nDOE^JANE,1,2\n", "DOE^JANE,DOE^JANE\n"])
def test_errors_quote_no_row(tmp_path: Path, content: str) -> None:
    with pytest.raises(LabelError) as caught:
        read_labels(labels_file(tmp_path, content))
    assert "JANE" not in str(caught.value)


# --- joining -------------------------------------------------------------------------------------------------------------------


def joined(labels: dict[str, list[str]], positive: str = "1") -> dict[str, int]:
    task = Binary(target="y", positive=positive, negative=("benign",) if positive == "malignant" else ())
    rows = join_labels(INSTANCES, pa.table(labels), task)
    task.require(rows["target"])
    return {item["sop_uid"]: item["target"] for item in rows.to_pylist()}


def test_labels_join_by_instance_series_or_study() -> None:
    assert joined({"sop_uid": ["1.0", "1.5"], "y": ["1", "0"]}) == {"1.0": 1, "1.5": 0}
    assert joined({"series_uid": ["2.0", "2.3"], "y": ["1", "0"]}) == {"1.0": 1, "1.1": 1, "1.6": 0, "1.7": 0}
    assert joined({"study_uid": ["3.0", "3.1"], "y": ["0", "1"]}) == {f"1.{n}": int(n >= 4) for n in range(8)}


def test_the_most_specific_key_decides() -> None:
    assert joined({"study_uid": ["3.0", "3.0"], "sop_uid": ["1.0", "1.1"], "y": ["1", "0"]}) == {"1.0": 1, "1.1": 0}


@pytest.mark.parametrize(
    "paths", [["s3://b/images/p0/0.dcm", "s3://b/images/p1/4.dcm"], ["p0/0.dcm", "images/p1/4.dcm"], ["0.dcm", "4.dcm"]]
)
def test_paths_join_in_full_or_by_their_tail(paths: list[str]) -> None:
    assert joined({"uri": paths, "y": ["1", "0"]}) == {"1.0": 1, "1.4": 0}


def test_a_part_of_a_file_name_is_no_tail() -> None:
    with pytest.raises(LabelError) as caught:
        joined({"uri": [".dcm", "mages/p0/0.dcm"], "y": ["1", "0"]})
    assert code_of(caught) == "LABELS_NO_MATCH"


def test_an_empty_label_is_none_and_case_does_not_matter() -> None:
    labels = {"sop_uid": ["1.0", "1.1", "1.2"], "y": ["Malignant ", "", "benign"]}
    assert joined(labels, positive="malignant") == {"1.0": 1, "1.2": 0}


def test_a_label_of_blanks_is_empty_in_every_task() -> None:
    labels = pa.table({"sop_uid": ["1.0", "1.1", "1.2"], "y": ["normal", " ", "odd"]})
    any_other = {"positive": "odd", "others": "negative"}
    tasks = (
        Binary(target="y", **any_other),
        Multilabel(labels=("y",), **any_other),
        Multiclass(target="y", classes=("normal", "odd")),
        Anomaly(target="y", anomalous=("odd",)),
    )
    found = [join_labels(INSTANCES, labels, task) for task in tasks]
    assert [sorted(rows.filter(rows["target"].is_valid())["sop_uid"].to_pylist()) for rows in found] == [["1.0", "1.2"]] * 4


def test_a_row_without_a_key_labels_nothing() -> None:
    instances = pa.Table.from_pylist([instance(0), instance(4, study_uid="")])
    labels = pa.table({"study_uid": ["3.0", "", ""], "y": ["0", "1", "0"]})
    assert join_labels(instances, labels, TASK)["sop_uid"].to_pylist() == ["1.0"]


def test_the_patient_is_that_of_the_labels_then_of_the_catalog_then_the_study() -> None:
    instances = pa.Table.from_pylist([instance(0), instance(4), instance(6, patient_key="")])
    labels = pa.table({"sop_uid": ["1.0", "1.4", "1.6"], "y": ["1", "0", "0"], "patient_key": ["given", "", ""]})
    assert join_labels(instances, labels, TASK)["group"].to_pylist() == ["given", "p1", "3.1"]


def test_join_keys_counts_instances_with_a_label() -> None:
    assert join_keys(INSTANCES, pa.table({"study_uid": ["3.0"], "y": ["1"]})) == 4
    assert join_keys(INSTANCES, pa.table({"sop_uid": ["9.9"], "y": ["1"]})) == 0


@pytest.mark.parametrize(
    ("labels", "code"),
    [
        ({"sop_uid": ["1.0"], "other": ["1"]}, "LABELS_NO_TARGET"),
        ({"sop_uid": ["9.9", "8.8"], "y": ["1", "0"]}, "LABELS_NO_MATCH"),
        ({"sop_uid": ["1.0", "1.1"], "y": ["1", "1"]}, "LABELS_SINGLE_CLASS"),
        ({"sop_uid": ["1.0", "1.1"], "y": ["no", "yes"]}, "LABELS_UNKNOWN_CLASS"),
        ({"sop_uid": ["1.0", "1.0"], "y": ["1", "0"]}, "LABELS_CONFLICT"),
        ({"sop_uid": ["1.0", "1.0"], "y": ["1", "1"], "split": ["train", "test"]}, "LABELS_CONFLICT"),
        ({"sop_uid": ["1.0", "1.0"], "y": ["1", "1"], "patient_key": ["p", "q"]}, "LABELS_CONFLICT"),
        ({"sop_uid": ["1.0", "1.1"], "y": ["1", "0"], "split": ["train", "tset"]}, "LABELS_BAD_SPLIT"),
    ],
)
def test_labels_that_cannot_be_joined(labels: dict[str, list[str]], code: str) -> None:
    with pytest.raises(LabelError) as caught:
        joined(labels)
    assert code_of(caught) == code


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"y": ["1", "0", "0", "1"]}, "rows 1 and 3 (two labels)"),
        ({"y": ["1", "0", "NA", "0"]}, "rows 1 and 3 (two labels)"),
        ({"split": ["train", "val", "test", "val"]}, "rows 1 and 3 (two splits)"),
        ({"PatientID": ["Doe", "Roe", "Poe", "Roe"]}, "rows 1 and 3 (two patients)"),
        ({"fold": ["0", "1", "0", "2"]}, "rows 2 and 4 (two folds)"),
        ({"y": ["1", "0", "0", "1"], "PatientID": ["Doe", "Roe", "Poe", "Roe"]}, "rows 1 and 3 (two labels, two patients)"),
    ],
)
def test_rows_that_contradict_each_other_are_named_by_number_and_nothing_else(
    tmp_path: Path, columns: dict[str, list[str]], says: str
) -> None:
    given = {"sop_uid": ["1.0", "1.4", " 1.0", "1.4"], "y": ["1", "0", "True", "0.0"], **columns}
    rows = ["\n".join(",".join(row) for row in [list(given), *zip(*given.values(), strict=True)])]
    labels = read_labels(labels_file(tmp_path, "".join(rows)))
    with pytest.raises(LabelError) as caught:
        join_labels(INSTANCES, labels, TASK)
    assert code_of(caught) == "LABELS_CONFLICT"
    assert says in caught.value.message
    assert not any(patient_key(name) in str(caught.value) or name in str(caught.value) for name in ("Doe", "Roe", "Poe"))


def test_rows_keep_their_numbers_in_a_catalog(tmp_path: Path) -> None:
    rows = "\n".join(f"1.{number % 8},{number // 8},{number % 2}" for number in range(16))
    kept = kept_labels(read_labels(labels_file(tmp_path, f"sop_uid,y,other\n{rows}\n")), ["y"]).table
    catalog = Catalog(str(tmp_path / "catalog"))
    catalog.set_labels(kept.take(list(reversed(range(16)))))
    with pytest.raises(LabelError, match=r"rows of one sop_uid .*rows 16 and 8 \(two labels\).* and 3 more"):
        join_labels(INSTANCES, catalog.labels(), TASK)


def test_rows_that_name_one_image_by_different_tails_agree() -> None:
    rows = {"uri": ["s3://b/images/p0/0.dcm", "p1/4.dcm", "0.dcm"], "y": ["1", "0", "0"]}
    with pytest.raises(LabelError, match=r"LABELS_CONFLICT: .* rows 1 and 3 \(two labels\)"):
        join_labels(INSTANCES, pa.table(rows), TASK)
    assert joined({**rows, "y": ["1", "0", "1"]}) == {"1.0": 1, "1.4": 0}


def test_many_contradictions_are_cut() -> None:
    uids = [f"1.{number % 8}" for number in range(16)]
    with pytest.raises(LabelError) as caught:
        join_labels(INSTANCES, pa.table({"sop_uid": uids, "y": ["1"] * 8 + ["0"] * 8}), TASK)
    assert caught.value.message.count("rows ") == 6  # of five images, and of the key
    assert caught.value.message.endswith(" and 3 more")


def test_two_columns_for_one_thing_are_refused(tmp_path: Path) -> None:
    for heading in ("sop_uid,SOPInstanceUID,y", "sop_uid,PatientID,patient", "sop_uid,split,Split"):
        with pytest.raises(LabelError) as caught:
            read_labels(labels_file(tmp_path, f"{heading}\n1.0,1.0,1\n"))
        assert code_of(caught) == "LABELS_COLUMN_TWICE"


def test_a_patient_who_is_not_known_is_none(tmp_path: Path) -> None:
    text = "sop_uid,y,PatientID\n1.0,1,unknown\n1.4,0,nan\n1.5,0, MRN-1 \n"
    assert read_labels(labels_file(tmp_path, text))["patient_key"].to_pylist() == ["", "", patient_key("MRN-1")]


def test_the_same_label_twice_is_no_conflict() -> None:
    assert joined({"sop_uid": ["1.0", "1.0", "1.1"], "y": ["1", "1", "0"]}) == {"1.0": 1, "1.1": 0}


# --- splits --------------------------------------------------------------------------------------------------------------------


def rows(groups: list[str], y: list[int], split: list[str] | None = None) -> pa.Table:
    uids = [f"1.{number}" for number in range(len(y))]
    return pa.table({"uri": uids, "sop_uid": uids, "group": groups, "target": y, "split": split or [""] * len(y)})


def splits(table: pa.Table, **spec: Any) -> list[str]:
    divided = assign_splits(table, SplitSpec(**spec), TASK.strata(table["target"]))
    for split in ("train", "val"):
        TASK.require(divided.filter(pc.equal(divided["split"], split))["target"], split)
    found: list[str] = divided["split"].to_pylist()
    return found


PATIENTS = st.lists(st.tuples(st.integers(0, 40), st.booleans()), min_size=60, max_size=200)


@settings(max_examples=60, deadline=None)
@given(PATIENTS, st.integers(0, 1000))
def test_no_patient_is_on_two_sides_and_the_draw_is_seeded(images: list[tuple[int, bool]], seed: int) -> None:
    table = rows([f"p{patient}" for patient, _ in images], [int(positive) for _, positive in images])
    try:
        found = splits(table, seed=seed)
    except LabelError as error:
        if error.code != "LABELS_TOO_FEW":
            raise
        return
    side: dict[str, set[str]] = {}
    for group, split in zip(table["group"].to_pylist(), found, strict=True):
        side.setdefault(group, set()).add(split)
    assert all(len(one) == 1 for one in side.values())
    assert splits(table, seed=seed) == found
    shuffled = table.take(list(reversed(range(len(table)))))
    assert splits(shuffled, seed=seed) == found[::-1]


def test_the_draw_is_stratified_and_has_the_shares() -> None:
    groups = [f"p{number}" for number in range(400)]
    table = rows(groups, [int(number % 4 == 0) for number in range(400)])
    found = splits(table, train=0.7, val=0.15, seed=3)
    assert Counter(found) == {"train": 280, "val": 60, "test": 60}
    positives = Counter(split for split, y in zip(found, table["target"].to_pylist(), strict=True) if y)
    assert positives == {"train": 70, "val": 15, "test": 15}
    assert found != splits(table, train=0.7, val=0.15, seed=4)


def test_a_patient_keeps_the_side_when_images_are_added() -> None:
    groups, y = [f"p{number}" for number in range(40)], [number % 2 for number in range(40)]
    before = splits(rows(groups, y))
    assert splits(rows(groups * 2, y * 2)) == before * 2


def test_a_given_split_wins_and_goes_by_other_names() -> None:
    labels = {
        "sop_uid": ["1.0", "1.1", "1.4", "1.5"],
        "y": ["1", "0", "1", "0"],
        "split": ["Training", "train", "validation", "VAL "],
    }
    table = join_labels(INSTANCES, pa.table(labels), TASK)
    assert splits(table) == ["train", "train", "val", "val"]


@pytest.mark.parametrize(
    ("table", "code"),
    [
        (rows(["a", "b"], [0, 1], ["train", ""]), "LABELS_SPLIT_PARTIAL"),
        (rows(["a", "a", "b", "c"], [0, 1, 0, 1], ["train", "val", "train", "val"]), "LABELS_PATIENT_LEAK"),
        (rows(["a", "b", "c"], [0, 1, 0], ["train", "train", "val"]), "LABELS_TOO_FEW"),
        (rows(["a", "b", "c"], [0, 1, 0]), "LABELS_TOO_FEW"),
    ],
)
def test_splits_that_cannot_be_used(table: pa.Table, code: str) -> None:
    with pytest.raises(LabelError) as caught:
        splits(table)
    assert code_of(caught) == code


@pytest.mark.parametrize("spec", [{"train": 0.8, "val": 0.3}, {"train": 0}, {"val": 1}, {"seed": -1}])
def test_shares_out_of_range(spec: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SplitSpec(**spec)


PARTS = st.sampled_from(["a", "b", "c.dcm", ""])
PATHS = st.lists(PARTS, min_size=1, max_size=4).map("/".join)


@given(uris=st.lists(PATHS, min_size=1, max_size=12), keys=st.lists(PATHS, max_size=8, unique=True))
def test_a_path_matches_by_its_tail_and_only_one_row_may_name_it(uris: list[str], keys: list[str]) -> None:
    labels = pa.table({"uri": pa.array(["s3://never", *keys], pa.string()), "number": [str(row) for row in range(len(keys) + 1)]})
    images = pa.table({name: pa.array([*uris, "s3://never"], pa.string()) for name in ("uri", "patient_key", "study_uid")})

    def naming(uri: str) -> list[str]:
        parts = uri.split("/")
        tails = ("/".join(parts[start:]) for start in range(len(parts)))
        return [str(keys.index(tail) + 1) for tail in tails if tail and tail in keys]

    if any(len(naming(uri)) > 1 for uri in uris):
        with pytest.raises(LabelError, match="LABELS_CONFLICT"):
            join_labels(images, labels, Numbers())
        labels = labels.set_column(1, "number", [["same"] * len(labels)])
        joined = join_labels(images, labels, Numbers())
        assert set(joined["uri"].to_pylist()) == {"s3://never", *(uri for uri in uris if naming(uri))}
        return
    joined = join_labels(images, labels, Numbers())
    found = dict(zip(joined["uri"].to_pylist(), joined["target"].to_pylist(), strict=True))
    assert {uri: found.get(uri) for uri in uris} == {uri: next(iter(naming(uri)), None) for uri in uris}


class Numbers:
    """The text of the column ``number``."""

    label_columns = ("number",)
    labelled = True

    def targets(self, labels: Any) -> pa.Array:
        return labels["number"].combine_chunks()
