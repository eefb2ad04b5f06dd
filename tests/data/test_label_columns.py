"""What is kept of a label table: the key, what tasks need, what was asked for, and identifiers as pseudonyms alone."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from medray.data.label_columns import kept_labels
from medray.data.labels import folder_of, read_labels
from medray.data.pseudonym import patient_key
from medray.errors import LabelError

HEADING = "Path,SOPInstanceUID,PatientID,PatientName,birth date,y,Split,fold,mask,note"
ROW = "a/doe.dcm,1.2,P7,DOE^JANE,19700102,1,val,0,m.png,hi"
ALWAYS = {"sop_uid": "1.2", "patient_key": patient_key("P7"), "split": "val", "fold": "0", "mask": "m.png", "label_row": 1}

IDENTIFIERS = (
    *("PatientName", "patient_name", "Name", "Patient's Name", "surname", "first name", "PatientBirthDate", "birthdate", "DOB"),
    *("date of birth", "MRN", "mrn", "Medical Record Number", "AccessionNumber", "accession", "SSN", "e-mail", "Phone"),
    *("PatientAddress", "OtherPatientIDs", "insurance_no", "Nachname", "Geburtsdatum", "ID", "patient number"),
    *("patient_mrn", "hospital MRN", "mrn_number", "pat_name", "patient_dob", "patient SSN", "patient initials", "Patienten-ID"),
)


@pytest.fixture
def labels(tmp_path: Path) -> pa.Table:
    (tmp_path / "labels.csv").write_text(f"{HEADING}\n{ROW}\n")
    return read_labels(str(tmp_path / "labels.csv"))


def test_what_is_not_asked_for_is_left_out_and_named(labels: pa.Table, tmp_path: Path) -> None:
    kept = kept_labels(labels)
    assert kept.table.to_pylist() == [ALWAYS]
    assert folder_of(kept.table) == str(tmp_path), "masks are found beside their table"
    assert kept.said == (
        "labels: kept sop_uid, patient_key, split, fold, mask; left out uri, PatientName, birth date, y, note: "
        "--keep COLUMN keeps one, as those that are learnt from"
    )


def test_what_is_asked_for_is_kept(labels: pa.Table) -> None:
    kept = kept_labels(labels, ["y", "note", "PatientID", "Split", "SOPInstanceUID", "y"])
    assert kept.table.to_pylist() == [{**ALWAYS, "y": "1", "note": "hi"}]
    with pytest.raises(LabelError, match="LABELS_NO_COLUMN: the labels have no column 'grade' to keep"):
        kept_labels(labels, ["grade"])


def test_an_identifier_that_is_asked_for_is_a_pseudonym(labels: pa.Table) -> None:
    kept = kept_labels(labels, ["PatientName", "birth date", "y"])
    (row,) = kept.table.to_pylist()
    assert row == {**ALWAYS, "y": "1", "PatientName": patient_key("DOE^JANE"), "birth date": patient_key("19700102")}
    assert "PatientName (as pseudonyms), birth date (as pseudonyms), y" in kept.said


@pytest.mark.parametrize("name", IDENTIFIERS)
def test_names_of_identifiers(name: str) -> None:
    kept = kept_labels(pa.table({"sop_uid": ["1"], name: ["raw"]}), [name])
    assert kept.table[name].to_pylist() == [patient_key("raw")]


LABELS = (
    *("finding", "malignant", "birth weight", "patient_nodule", "area_px", "scanner", "site", "age", "grade", "idc", "lobe"),
    *("class_n", "series name"),
)


@pytest.mark.parametrize("name", LABELS)
def test_names_of_labels(name: str) -> None:
    kept = kept_labels(pa.table({"sop_uid": ["1"], name: ["raw"]}), [name])
    assert kept.table[name].to_pylist() == ["raw"]


def test_names_of_persons_as_dicom_writes_them_are_pseudonyms_under_any_heading() -> None:
    kept = kept_labels(pa.table({"sop_uid": ["1", "2"], "reader": ["ROE^RICHARD", ""]}), ["reader"])
    assert kept.table["reader"].to_pylist() == [patient_key("ROE^RICHARD"), ""]


@pytest.mark.parametrize(("column", "code"), [("split", "LABELS_BAD_SPLIT"), ("fold", "LABELS_BAD_FOLD")])
def test_a_column_is_not_kept_for_its_name_alone(column: str, code: str) -> None:
    with pytest.raises(LabelError, match=code):
        kept_labels(pa.table({"sop_uid": ["1"], column: ["DOE^JANE"]}))


def test_a_column_that_numbers_rows_is_medrays_own() -> None:
    with pytest.raises(LabelError, match="LABELS_COLUMN_TWICE"):
        kept_labels(pa.table({"sop_uid": ["1"], "label_row": ["7"]}))
