"""Hostile archives through the catalog, the worklist, the page and the terminal.

Duplicates (75), character sets (77), injection (78), what names a patient (79).
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from hostile.samples import change, d, element, mr, p, put

from medray.cataloguing.ingest import ingest
from medray.data.catalog import Catalog
from medray.evaluation.thresholds import Threshold
from medray.report.data import ReportData, WorklistRow
from medray.report.html import render_report
from medray.runs.score import table_bytes
from medray.runs.screen import worklist
from medray.tasks.binary import Binary
from medray.tasks.decision import Decision

FORMULA, SCRIPT, LOG = "=HYPERLINK(A1)", "<script>alert(1)</script>", "x\nERROR: all is lost\x1b[31m"
PHI = ("Doe^Jane", "MRN-4711", "19610203", "Elm Street 5", "555-0199")


def catalogued(tmp_path: Path, files: dict[str, bytes]) -> dict[str, dict[str, object]]:
    """File name → catalog row."""
    source = tmp_path / "archive"
    for name, data in files.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(data)
    ingest(str(source), str(tmp_path / "catalog"))
    return {str(row["uri"]).rsplit("/", 1)[1]: row for row in Catalog(str(tmp_path / "catalog")).to_arrow().to_pylist()}


def test_75_the_same_instance_twice_counts_once(tmp_path: Path) -> None:
    rows = catalogued(tmp_path, {"a.dcm": mr(), "b.dcm": mr()})
    assert [(rows[name]["state"], rows[name]["code"]) for name in ("a.dcm", "b.dcm")] == [
        ("IMAGE", ""),
        ("EXCLUDED", "DUPLICATE_INSTANCE"),
    ]


def test_75_one_uid_of_two_contents_is_quarantined_twice(tmp_path: Path) -> None:
    rows = catalogued(tmp_path, {"a.dcm": mr(), "b.dcm": change(mr(), Manufacturer="OTHER "), "c.dcm": p("CT_small.dcm")})
    assert [rows[name]["code"] for name in ("a.dcm", "b.dcm", "c.dcm")] == ["DICOM_UID_CONFLICT", "DICOM_UID_CONFLICT", ""]
    assert {rows[name]["state"] for name in ("a.dcm", "b.dcm")} == {"QUARANTINED"}


@pytest.mark.parametrize(
    ("charset", "raw", "text"),
    [
        ("ISO_IR 100", "Röntgen".encode("latin-1"), "Röntgen"),
        ("ISO_IR 192", "製作所".encode(), "製作所"),
        ("ISO_IR 144", "Рентген".encode("iso8859-5"), "Рентген"),
        ("\\ISO 2022 IR 87", b"\x1b$B;3ED\x1b(B", "山田"),
        ("GB18030", "设备".encode("gb18030"), "设备"),
    ],
)
def test_77_text_is_read_in_its_character_set(charset: str, raw: bytes, text: str, tmp_path: Path) -> None:
    made = change(mr(), SpecificCharacterSet=charset, Manufacturer=raw + b" " * (len(raw) % 2))
    row = catalogued(tmp_path, {"a.dcm": made})["a.dcm"]
    assert (row["state"], row["manufacturer"], row["flags"]) == ("IMAGE", text, [])


def test_78_hostile_text_stays_text_in_the_catalog(tmp_path: Path) -> None:
    rows = catalogued(
        tmp_path,
        {
            "a.dcm": change(mr(), Manufacturer=FORMULA, BodyPartExamined=SCRIPT, PatientAge="old!", StudyDate="20261399"),
            "b.dcm": change(p("CT_small.dcm"), Modality=LOG, Manufacturer=LOG),
        },
    )
    assert (rows["a.dcm"]["age_years"], rows["a.dcm"]["study_year"]) == (None, None)
    assert "VALUE_INVALID" in rows["a.dcm"]["flags"]  # type: ignore[operator]
    assert {row["state"] for row in rows.values()} <= {"IMAGE", "QUARANTINED"}


def test_78_the_terminal_shows_one_harmless_line_each(
    tmp_path: Path, medray: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    name = "a\nERROR: all is lost\x1b[31m.dcm"
    catalogued(tmp_path, {name: b"junk", "=1+1.dcm": change(mr(), Manufacturer=LOG)})
    for command in (["catalog", "show"], ["quarantine", "list"]):
        done = medray(*command, str(tmp_path / "catalog"))
        assert "\x1b[31m" not in done.stdout + done.stderr
        assert not any(line.startswith("ERROR") for line in (done.stdout + done.stderr).splitlines())


def test_78_a_number_that_no_column_holds_stops_no_neighbour(tmp_path: Path) -> None:
    rows = catalogued(tmp_path, {"a.dcm": change(mr(), InstanceNumber="9" * 20), "b.dcm": p("CT_small.dcm")})
    assert [(row["state"], row["instance_number"]) for row in rows.values()] == [("IMAGE", None), ("IMAGE", 1)]


def scored(**values: str) -> pa.Table:
    row = dict.fromkeys(("code", "message", "series_uid", "etag"), "") | {"state": "SCORED", "sop_uid": "1.2.3", **values}
    columns = {name: pa.array([value]) for name, value in row.items()}
    return pa.table({**columns, "probability": pa.array([0.5])})


def ranked(**values: str) -> pa.Table:
    """The worklist of one scored image."""
    decision = Decision(thresholds={"positive": Threshold(value=0.5, reason="a test")})
    return worklist(scored(**values), Binary(target="malignant"), decision)


def test_78_the_worklist_is_no_spreadsheet_program() -> None:
    table = ranked(study_uid=FORMULA, patient_key="+1+1", uri="@SUM(A1)")
    lines = table_bytes(table, "worklist.csv").decode().splitlines()
    cells = [cell.strip('"') for cell in lines[1].split(",")]
    assert not any(cell[:1] in tuple("=+-@\t") and not cell[1:].replace(".", "").isdigit() for cell in cells if cell)
    newline = table_bytes(ranked(study_uid="1.2", patient_key="x", uri="a\nb"), "worklist.csv").decode()
    assert newline.count('"a\nb"') == 1


def test_78_the_page_escapes_what_it_shows() -> None:
    page = render_report(ReportData(SCRIPT, facts={SCRIPT: SCRIPT}, worklist=(WorklistRow(SCRIPT, SCRIPT, 0.5, 1, True),)))
    assert SCRIPT not in page
    assert "&lt;script&gt;" in page


def phi_file(base: bytes) -> bytes:
    """With names in standard, private and nested elements."""
    named = change(base, PatientName=PHI[0], PatientID=PHI[1], PatientBirthDate=PHI[2], PatientAddress=PHI[3] + " ")
    private = (
        element(0x00110010, "LO", b"ACME PHI") + element(0x00111001, "LO", b"Doe^Jane") + element(0x00111002, "LO", b"555-0199")
    )
    return put(named, 0x00110010, private)


def test_79_nothing_names_a_patient(tmp_path: Path, medray: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    good, siemens = phi_file(mr()), d("MR-SIEMENS-DICOM-WithOverlays.dcm")
    files = {"good.dcm": good, "siemens.dcm": siemens, "cut.dcm": good[:-300], "no_rows.dcm": change(good, Rows=None)}
    for number, keyword in enumerate(("Modality", "PhotometricInterpretation", "StudyInstanceUID", "NumberOfFrames")):
        files[f"{number}.dcm"] = change(good, **{keyword: PHI[0]})
    rows = catalogued(tmp_path, files)
    assert rows["siemens.dcm"]["state"] == "IMAGE"
    shown = [json.dumps(rows, default=str)]
    for command in (["catalog", "summary"], ["catalog", "show"], ["quarantine", "list"]):
        done = medray(*command, str(tmp_path / "catalog"))
        shown.append(done.stdout + done.stderr)
    for text in shown:
        assert not [name for name in PHI if name in text]


def test_79_burned_in_text_is_flagged(tmp_path: Path) -> None:
    row = catalogued(tmp_path, {"a.dcm": change(mr(), BurnedInAnnotation="YES ")})["a.dcm"]
    assert (row["state"], row["flags"]) == ("IMAGE", ["BURNED_IN_ANNOTATION"])
