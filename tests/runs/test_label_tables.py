"""A label table with names, birth dates and record numbers, through the commands: none of it is anywhere that medray wrote.

And given folds, kept columns and refused labels, as the commands take them.
"""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from subprocess import CompletedProcess

import imagecodecs
import numpy as np
import pyarrow.parquet as pq
import pytest

from medray.cli import run
from medray.data import store
from medray.data.key_file import the_key
from medray.data.pseudonym import patient_key, using

Run = Callable[..., CompletedProcess[str]]
NAMES, DATES, RECORDS, SCANNERS = "QZNAME", "QZ1970", "QZMRN", "QZSCANNER"
IN_HEADERS = "Synthetic^"
"""Names of the patients of the archive begin so."""

TABLE = "models={svm: {family: svm, input: table}}"


@pytest.fixture
def medray(capfd: pytest.CaptureFixture[str]) -> Run:
    """The command in this process: what it and its workers print is caught as the system sees it."""

    def command(*arguments: str) -> CompletedProcess[str]:
        capfd.readouterr()
        code = run([*arguments])
        said = capfd.readouterr()
        return CompletedProcess(arguments, code, said.out, said.err)

    return command


def read(path: str | Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(Path(path).read_text())))


def table(archive: Path, place: Path, **columns: Callable[[int], str]) -> str:
    """The labels of an archive with further columns, each made of the number of the row."""
    rows = read(archive / "labels.csv")
    for number, row in enumerate(rows):
        row |= {name: value(number) for name, value in columns.items()}
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    place.write_text(text.getvalue())
    return str(place)


def identified(archive: Path, place: Path) -> str:
    """The labels of an archive with the identities of the patients."""
    names = {"PatientName": lambda n: f"{NAMES}{n}^JANE", "birth date": lambda n: f"{DATES}{n}", "MRN": lambda n: f"{RECORDS}{n}"}
    return table(archive, place, **names, scanner=lambda n: f"{SCANNERS}{n % 3}")


def everything(folder: Path) -> Iterator[tuple[Path, bytes]]:
    """Every file as it is, and what Parquet files and archives hold unpacked."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        yield path, path.read_bytes()
        if path.suffix == ".parquet":
            file = pq.ParquetFile(path)
            yield path, f"{file.metadata.to_dict()}{file.schema_arrow.metadata}{file.read().to_pylist()}".encode()
        elif zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as packed:
                yield from ((path, packed.read(name)) for name in packed.namelist())


def holding(folder: Path, *words: str) -> set[str]:
    """The words that are somewhere in a folder."""
    return {word for _, data in everything(folder) for word in words if word.encode() in data}


@pytest.mark.slow
def test_identities_of_a_label_table_are_nowhere(archive: Path, tiny_config: Path, tmp_path: Path, medray: Run) -> None:
    labels, catalog, out = identified(archive, tmp_path / "labels.csv"), tmp_path / "made" / "catalog", tmp_path / "made" / "out"
    images = str(archive / "images")
    said = [medray("ingest", images, "--catalog", str(catalog), "--labels", labels, "--keep", "malignant", "--keep", "scanner")]
    assert said[0].returncode == 0, said[0].stderr
    assert "left out finding, area_px, lesion, PatientName, birth date, MRN: --keep COLUMN keeps one" in said[0].stderr
    sets = [f"output={out}", f"catalog={catalog}", TABLE, "labels.keep=[scanner]"]
    said.append(medray("train", str(tiny_config), *(part for one in sets for part in ("--set", one)), "--json"))
    assert said[1].returncode == 0, said[1].stderr
    trained = json.loads(said[1].stdout)
    said.append(medray("evaluate", trained["bundle"], "--src", images, "--labels", labels, "--work", str(out / "work")))
    assert said[2].returncode == 0, said[2].stderr
    said.append(medray("train", str(tiny_config), *(part for one in [*sets, "labels.target=MRN"] for part in ("--set", one))))
    assert "LABELS_NO_TARGET" in said[3].stderr
    said.append(medray("ingest", images, "--catalog", str(catalog), "--labels", labels, "--keep", "MRN", "--keep", "malignant"))
    assert "MRN (as pseudonyms)" in said[4].stderr
    (tmp_path / "made" / "said.txt").write_text("".join(done.stdout + done.stderr for done in said))
    with using(the_key()):
        words = (NAMES, DATES, RECORDS, IN_HEADERS, SCANNERS, patient_key(f"{RECORDS}7"))
    assert holding(archive, IN_HEADERS) == {IN_HEADERS}
    assert holding(tmp_path / "made", *words) == {SCANNERS, words[-1]}, "what was asked for is found, in the same way"
    assert holding(out, *words) == {SCANNERS}
    samples = pq.read_table(f"{trained['run']}/samples.parquet")
    assert set(samples["label.scanner"].to_pylist()) == {f"{SCANNERS}{number}" for number in range(3)}


def test_identities_of_a_table_are_not_imported_but_for_the_patient_in_the_images(tmp_path: Path, medray: Run) -> None:
    rows = []
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 255, (32, 32), dtype=np.uint8)
        store.write(f"{tmp_path}/src/image-{number}.png", imagecodecs.png_encode(pixels))
        rows.append(
            f"image-{number}.png,QZPATIENT{number},{NAMES}{number}^JANE,{DATES}{number},{RECORDS}{number},{number % 2},0\n"
        )
    rows.append(f"lost.png,QZPATIENT9,{NAMES}9,{DATES}9,{RECORDS}9,1,0\n")
    store.write(f"{tmp_path}/table.csv", f"file,PatientID,PatientName,birth date,MRN,y,fold\n{''.join(rows)}".encode())
    made = ("--out", str(tmp_path / "out"), "--labels", str(tmp_path / "table.csv"), "--keep", "y")
    done = medray("import", str(tmp_path / "src"), *made, "--keep", "MRN", "--json")
    assert json.loads(done.stdout)["labelled"] == 3, done.stderr
    assert "labels: kept MRN (as pseudonyms), y, fold; left out file, PatientName, birth date: --keep" in done.stderr
    assert holding(tmp_path / "out", NAMES, DATES, RECORDS) == set()
    with using(the_key()):
        words = (patient_key(f"{RECORDS}0"), patient_key(f"{RECORDS}9"), "lost.png", "QZPATIENT")
    assert holding(tmp_path / "out", *words) == set(words)
    assert holding(tmp_path / "out" / "import", "QZPATIENT") == set()
    assert [sorted(row) for row in read(tmp_path / "out" / "labels.csv")] == [["MRN", "SOPInstanceUID", "fold", "y"]] * 3


def test_given_folds_reach_the_calibration(archive: Path, tiny_config: Path, tmp_path: Path, medray: Run) -> None:
    labels = table(archive, tmp_path / "labels.csv", fold=lambda number: str(number % 3))
    catalog, out = str(tmp_path / "catalog"), str(tmp_path / "out")
    assert ingested(medray, archive, catalog, labels).returncode == 0
    words = ["train", str(tiny_config), "--set", f"catalog={catalog}", "--set", f"output={out}", "--set", TABLE]
    done = medray(*words, "--json")
    assert done.returncode == 0, done.stderr
    trained = json.loads(done.stdout)
    rows = {row["SOPInstanceUID"]: int(row["fold"]) for row in read(labels)}
    samples = pq.read_table(f"{trained['run']}/samples.parquet").to_pylist()
    assert {Path(row["uri"]).stem: row["fold"] for row in samples} == rows
    with zipfile.ZipFile(f"{trained['bundle']}/model/model.skops") as packed:
        schema = json.loads(packed.read("schema.json"))
    assert json.dumps(schema).count('"_CalibratedClassifier"') == 3


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"fold": lambda number: "" if number == 7 else str(number % 3)}, "LABELS_FOLD_PARTIAL: 1 of 120 labelled images"),
        (
            {"fold": lambda number: str(number % 3), "PatientID": lambda number: f"QZ{number // 2}"},
            "LABELS_PATIENT_LEAK: 60 patients",
        ),
        ({"fold": lambda number: "x"}, "LABELS_BAD_FOLD: the column fold holds 'x'"),
        (
            {"malignant": lambda number: ["1", "0", "maybe"][number % 3]},
            "LABELS_UNKNOWN_CLASS: 40 labels in malignant are no class",
        ),
        ({"malignant": lambda number: ["NA", "?", " unknown "][number % 3]}, "LABELS_NO_MATCH"),
        ({"malignant": lambda number: ["True", "2"][number % 2]}, "LABELS_MIXED: malignant mixes numbers ('2') and truth values"),
        ({"SOPInstanceUID": lambda number: "1.2.3" if number % 60 == 7 else str(number)}, "LABELS_NO_MATCH"),
    ],
)
def test_a_table_that_cannot_be_learnt_from_is_one_line(
    columns: dict[str, Callable[[int], str]], says: str, archive: Path, tiny_config: Path, tmp_path: Path, medray: Run
) -> None:
    labels, catalog = table(archive, tmp_path / "labels.csv", **columns), str(tmp_path / "catalog")
    done = ingested(medray, archive, catalog, labels)
    if done.returncode == 0:
        done = medray("train", str(tiny_config), "--set", f"catalog={catalog}", "--set", f"output={tmp_path / 'out'}")
    line = [line for line in done.stderr.splitlines() if line.startswith("medray: ")]
    assert done.returncode == 1
    assert len(line) == 1
    assert says in line[0]
    assert "QZ" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_contradicting_rows_of_a_catalog_are_named_by_their_numbers(
    archive: Path, tiny_config: Path, tmp_path: Path, medray: Run
) -> None:
    uid = read(archive / "labels.csv")[4]["SOPInstanceUID"]
    columns = {"SOPInstanceUID": lambda number: uid if number == 90 else "", "PatientID": lambda number: f"QZ{number}"}
    text = Path(table(archive, tmp_path / "other.csv", **columns)).read_text().splitlines()
    (tmp_path / "labels.csv").write_text("\n".join([*(archive / "labels.csv").read_text().splitlines(), *text[1:]]) + "\n")
    catalog = str(tmp_path / "catalog")
    assert ingested(medray, archive, catalog, str(tmp_path / "labels.csv")).returncode == 0
    done = medray("train", str(tiny_config), "--set", f"catalog={catalog}", "--set", f"output={tmp_path / 'out'}")
    assert "LABELS_CONFLICT: rows of one sop_uid contradict each other: rows 5 and 211 (two" in done.stderr
    assert "QZ" not in done.stderr
    assert uid not in done.stderr


def ingested(
    medray: Run, archive: Path, catalog: str, labels: str, keep: Sequence[str] = ("malignant",)
) -> CompletedProcess[str]:
    words = [part for column in keep for part in ("--keep", column)]
    return medray("ingest", str(archive / "images"), "--catalog", catalog, "--labels", labels, *words)
