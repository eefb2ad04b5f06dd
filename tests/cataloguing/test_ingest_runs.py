"""Ingest of shards and of several archives, runs that are killed, instances that are there twice."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pydicom
import pytest

from medray.cataloguing.ingest import ingest
from medray.cataloguing.inspection import FIRST_BYTES, Item, inspected
from medray.cataloguing.pace import Pace
from medray.configuration import load_config
from medray.data import archive as archives
from medray.data import store
from medray.data.catalog import Catalog
from medray.data.store import ObjectInfo
from medray.errors import StoreError
from medray.runs.samples import labelled_samples
from medray.runs.score import object_rows
from medray.runs.train_config import TrainConfig

FILES = Path(pydicom.__file__).parent / "data" / "test_files"
CT, MR = (FILES / "CT_small.dcm").read_bytes(), (FILES / "MR_small.dcm").read_bytes()

INGEST = """
import sys
from medray.cataloguing import ingest as module
module.ROWS_PER_COMMIT = 10
module.ingest(sys.argv[1], sys.argv[2])
"""


@pytest.fixture(params=["local", "s3"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "root") if request.param == "local" else str(request.getfixturevalue("s3"))


def tar(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as file:
        for name, content in members.items():
            info = tarfile.TarInfo(f"{name}.dcm")
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def rows(root: str) -> list[dict[str, object]]:
    return list(Catalog(f"{root}/catalog").to_arrow().to_pylist())


def states(root: str) -> dict[str, tuple[object, object]]:
    """Last part of the URI → state and code."""
    return {str(item["uri"]).rsplit("/", 1)[-1]: (item["state"], item["code"]) for item in rows(root)}


def with_uid(content: bytes, last: str, note: str = "") -> bytes:
    """The same image with another SOP Instance UID, and something that changes its content."""
    dataset = pydicom.dcmread(io.BytesIO(content))
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{last}"
    dataset.ImageComments = note
    stream = io.BytesIO()
    dataset.save_as(stream)
    return stream.getvalue()


# --- shards --------------------------------------------------------------------------------------------------------------------


def test_members_of_shards_are_rows_of_their_own(root: str) -> None:
    store.write(f"{root}/images/night.tar", tar(a=CT, b=MR, c=b"nothing"))
    store.write(f"{root}/images/loose.dcm", with_uid(MR, "1"))
    sums = ingest(f"{root}/images", f"{root}/catalog")
    assert (sums.objects, sums.images, sums.quarantined, sums.reasons) == (4, 3, 1, {"DICOM_NOT_DICOM": 1})
    members = [item for item in rows(root) if item["member"]]
    assert [item["member"] for item in members] == ["a.dcm", "b.dcm", "c.dcm"]
    assert {item["shard_uri"] for item in members} == {f"{root}/images/night.tar"}
    (content,) = archives.read_many([str(members[0]["uri"])])
    assert content == CT
    version = Catalog(f"{root}/catalog").version()
    assert ingest(f"{root}/images", f"{root}/catalog").unchanged == 4
    assert Catalog(f"{root}/catalog").version() == version


def test_a_shard_changes_as_a_whole(root: str) -> None:
    store.write(f"{root}/images/night.tar", tar(a=CT, b=MR))
    ingest(f"{root}/images", f"{root}/catalog")
    store.write(f"{root}/images/night.tar", tar(b=MR, longer=with_uid(CT, "1")))
    sums = ingest(f"{root}/images", f"{root}/catalog")
    assert (sums.objects, sums.images, sums.unchanged) == (2, 2, 0)
    assert [item["member"] for item in rows(root)] == ["b.dcm", "longer.dcm"]
    store.write(f"{root}/images/other.dcm", with_uid(CT, "2"))
    store.delete(f"{root}/images/night.tar")
    assert ingest(f"{root}/images", f"{root}/catalog").objects == 1
    assert {(item["state"], item["code"]) for item in rows(root) if item["member"]} == {("FAILED", "OBJECT_GONE")}
    assert all(item["sop_uid"] for item in rows(root)), "what was known of them stays"


def test_shards_without_members(tmp_path: Path) -> None:
    root = str(tmp_path)
    store.write(f"{root}/images/empty.tar", tar())
    store.write(f"{root}/images/broken.tar", tar(a=CT, b=MR)[: len(CT) + 700])
    sums = ingest(f"{root}/images", f"{root}/catalog")
    assert sums.excluded == 1
    assert states(root)["empty.tar"] == ("EXCLUDED", "ARCHIVE_EMPTY")
    assert sums.objects == sums.images + sums.excluded + sums.quarantined
    assert sums.quarantined >= 1
    assert ingest(f"{root}/images", f"{root}/catalog").unchanged == sums.objects


# --- runs ----------------------------------------------------------------------------------------------------------------------


def test_several_archives_and_one_inside_another(root: str) -> None:
    store.write(f"{root}/one/a/ct.dcm", CT)
    store.write(f"{root}/two/mr.dcm", MR)
    store.write(f"{root}/one-more/x.txt", b"no archive of this run")
    sums = ingest([f"{root}/two", f"{root}/one/a", f"{root}/one"], f"{root}/catalog")
    assert (sums.objects, sums.images) == (2, 2)
    assert ingest([f"{root}/one", f"{root}/two"], f"{root}/catalog").unchanged == 2


def test_a_single_object(root: str) -> None:
    store.write(f"{root}/images/ct.dcm", CT)
    store.write(f"{root}/images/mr.dcm", MR)
    ingest(f"{root}/images", f"{root}/catalog")
    assert ingest(f"{root}/images/ct.dcm", f"{root}/catalog").unchanged == 1
    assert len(Catalog(f"{root}/catalog").images()) == 2


def test_a_run_killed_at_any_moment_goes_on_to_the_same_catalog(root: str, archive: Path) -> None:
    store.upload_folder(archive / "images", f"{root}/images")
    ingest(f"{root}/images", f"{root}/whole")
    catalog, before = Catalog(f"{root}/catalog"), -1
    for more in (2, 3):
        run = subprocess.Popen([sys.executable, "-c", INGEST, f"{root}/images", catalog.uri])
        deadline = time.monotonic() + 60
        while run.poll() is None and time.monotonic() < deadline:
            if catalog.exists() and catalog.version() >= before + more:
                break
            time.sleep(0.01)
        run.send_signal(signal.SIGKILL)
        run.wait()
        version = catalog.version()
        assert version > before
        before = version
    done = len(catalog.to_arrow())
    sums = ingest(f"{root}/images", catalog.uri)
    assert (sums.objects, sums.images) == (120, 120)
    assert sums.unchanged == done >= 20
    assert catalog.version() >= before
    assert catalog.to_arrow().equals(Catalog(f"{root}/whole").to_arrow())


def test_a_kill_soon_after_the_start_loses_little(tmp_path: Path) -> None:
    """Long before ten thousand rows, with the commits that users have."""
    (tmp_path / "images").mkdir()
    (tmp_path / "one").write_bytes(MR)
    for number in range(6000):
        os.link(tmp_path / "one", tmp_path / "images" / f"{number:05d}.dcm")
    catalog = Catalog(str(tmp_path / "catalog"))
    command = [str(Path(sys.executable).parent / "medray"), "ingest", str(tmp_path / "images"), "--catalog", catalog.uri]
    run = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    while not catalog.exists() or catalog.version() < 1:
        assert run.poll() is None
        time.sleep(0.002)
    run.send_signal(signal.SIGKILL)
    run.wait()
    done = len(catalog.to_arrow())
    assert 250 <= done < 6000
    sums = ingest(str(tmp_path / "images"), catalog.uri)
    assert (sums.objects, sums.unchanged) == (6000, done)


def test_commits_grow_and_keep_their_time() -> None:
    quick, slow = Pace(10_000), Pace(10_000)
    sizes = []
    for _ in range(5):
        sizes.append(quick.rows)
        quick.took(quick.rows, quick.rows / 5000)
    assert sizes == [250, 1000, 4000, 10_000, 10_000]
    for _ in range(3):
        slow.took(slow.rows, slow.rows / 10)  # an archive of ten objects a second
    assert slow.rows == 200
    slow.took(1, 1000)
    assert slow.rows == 1


def test_an_object_replaced_since_it_was_listed_is_no_mixture_of_both(root: str) -> None:
    store.write(f"{root}/images/ct.dcm", CT)
    (info,) = store.list_objects(f"{root}/images")
    longer = pydicom.dcmread(io.BytesIO(CT))
    longer.add_new(0x00091010, "OB", bytes(2 * FIRST_BYTES))
    longer.save_as(stream := io.BytesIO())
    time.sleep(0.02)
    store.write(info.uri, stream.getvalue())
    ((entry,),) = inspected([Item(info)])
    assert isinstance(entry.outcome, StoreError)
    assert (entry.outcome.code, entry.outcome.retryable) == ("OBJECT_CHANGED", True)


def test_a_name_that_is_no_unicode(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for name in (b"\xff\xfe.dcm", b"a.dcm"):
        Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_bytes(CT)
    sums = ingest(str(folder), str(tmp_path / "catalog"))
    assert (sums.images, sums.quarantined, sums.reasons) == (1, 1, {"OBJECT_NAME": 1})
    assert ingest(str(folder), str(tmp_path / "catalog")).unchanged == 2
    assert len(object_rows(archives.list_objects(str(folder)))) == 2


def test_objects_of_unknown_size_are_read_whole(root: str) -> None:
    store.write(f"{root}/images/ct.dcm", CT)
    (info,) = store.list_objects(f"{root}/images")
    ((entry,),) = inspected([Item(ObjectInfo(info.uri, -1, info.etag))])
    assert (entry.outcome.modality, len(entry.content_sha256)) == ("CT", 64)


def test_training_records_the_version_that_it_reads(archive: Path, tmp_path: Path, tiny_config: Path) -> None:
    catalog = Catalog(str(tmp_path / "catalog"))
    ingest(str(archive / "images"), catalog.uri, str(archive / "labels.csv"), keep=["malignant"])
    config = load_config(str(tiny_config), TrainConfig, [f"output={tmp_path / 'out'}", f"catalog={catalog.uri}"])
    rows, version = labelled_samples(config.catalog, config.task, config.labels.split)
    assert version == catalog.version()
    assert rows["uri"].to_pylist() == catalog.images(version)["uri"].to_pylist()


# --- duplicates (case 75) ------------------------------------------------------------------------------------------------------


def test_the_same_instance_twice_is_one_image(root: str) -> None:
    for name in ("b", "a", "c"):
        store.write(f"{root}/images/{name}.dcm", CT)
    store.write(f"{root}/images/d.tar", tar(a=CT, b=MR))
    sums = ingest(f"{root}/images", f"{root}/catalog")
    assert (sums.objects, sums.images, sums.excluded, sums.reasons) == (5, 2, 3, {"DUPLICATE_INSTANCE": 3})
    assert [item["state"] for item in rows(root)] == ["IMAGE", "EXCLUDED", "EXCLUDED", "EXCLUDED", "IMAGE"]
    version = Catalog(f"{root}/catalog").version()
    assert ingest(f"{root}/images", f"{root}/catalog") == type(sums)(**{**vars(sums), "unchanged": 5})
    assert Catalog(f"{root}/catalog").version() == version
    store.delete(f"{root}/images/a.dcm")
    assert ingest(f"{root}/images", f"{root}/catalog").images == 2
    assert states(root)["b.dcm"] == ("IMAGE", "")


def test_contradicting_instances_are_quarantined_until_one_is_gone(root: str) -> None:
    store.write(f"{root}/images/a.dcm", with_uid(CT, "7", "one"))
    assert ingest(f"{root}/images", f"{root}/catalog").images == 1
    store.write(f"{root}/images/b.dcm", with_uid(CT, "7", "another"))
    store.write(f"{root}/images/c.dcm", MR)
    sums = ingest(f"{root}/images", f"{root}/catalog")
    assert (sums.images, sums.quarantined, sums.reasons) == (1, 2, {"DICOM_UID_CONFLICT": 2})
    store.delete(f"{root}/images/b.dcm")
    assert ingest(f"{root}/images", f"{root}/catalog").images == 2
    assert states(root)["a.dcm"] == ("IMAGE", "")


ENCODED = [(FILES / f"MR_small{name}.dcm").read_bytes() for name in ("", "_RLE", "_jp2klossless", "_bigendian")]


def test_one_image_in_several_encodings_is_there_once(root: str) -> None:
    for name, data in zip("dbca", ENCODED, strict=True):
        store.write(f"{root}/images/{name}.dcm", data)
    sums = ingest(f"{root}/images", f"{root}/catalog")
    assert (sums.images, sums.reasons) == (1, {"DUPLICATE_INSTANCE": 3})
    assert states(root)["a.dcm"] == ("IMAGE", ""), "the first by URI, whatever its encoding"
    found = rows(root)
    assert len({item["content_sha256"] for item in found}) == 4
    assert len({item["image_sha256"] for item in found}) == 1
    version = Catalog(f"{root}/catalog").version()
    assert ingest(f"{root}/images", f"{root}/catalog").images == 1
    assert Catalog(f"{root}/catalog").version() == version, "nothing is decided anew"
    store.delete(f"{root}/images/a.dcm")
    assert ingest(f"{root}/images", f"{root}/catalog").images == 1
    assert states(root)["b.dcm"] == ("IMAGE", "")


def test_what_an_image_is_was_kept_and_is_not_decoded_again(tmp_path: Path) -> None:
    root = str(tmp_path / "root")
    for name, data in zip("ab", ENCODED, strict=False):
        store.write(f"{root}/images/{name}.dcm", data)
    read: list[tuple[str, int, int]] = []
    for _ in range(2):
        read.clear()
        ingest(f"{root}/images", f"{root}/catalog", progress=lambda *told: read.append(told))
        compared = [told for told in read if told[0] == "compare images"]
        store.write(f"{root}/images/c.dcm", ENCODED[2])
    assert [done for _, done, _ in compared] == [1], "only the new one"
    assert ingest(f"{root}/images", f"{root}/catalog").reasons == {"DUPLICATE_INSTANCE": 2}


def test_other_values_and_pixels_that_cannot_be_decoded_contradict(root: str) -> None:
    changed = pydicom.dcmread(io.BytesIO(MR))
    changed.RescaleSlope, changed.RescaleIntercept = "2", "0"
    broken = bytearray(ENCODED[2])
    at = broken.index(b"\xff\x93") + 2
    broken[at : at + 400] = bytes(400)
    for name, other in (("values", saved(changed)), ("pixels", bytes(broken))):
        store.write(f"{root}/{name}/a.dcm", MR)
        store.write(f"{root}/{name}/b.dcm", other)
        sums = ingest(f"{root}/{name}", f"{root}/catalog-{name}")
        assert (sums.images, sums.reasons) == (0, {"DICOM_UID_CONFLICT": 2}), name
        store.write(f"{root}/{name}/b.dcm", ENCODED[1])
        sums = ingest(f"{root}/{name}", f"{root}/catalog-{name}")
        assert (sums.images, sums.reasons) == (1, {"DUPLICATE_INSTANCE": 1}), name


def saved(dataset: pydicom.Dataset) -> bytes:
    stream = io.BytesIO()
    dataset.save_as(stream)
    return stream.getvalue()


def test_a_catalog_in_its_own_archive_is_no_part_of_it(root: str) -> None:
    store.write(f"{root}/ct.dcm", CT)
    for catalog in (root, f"{root}/catalog"):
        assert [ingest(root, catalog).objects for _ in range(2)] == [1, 1]
        store.delete(f"{root}/instances")
