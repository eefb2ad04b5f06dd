"""Ingest on local folders and S3: every object gets one row, bad ones never stop good ones, a second run reads nothing twice."""

from __future__ import annotations

import shutil
from pathlib import Path

import pydicom
import pytest

from medray.cataloguing.ingest import ingest
from medray.cataloguing.inspection import NEXT_BYTES
from medray.data import store
from medray.data.catalog import Catalog
from medray.data.dicom import decode
from medray.errors import LabelError, StoreError

FILES = Path(pydicom.__file__).parent / "data" / "test_files"


@pytest.fixture(params=["local", "s3"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A place of a test's own."""
    return str(tmp_path / "root") if request.param == "local" else str(request.getfixturevalue("s3"))


@pytest.fixture
def images(root: str, archive: Path) -> str:
    """Twelve good images of the synthetic archive."""
    for path in sorted((archive / "images").rglob("*.dcm"))[:12]:
        store.write(f"{root}/images/{path.relative_to(archive / 'images').as_posix()}", path.read_bytes())
    return f"{root}/images"


def rows(root: str) -> dict[str, dict[str, object]]:
    """File name → catalog row."""
    return {item["uri"].rsplit("/", 1)[-1]: item for item in Catalog(f"{root}/catalog").to_arrow().to_pylist()}


def test_bad_objects_are_quarantined_and_the_rest_goes_on(root: str, images: str) -> None:
    good = store.list_objects(images)
    whole = store.read(good[0].uri)
    store.write(f"{images}/cut.dcm", whole[:-300])
    store.write(f"{images}/note.txt", b"about this archive")
    store.write(f"{images}/empty.dcm", b"")
    store.write(f"{images}/sr.dcm", (FILES / "test-SR.dcm").read_bytes())
    store.write(f"{images}/mr.dcm", (FILES / "MR_small.dcm").read_bytes())
    sums = ingest(images, f"{root}/catalog")
    assert (sums.objects, sums.images, sums.excluded, sums.quarantined, sums.failed) == (17, 13, 1, 3, 0)
    assert sums.reasons == {"DICOM_EMPTY": 1, "DICOM_NOT_DICOM": 1, "OBJECT_NOT_AN_IMAGE": 1, "PIXELS_TRUNCATED": 1}
    found = rows(root)
    assert found["cut.dcm"]["state"] == "QUARANTINED"
    sr = found["sr.dcm"]
    assert (sr["state"], sr["modality"], sr["rows"]) == ("EXCLUDED", "SR", 0)
    assert sr["sop_uid"] == str(pydicom.dcmread(FILES / "test-SR.dcm").SOPInstanceUID)
    assert found["cut.dcm"]["modality"] is None
    assert (found["mr.dcm"]["state"], found["mr.dcm"]["modality"], found["mr.dcm"]["rows"]) == ("IMAGE", "MR", 64)
    assert found["mr.dcm"]["sop_uid"] == decode(FILES / "MR_small.dcm").header.sop_uid


def test_a_second_run_reads_nothing_again(root: str, images: str) -> None:
    store.write(f"{images}/note.txt", b"about this archive")
    first = ingest(images, f"{root}/catalog")
    version = Catalog(f"{root}/catalog").version()
    told: list[tuple[str, int, int]] = []
    second = ingest(images, f"{root}/catalog", progress=lambda *step: told.append(step))
    assert (first.unchanged, second.unchanged) == (0, 13)
    assert (second.images, second.quarantined, second.reasons) == (12, 1, {"DICOM_NOT_DICOM": 1})
    assert Catalog(f"{root}/catalog").version() == version
    assert told == [("ingest", 13, 13)]


def test_new_and_changed_objects_are_read(root: str, images: str) -> None:
    ingest(images, f"{root}/catalog")
    target = store.list_objects(images)[3].uri
    store.write(target, (FILES / "CT_small.dcm").read_bytes())
    store.write(f"{images}/new.dcm", (FILES / "MR_small.dcm").read_bytes())
    sums = ingest(images, f"{root}/catalog")
    assert (sums.objects, sums.images, sums.unchanged) == (13, 13, 11)
    assert rows(root)[target.rsplit("/", 1)[-1]]["modality"] == "CT"
    assert len(rows(root)) == 13


def test_a_mended_object_leaves_quarantine(root: str, images: str) -> None:
    whole = (FILES / "MR_small.dcm").read_bytes()
    store.write(f"{images}/x.dcm", whole[:3000])
    assert ingest(images, f"{root}/catalog").quarantined == 1
    store.write(f"{images}/x.dcm", whole)
    assert ingest(images, f"{root}/catalog").quarantined == 0
    assert rows(root)["x.dcm"]["code"] == ""


def test_a_removed_object_is_no_image_any_more_and_may_come_back(root: str, images: str) -> None:
    ingest(images, f"{root}/catalog")
    gone = store.list_objects(images)[0].uri
    content = store.read(gone)
    store.delete(gone)
    sums = ingest(images, f"{root}/catalog")
    assert (sums.objects, sums.images, sums.unchanged) == (11, 11, 11)
    found = rows(root)[gone.rsplit("/", 1)[-1]]
    assert (found["state"], found["code"]) == ("FAILED", "OBJECT_GONE")
    assert gone not in Catalog(f"{root}/catalog").images()["uri"].to_pylist()
    store.write(gone, content)
    assert ingest(images, f"{root}/catalog").images == 12


def test_a_second_archive_leaves_the_first_alone(root: str, images: str) -> None:
    ingest(images, f"{root}/catalog")
    store.write(f"{root}/images-2/mr.dcm", (FILES / "MR_small.dcm").read_bytes())
    assert ingest(f"{root}/images-2", f"{root}/catalog").objects == 1
    assert len(Catalog(f"{root}/catalog").images()) == 13


def test_labels_are_kept_and_counted(root: str, images: str, archive: Path) -> None:
    sums = ingest(images, f"{root}/catalog", str(archive / "labels.csv"))
    assert sums.labelled == 12
    assert len(Catalog(f"{root}/catalog").labels()) == 120


def test_labels_that_match_nothing(root: str, images: str, tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("SOPInstanceUID,malignant\n1.2.3,1\n")
    with pytest.raises(LabelError) as caught:
        ingest(images, f"{root}/catalog", str(tmp_path / "labels.csv"))
    assert caught.value.code == "LABELS_NO_MATCH"
    with pytest.raises(StoreError):
        Catalog(f"{root}/catalog").labels()


def test_an_archive_that_is_not_there(root: str) -> None:
    with pytest.raises(StoreError) as caught:
        ingest(f"{root}/none", f"{root}/catalog")
    assert caught.value.code == "STORE_NOT_FOUND"
    assert not Catalog(f"{root}/catalog").exists()


def test_an_object_that_cannot_be_read_is_failed_and_tried_again(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    shutil.copy(FILES / "CT_small.dcm", tmp_path / "images" / "ct.dcm")
    (tmp_path / "images" / "lost.dcm").symlink_to(tmp_path / "elsewhere.dcm")
    sums = ingest(str(tmp_path / "images"), str(tmp_path / "catalog"))
    assert (sums.objects, sums.images, sums.failed, sums.reasons) == (2, 1, 1, {"STORE_NOT_FOUND": 1})
    shutil.copy(FILES / "MR_small.dcm", tmp_path / "elsewhere.dcm")
    sums = ingest(str(tmp_path / "images"), str(tmp_path / "catalog"))
    assert (sums.objects, sums.images, sums.unchanged) == (2, 2, 1)


@pytest.mark.parametrize("name", ["MR_small_jp2klossless.dcm", "JPEG2000.dcm", "SC_rgb_rle.dcm", "JPGExtended.dcm"])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_cut_compressed_image_is_noticed(tmp_path: Path, name: str, share: float) -> None:
    data = (FILES / name).read_bytes()
    store.write(str(tmp_path / "images" / "cut.dcm"), data[: int(share * len(data))])
    assert ingest(str(tmp_path / "images"), str(tmp_path / "catalog")).quarantined == 1


def test_a_large_compressed_image_that_is_cut_is_noticed_from_its_end(tmp_path: Path, busi: Path) -> None:
    large = next(path for path in sorted((busi / "images").rglob("*.dcm")) if path.stat().st_size > 2 * NEXT_BYTES)
    if not pydicom.dcmread(large, stop_before_pixels=True).file_meta.TransferSyntaxUID.is_encapsulated:
        pytest.skip("the BUSI images are not compressed here")
    data = large.read_bytes()
    store.write(str(tmp_path / "images" / "whole.dcm"), data)
    store.write(str(tmp_path / "images" / "cut.dcm"), data[: len(data) // 2])
    sums = ingest(str(tmp_path / "images"), str(tmp_path / "catalog"))
    assert (sums.images, sums.quarantined, sums.reasons) == (1, 1, {"PIXELS_TRUNCATED": 1})


def test_a_header_longer_than_the_head_is_read_in_full(tmp_path: Path) -> None:
    long = pydicom.dcmread(FILES / "MR_small.dcm")
    long.add_new(0x00091010, "OB", bytes(3 * NEXT_BYTES))
    (tmp_path / "images").mkdir()
    long.save_as(tmp_path / "images" / "long.dcm")
    shutil.copy(FILES / "waveform_ecg.dcm", tmp_path / "images" / "ecg.dcm")
    sums = ingest(str(tmp_path / "images"), str(tmp_path / "catalog"))
    assert (sums.images, sums.excluded, sums.quarantined) == (1, 1, 0)
