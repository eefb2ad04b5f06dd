"""``medray catalog`` and ``medray quarantine``: what they say, as tables and as JSON, and that no name of a file can do harm."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pydicom
import pytest

from medray.cli import run
from medray.data import store
from medray.data.catalog import Catalog
from medray.remedies import REMEDIES
from medray.runs.score import table_bytes

FILES = Path(pydicom.__file__).parent / "data" / "test_files"
EVIL = "\x1b[31m[bold]red[blink]\n=1+1 \u202e.dcm"
Ask = Callable[..., Any]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A catalog of three images, a report, and three files that are no images; one has a name that attacks terminals."""
    (tmp_path / "images").mkdir()
    for name in ("CT_small.dcm", "MR_small.dcm", "JPEG2000.dcm", "test-SR.dcm", "MR_truncated.dcm"):
        shutil.copy(FILES / name, tmp_path / "images")
    (tmp_path / "images" / EVIL).write_text("no DICOM")
    (tmp_path / "images" / "note.txt").write_text("no DICOM either")
    assert run(["ingest", str(tmp_path / "images"), "--catalog", str(tmp_path / "catalog")]) == 3
    return tmp_path


@pytest.fixture
def ask(place: Path, capsys: pytest.CaptureFixture[str]) -> Ask:
    """``ask("catalog", "summary", …)`` runs a command on the catalog and returns its JSON."""

    def command(group: str, name: str, *arguments: str, code: int = 0) -> Any:
        capsys.readouterr()
        assert run([group, name, str(place / "catalog"), *arguments, "--json"]) == code
        return json.loads(capsys.readouterr().out)

    return command


@pytest.fixture
def printed(place: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """What a command prints for people."""

    def command(group: str, name: str, *arguments: str, code: int = 0) -> str:
        capsys.readouterr()
        assert run([group, name, str(place / "catalog"), *arguments]) == code
        said = capsys.readouterr()
        return said.out + said.err

    return command


# --- catalog -------------------------------------------------------------------------------------------------------------------


def test_summary(ask: Ask, place: Path) -> None:
    found = ask("catalog", "summary", "--plot", str(place / "plot.png"))
    assert (found["objects"], found["images"], found["frames"], found["studies"], found["series"]) == (7, 3, 3, 4, 4)
    assert found["size_bytes"] == sum(path.stat().st_size for path in (place / "images").iterdir())
    assert found["states"] == {"IMAGE": 3, "QUARANTINED": 3, "EXCLUDED": 1}
    assert found["codes"] == {"DICOM_NOT_DICOM": 2, "OBJECT_NOT_AN_IMAGE": 1, "PIXELS_TRUNCATED": 1}
    assert found["modalities"] == {"CT": 1, "MR": 1, "NM": 1}
    assert found["excluded_modalities"] == {"SR": 1}
    assert found["transfer_syntaxes"]["Explicit VR Little Endian"] == 2
    assert found["sizes"] == {"1024 × 256": 1, "128 × 128": 1, "64 × 64": 1}
    assert sum(found["study_years"].values()) == 3
    assert found["version"] == Catalog(str(place / "catalog")).version()
    assert (place / "plot.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_show(ask: Ask, place: Path) -> None:
    (row,) = ask("catalog", "show", str(place / "images" / "CT_small.dcm"))
    assert (row["modality"], row["rows"], row["state"]) == ("CT", 128, "IMAGE")
    assert ask("catalog", "show", row["sop_uid"]) == ask("catalog", "show", row["series_uid"]) == [row]
    assert len(ask("catalog", "show", str(place / "images"))) == len(ask("catalog", "show")) == 7
    assert len(ask("catalog", "show", "--limit", "2")) == 2


def test_query(ask: Ask, printed: Callable[..., str]) -> None:
    sql = "SELECT modality, count(*) AS n FROM catalog WHERE state = 'IMAGE' GROUP BY ALL ORDER BY modality"
    assert ask("catalog", "query", sql) == [{"modality": name, "n": 1} for name in ("CT", "MR", "NM")]
    assert len(ask("catalog", "query", "FROM catalog", "--limit", "3")) == 3
    assert "CT" in printed("catalog", "query", sql)


@pytest.mark.parametrize(
    "sql",
    [
        "SELEC",
        "SELECT * FROM read_text('{secret}')",
        "SELECT * FROM '{secret}'",
        "COPY catalog TO '{secret}'",
        "ATTACH '{secret}'",
        "DROP VIEW catalog",
        "SELECT 1; SELECT 2",
        "SET enable_external_access = true",
        "SELECT * FROM sys",
        "",
    ],
)
def test_a_query_reads_nothing_else_and_fails_in_one_line(sql: str, printed: Callable[..., str], place: Path) -> None:
    secret = place / "secret.csv"
    secret.write_text("secret\n42\n")
    said = printed("catalog", "query", sql.format(secret=secret), code=1)
    assert re.fullmatch(r"medray: QUERY_INVALID: .+\n", said)
    assert "42" not in said
    assert secret.read_text() == "secret\n42\n"


def test_diff(ask: Ask, place: Path) -> None:
    before = Catalog(str(place / "catalog")).version()
    (place / "images" / "CT_small.dcm").unlink()
    shutil.copy(FILES / "CT_small.dcm", place / "images" / "new.dcm")
    shutil.copy(FILES / "MR_small.dcm", place / "images" / "MR_truncated.dcm")
    run(["ingest", str(place / "images"), "--catalog", str(place / "catalog")])
    found = ask("catalog", "diff", str(before))
    assert (found["added"], found["changed"], found["gone"]) == (1, 1, 1)
    changes = {row["uri"].rsplit("/", 1)[-1]: (row["change"], row["state_before"], row["state_after"]) for row in found["rows"]}
    assert changes == {
        "CT_small.dcm": ("gone", "IMAGE", "FAILED"),
        "MR_truncated.dcm": ("changed", "QUARANTINED", "EXCLUDED"),
        "new.dcm": ("added", None, "IMAGE"),
    }
    same = ask("catalog", "diff", str(before), str(before))
    assert (same["added"], same["changed"], same["gone"], same["rows"]) == (0, 0, 0, [])


def test_wrong_arguments_are_one_line(printed: Callable[..., str], place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "TABLE_VERSION" in printed("catalog", "diff", "0", "99", code=1)
    assert "OBJECT_UNKNOWN" in printed("catalog", "show", "1.2.3", code=1)
    assert "OBJECT_UNKNOWN" in printed("quarantine", "show", "1.2.3", code=1)
    assert "PLOT_FORMAT" in printed("catalog", "summary", "--plot", "plot.txt", code=1)
    capsys.readouterr()
    for group, name in (("catalog", "summary"), ("catalog", "show"), ("quarantine", "list"), ("quarantine", "retry")):
        assert run([group, name, str(place / "none")]) == 1
        assert "CATALOG_NOT_FOUND" in capsys.readouterr().err


# --- quarantine ----------------------------------------------------------------------------------------------------------------


def test_quarantine_list_and_show(ask: Ask, printed: Callable[..., str], place: Path) -> None:
    assert ask("quarantine", "list") == [
        {"code": code, "state": "QUARANTINED", "count": count, "what_to_do": REMEDIES[code]}
        for code, count in (("DICOM_NOT_DICOM", 2), ("PIXELS_TRUNCATED", 1))
    ]
    found = ask("quarantine", "show", str(place / "images" / "MR_truncated.dcm"))
    assert (found["code"], found["what_to_do"]) == ("PIXELS_TRUNCATED", REMEDIES["PIXELS_TRUNCATED"])
    assert found["message"]
    assert REMEDIES["PIXELS_TRUNCATED"][:30] in printed("quarantine", "list")


def test_quarantine_retry(ask: Ask, place: Path) -> None:
    shutil.copy(FILES / "CT_small.dcm", place / "images" / "note.txt")
    (place / "images" / "CT_small.dcm").unlink()
    (place / "images" / EVIL).unlink()
    assert ask("quarantine", "retry", "--code", "PIXELS_TRUNCATED", code=3) == {
        "objects": 1,
        "images": 0,
        "gone": 0,
        "reasons": {"PIXELS_TRUNCATED": 1},
    }
    found = ask("quarantine", "retry", code=3)
    assert (found["objects"], found["gone"]) == (2, 1)
    rows = {row["uri"].rsplit("/", 1)[-1]: row for row in Catalog(str(place / "catalog")).to_arrow().to_pylist()}
    assert rows["note.txt"]["sop_uid"] == rows["CT_small.dcm"]["sop_uid"]
    assert rows["note.txt"]["code"] == "DICOM_UID_CONFLICT", "the catalog has not heard yet that its equal is gone"
    run(["ingest", str(place / "images"), "--catalog", str(place / "catalog")])
    assert ask("catalog", "show", str(place / "images" / "note.txt"))[0]["state"] == "IMAGE"


# --- names and values that attack ----------------------------------------------------------------------------------------------


def test_names_cannot_steer_a_terminal(printed: Callable[..., str], place: Path) -> None:
    uri = str(place / "images" / EVIL)
    said = printed("catalog", "show", uri) + printed("catalog", "show") + printed("quarantine", "show", uri)
    said += printed("catalog", "query", "SELECT uri FROM catalog")
    said += printed("catalog", "show", EVIL + "\x07", code=1)
    assert not set(said) & set("\x1b\x07\u202e\r")
    flat = re.sub(r"[\s│]", "", said)
    assert flat.count(r"\x1b[31m[bold]red[blink]\n") >= 4, "shown as it is, escaped"


def test_spreadsheets_take_no_name_for_a_formula() -> None:
    values = ["=1+1", "+1", "-1", "@SUM(1)", "\tx", "plain", "a=b"]
    table = pa.table({"uri": values, "probability": [-0.5] * len(values)})
    rows = list(csv.DictReader(io.StringIO(table_bytes(table, "x.csv").decode(), newline="")))
    assert [row["uri"] for row in rows] == ["'=1+1", "'+1", "'-1", "'@SUM(1)", "'\tx", "plain", "a=b"]
    assert {row["probability"] for row in rows} == {"-0.5"}


def test_a_catalog_on_s3(s3: str, capsys: pytest.CaptureFixture[str]) -> None:
    store.write(f"{s3}/images/ct.dcm", (FILES / "CT_small.dcm").read_bytes())
    store.write(f"{s3}/images/x.txt", b"x")
    assert run(["ingest", f"{s3}/images", "--catalog", f"{s3}/catalog"]) == 3
    capsys.readouterr()
    assert run(["catalog", "query", f"{s3}/catalog", "SELECT rows FROM catalog WHERE state = 'IMAGE'", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [{"rows": 128}]
    assert run(["catalog", "summary", f"{s3}/catalog", "--plot", f"{s3}/plot.png"]) == 0
    assert store.read(f"{s3}/plot.png")[:4] == b"\x89PNG"
    assert run(["quarantine", "retry", f"{s3}/catalog"]) == 3


def test_paths_are_taken_as_ingest_takes_them(ask: Ask, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    path = str(place / "images" / "note.txt")
    for name in ("images/note.txt", f"file://{path}"):
        assert [row["uri"] for row in ask("catalog", "show", name)] == [path]
        assert ask("quarantine", "show", name)["uri"] == path
    assert len(ask("catalog", "show", "images/")) == 7


def test_one_object_that_cannot_be_reached_does_not_stop_a_retry(ask: Ask, place: Path) -> None:
    loop = place / "images" / "loop.dcm"
    loop.symlink_to(loop)
    assert run(["ingest", str(place / "images"), "--catalog", str(place / "catalog")]) == 3
    shutil.copy(FILES / "CT_small.dcm", place / "images" / "note.txt")
    found = ask("quarantine", "retry", code=3)
    assert found["reasons"]["STORE_FAILED"] == 1
    assert found["gone"] == 0


def test_numbers_that_json_does_not_know_are_null(ask: Ask) -> None:
    (row,) = ask("catalog", "query", "SELECT 'nan'::DOUBLE AS a, [1.5, 'inf'::DOUBLE] AS b")
    assert row == {"a": None, "b": [1.5, None]}


def test_a_catalog_with_a_broken_file_is_one_line(place: Path, printed: Callable[..., str]) -> None:
    for path in (place / "catalog" / "instances").glob("*.parquet"):
        path.write_bytes(b"broken")
    for command in (("catalog", "series"), ("quarantine", "retry")):
        assert "TABLE_BROKEN" in printed(*command, code=1)
    printed("catalog", "summary", code=1)
