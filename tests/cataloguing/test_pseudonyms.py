"""Pseudonyms of a catalog: nobody finds a record number without the key, one catalog has one key, and the key is nowhere else."""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pydicom
import pytest
from PIL import Image
from site_key import SECRET

from medray.cataloguing.importing.run import ImportSpec, import_images
from medray.cataloguing.ingest import ingest
from medray.cataloguing.quarantine import retry
from medray.data import store, tables
from medray.data.catalog import Catalog
from medray.data.key_file import the_key
from medray.data.key_record import made_with
from medray.data.store import ObjectInfo
from medray.errors import ConfigError

CT = Path(pydicom.__file__).parent / "data" / "test_files" / "CT_small.dcm"
IDS = [f"MRN-{number:04d}" for number in (4, 711, 1903)]
Run = Callable[..., "subprocess.CompletedProcess[str]"]
pytestmark = pytest.mark.usefixtures("own")


@pytest.fixture(params=["local", "s3"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A folder or a bucket with images of three patients, and labels that name them."""
    root = str(tmp_path / "root") if request.param == "local" else str(request.getfixturevalue("s3"))
    fill(root)
    return root


def fill(root: str) -> None:
    dataset, labels = pydicom.dcmread(CT), "SOPInstanceUID,y,PatientID\n"
    for number, patient in enumerate(IDS):
        dataset.PatientID, dataset.PatientName = patient, "Doe^Jane"
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"1.2.{number}"
        sink = BytesIO()
        dataset.save_as(sink)
        store.write(f"{root}/images/{number}.dcm", sink.getvalue())
        labels += f"1.2.{number},1,{patient}\n"
    store.write(f"{root}/labels.csv", labels.encode())


def patients(root: str) -> list[str]:
    return list(Catalog(f"{root}/catalog").to_arrow()["patient_key"].to_pylist())


def guessed(pseudonyms: list[str], secret: bytes) -> set[str]:
    """The record numbers that trying all of them with a key finds."""
    tried = (f"MRN-{number:04d}" for number in range(3000))
    return {one for one in tried if hmac.new(secret, one.encode(), hashlib.sha256).hexdigest()[:16] in pseudonyms}


def code(call: Callable[[], object]) -> str:
    with pytest.raises(ConfigError) as caught:
        call()
    return caught.value.code


def everything(root: str) -> Iterator[bytes]:
    """The bytes of all that lies under a root, Parquet's unpacked."""
    for info in store.list_objects(root):
        assert isinstance(info, ObjectInfo)
        data = store.read(info.uri)
        yield data
        if info.uri.endswith(".parquet"):
            rows = pa.parquet.read_table(BytesIO(data))
            yield f"{rows.schema.to_string(show_field_metadata=True)}{rows.to_pylist()}".encode()


def test_record_numbers_are_not_found_by_trying(root: str, own: Path) -> None:
    ingest(f"{root}/images", f"{root}/catalog", f"{root}/labels.csv")
    found = patients(root)
    assert len(set(found)) == 3
    assert guessed(found, b"medray") == set()
    assert guessed(found, own.read_bytes().strip()) == set(IDS)
    assert sorted(Catalog(f"{root}/catalog").labels()["patient_key"].to_pylist()) == sorted(found)


def test_the_key_is_with_its_owner_and_in_nothing_else(root: str, own: Path) -> None:
    ingest(f"{root}/images", f"{root}/catalog", f"{root}/labels.csv")
    secret = own.read_bytes().strip()
    catalog = list(everything(f"{root}/catalog"))
    assert not any(form in data for data in catalog for form in (secret, bytes.fromhex(secret.decode())))
    assert any(the_key().id.encode() in data for data in catalog)
    assert not any(one.encode() in data for data in catalog for one in IDS)


def test_instances_and_labels_name_the_key(root: str) -> None:
    ingest(f"{root}/images", f"{root}/catalog", f"{root}/labels.csv")
    catalog = Catalog(f"{root}/catalog")
    assert catalog.made_with() == made_with(catalog.labels().schema) == the_key().id
    ingest(f"{root}/images", f"{root}/catalog", f"{root}/labels.csv")
    assert catalog.made_with() == made_with(catalog.labels().schema) == the_key().id


def test_another_key_adds_nothing(root: str, site: str) -> None:
    ingest(f"{root}/images", f"{root}/catalog", f"{root}/labels.csv")
    before = Catalog(f"{root}/catalog").version(), patients(root)
    assert code(lambda: ingest(f"{root}/images", f"{root}/catalog", f"{root}/labels.csv", key_file=site)) == "PSEUDONYM_KEYS"
    assert code(lambda: retry(f"{root}/catalog", key_file=site)) == "PSEUDONYM_KEYS"
    assert (Catalog(f"{root}/catalog").version(), patients(root)) == before


def test_a_lost_key_stops_an_ingest_and_is_not_replaced(root: str, own: Path) -> None:
    ingest(f"{root}/images", f"{root}/catalog")
    own.unlink()
    assert code(lambda: ingest(f"{root}/images", f"{root}/catalog")) == "PSEUDONYM_KEY_LOST"
    assert code(lambda: retry(f"{root}/catalog")) == "PSEUDONYM_KEY_LOST"
    assert not own.exists()


def test_the_same_key_gives_the_same_catalog(root: str, site: str, own: Path) -> None:
    for name in ("one", "two"):
        ingest(f"{root}/images", f"{root}/{name}", key_file=site)
    one, two = (Catalog(f"{root}/{name}").to_arrow() for name in ("one", "two"))
    assert tables.parquet_bytes(one) == tables.parquet_bytes(two)
    assert not own.exists()


def test_objects_that_are_read_again_keep_their_patients(root: str) -> None:
    good = store.read(f"{root}/images/0.dcm")
    store.write(f"{root}/images/0.dcm", good[:2000])
    assert ingest(f"{root}/images", f"{root}/catalog").quarantined == 1
    known = patients(root)
    store.write(f"{root}/images/0.dcm", good)
    assert retry(f"{root}/catalog")["images"] == 1
    found = patients(root)
    assert found[1:] == known[1:]
    assert guessed(found[:1], the_key().secret) == {IDS[0]}


def test_a_catalog_of_an_unknown_key_is_read_with_a_warning_and_not_added_to(root: str, caplog: pytest.LogCaptureFixture) -> None:
    ingest(f"{root}/images", f"{root}/catalog")
    rows = Catalog(f"{root}/catalog").to_arrow()
    old = Catalog(f"{root}/old")
    plain = pa.schema([field.remove_metadata() for field in rows.schema])
    tables.create(old.instances_uri, plain)
    tables.append(old.instances_uri, rows.cast(plain))
    assert code(lambda: ingest(f"{root}/images", old.uri)) == "PSEUDONYM_KEY_UNKNOWN"
    caplog.set_level(logging.WARNING, "medray")
    assert len(old.images()) == 3
    assert any("a key that everybody knows" in said for said in caplog.messages)


INGEST = """
import sys, time
from pathlib import Path
from medray.cataloguing import ingest as module
inspected = module.inspected
def waiting(items):
    Path(sys.argv[3]).touch()
    while len(list(Path(sys.argv[3]).parent.iterdir())) < 2:
        time.sleep(0.01)
    return inspected(items)
module.inspected = waiting
try:
    module.ingest(sys.argv[1], sys.argv[2])
except module.StoreError as error:
    print(error.code)
"""
"""An ingest that has its key, and waits with its first row until the other has come as far."""


def race(root: str, tmp_path: Path, *environments: dict[str, str]) -> list[tuple[str, str]]:
    """Standard output and error of ingests into one new catalog that meet between its first look and its first row."""
    (tmp_path / "ready").mkdir()
    running = [
        subprocess.Popen(
            [sys.executable, "-c", INGEST, f"{root}/images", f"{root}/catalog", str(tmp_path / "ready" / str(number))],
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number, environment in enumerate(environments)
    ]
    done = [process.communicate(timeout=120) for process in running]
    assert not any(process.returncode < 0 for process in running), done
    return done


def test_two_first_ingests_at_once_have_one_key(root: str, tmp_path: Path, own: Path) -> None:
    done = race(root, tmp_path, {}, {})
    assert {said for said, _ in done} <= {"", "TABLE_BUSY\n"}
    assert not any("Traceback" in error for _, error in done)
    assert guessed(patients(root), own.read_bytes().strip()) == set(IDS), done


def test_two_first_ingests_at_once_with_two_keys_do_not_share_a_catalog(root: str, tmp_path: Path) -> None:
    secrets = ["one secret of the one site", "the other secret of the other"]
    done = race(root, tmp_path, *({"MEDRAY_PSEUDONYM_KEY": secret} for secret in secrets))
    assert sum("PSEUDONYM_KEYS" in error for _, error in done) == 1
    assert [len(guessed(patients(root), secret.encode())) for secret in secrets] in ([3, 0], [0, 3])


# --- the command line ----------------------------------------------------------------------------------------------------------


def test_the_command_says_once_where_the_key_lies(tmp_path: Path, own: Path, medray: Run) -> None:
    fill(str(tmp_path))
    arguments = ("ingest", str(tmp_path / "images"), "--catalog", str(tmp_path / "catalog"))
    first, second = medray(*arguments), medray(*arguments)
    assert (first.returncode, second.returncode) == (0, 0)
    assert first.stderr.count(str(own)) == 1
    assert str(own) not in second.stderr
    assert own.read_text().strip() not in first.stdout + first.stderr + second.stdout + second.stderr


def test_the_command_takes_a_key_file_and_refuses_another(tmp_path: Path, site: str, own: Path, medray: Run) -> None:
    fill(str(tmp_path))
    arguments = ("ingest", str(tmp_path / "images"), "--catalog", str(tmp_path / "catalog"))
    done = medray(*arguments, "--labels", str(tmp_path / "labels.csv"), "--pseudonym-key-file", site)
    assert (done.returncode, own.exists()) == (0, False)
    assert guessed(patients(str(tmp_path)), SECRET.encode()) == set(IDS)
    for command, said in (
        (arguments, "PSEUDONYM_KEY_LOST"),
        (("quarantine", "retry", str(tmp_path / "catalog")), "PSEUDONYM_KEY_LOST"),
        ((*arguments, "--pseudonym-key-file", str(CT)), "PSEUDONYM_KEY_INVALID"),
    ):
        refused = medray(*command)
        (line,) = refused.stderr.splitlines()
        assert refused.returncode == 1
        assert line.startswith(f"medray: {said}: ")
        assert "--pseudonym-key-file" in line or "chmod" in line
        assert SECRET not in line
    assert not own.exists()


# --- imports -------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def pictures(tmp_path: Path) -> str:
    """Three pictures, and a table that names their patients."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(3):
        Image.fromarray(np.full((8, 8), 10 * number, np.uint8) + np.arange(8, dtype=np.uint8)).save(folder / f"{number}.png")
    rows = [f"{number}.png,{patient}" for number, patient in enumerate(IDS)]
    (tmp_path / "table.csv").write_text("\n".join(["file,PatientID", *rows, ""]))
    return str(folder)


def imported(pictures: str, out: Path, labels: bool = True, key_file: str | None = None) -> tuple[int, int]:
    table = str(out.parent / "table.csv") if labels else None
    sums = import_images(pictures, str(out), ImportSpec(), table, key_file=key_file)
    return sums.imported, sums.unchanged


def named(out: Path) -> list[str]:
    """The pseudonyms in the names of objects."""
    return sorted(path.stem.partition("-")[2] for path in (out / "images").iterdir())


def test_the_names_of_imported_objects_are_not_found_by_trying(pictures: str, tmp_path: Path, own: Path) -> None:
    out = tmp_path / "out"
    assert imported(pictures, out) == (3, 0)
    tried = [f"MRN-{number:04d}".encode() for number in range(3000)]
    assert not {hmac.new(b"medray", one, hashlib.sha256).hexdigest()[:8] for one in tried} & set(named(out))
    secret = own.read_bytes().strip()
    assert sorted(hmac.new(secret, one.encode(), hashlib.sha256).hexdigest()[:8] for one in IDS) == named(out)
    assert not any(secret in data for data in everything(str(out)))


def test_an_import_goes_on_with_its_key_alone(pictures: str, tmp_path: Path, own: Path, site: str) -> None:
    out = tmp_path / "out"
    imported(pictures, out, key_file=site)
    before = named(out)
    assert code(lambda: imported(pictures, out)) == "PSEUDONYM_KEY_LOST"
    the_key()
    assert code(lambda: imported(pictures, out)) == "PSEUDONYM_KEYS"
    assert named(out) == before
    assert imported(pictures, out, key_file=site) == (0, 3)


def test_an_import_without_patients_needs_no_key(pictures: str, tmp_path: Path, own: Path) -> None:
    assert imported(pictures, tmp_path / "out", labels=False) == (3, 0)
    assert not own.exists()
    assert imported(pictures, tmp_path / "out") == (3, 0)
    assert own.exists()


def test_an_import_of_an_unknown_key_is_not_added_to(pictures: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    imported(pictures, out)
    (out / "import" / "pseudonyms.json").unlink()
    assert code(lambda: imported(pictures, out)) == "PSEUDONYM_KEY_UNKNOWN"
    (out / "import" / "pseudonyms.json").write_text("{")
    assert code(lambda: imported(pictures, out)) == "PSEUDONYM_KEY_UNKNOWN"
