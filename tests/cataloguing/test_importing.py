"""``medray import`` on local folders and S3: images, labels and masks as other commands take them, nothing twice or lost."""

from __future__ import annotations

import csv
import io
import json
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import foreign_files as made
import numpy as np
import pydicom
import pytest

from medray.cataloguing.importing.folder import Folder
from medray.cataloguing.importing.run import ImportSpec, ImportSummary, import_images
from medray.cataloguing.ingest import ingest
from medray.data import store
from medray.data.catalog import Catalog
from medray.data.dicom import decode
from medray.data.key_file import the_key
from medray.data.labels import join_labels, read_labels
from medray.data.mask_table import read_masks
from medray.data.masks import decode_mask
from medray.data.phantom import SyntheticSpec, phantom
from medray.data.pseudonym import using
from medray.data.volume import build_volume
from medray.data.volume_masks import decode_volume_mask
from medray.errors import ConfigError, LabelError, Quarantined
from medray.tasks.binary import Binary

Run = Callable[..., "subprocess.CompletedProcess[str]"]
US = ImportSpec(modality="US", spacing_mm=(None, 0.1, 0.1))


@pytest.fixture(params=["local", "s3"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A place of a test's own."""
    return str(tmp_path / "root") if request.param == "local" else str(request.getfixturevalue("s3"))


def pixels(number: int) -> made.Array:
    return made.random(24, 32, seed=number)


def put(root: str, files: dict[str, bytes]) -> str:
    for name, data in files.items():
        store.write(f"{root}/src/{name}", data)
    return f"{root}/src"


def put_table(uri: str, rows: list[dict[str, object]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    store.write(uri, text.getvalue().encode())
    return uri


def table(uri: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(store.read(uri).decode())))


def objects(uri: str) -> dict[str, bytes]:
    return {info.uri.removeprefix(uri + "/"): store.read(info.uri) for info in store.list_objects(uri)}


def check_sums(found: ImportSummary) -> None:
    assert found.inputs == found.imported + found.unchanged + found.excluded + found.quarantined + found.failed
    assert sum(found.reasons.values()) == found.excluded + found.quarantined + found.failed


def test_images_labels_and_masks_are_read_by_ingest_and_extract(root: str) -> None:
    source = put(root, {f"{'ab'[i % 2]}/i{i}.png": made.png(pixels(i)) for i in range(6)})
    for i in range(5):
        store.write(f"{root}/drawn/{'ab'[i % 2]}/i{i}_mask.png", made.png((pixels(i) > 99).astype(np.uint8) * 255))
    rows = [{"image": f"i{i}.png", "PatientID": f"p{i // 2}", "malignant": i % 2, "note": "ä, b"} for i in range(6)]
    labels = put_table(f"{root}/table.csv", rows)
    found = import_images(source, f"{root}/out", US, labels, masks=f"{root}/drawn", keep=["image", "malignant", "note"])
    check_sums(found)
    assert (found.imported, found.labelled, found.masks, found.without_patient, found.attention) == (6, 6, 5, 0, 0)
    summary = ingest(f"{root}/out/images", f"{root}/catalog", f"{root}/out/labels.csv")
    assert (summary.images, summary.labelled, summary.quarantined) == (6, 6, 0)
    catalogued = Catalog(f"{root}/catalog").images()
    assert set(catalogued["modality"].to_pylist()) == {"US"}
    assert len(set(catalogued["patient_key"].to_pylist())) == 3
    with using(the_key()):
        labels = read_labels(f"{root}/out/labels.csv")
    joined = join_labels(catalogued, labels, Binary(target="malignant"))
    masks = dict(zip(*(read_masks(f"{root}/out/masks.csv")[name].to_pylist() for name in ("sop_uid", "mask")), strict=True))
    by_uid = {row["SOPInstanceUID"]: row for row in table(f"{root}/out/labels.csv")}
    for row in joined.to_pylist():
        image = decode(store.read(row["uri"]))
        number = int(by_uid[row["sop_uid"]]["image"][1])
        assert np.array_equal(image.pixels, pixels(number))
        assert (row["target"], by_uid[row["sop_uid"]]["note"], image.spacing_mm) == (number % 2, "ä, b", (0.1, 0.1))
        if number < 5:
            assert np.array_equal(decode_mask(store.read(masks[row["sop_uid"]]), image), pixels(number) > 99)
        else:
            assert row["sop_uid"] not in masks


def test_a_second_import_adds_nothing_and_new_files_are_added(root: str) -> None:
    source = put(root, {f"i{i}.png": made.png(pixels(i)) for i in range(3)})
    labels = put_table(f"{root}/table.csv", [{"file": f"i{i}", "y": i} for i in range(3)])
    import_images(source, f"{root}/out", US, labels)
    before = objects(f"{root}/out")
    again = import_images(source, f"{root}/out", US, labels)
    assert (again.imported, again.unchanged, again.labelled) == (0, 3, 3)
    after = objects(f"{root}/out")
    assert {name: data for name, data in after.items() if "import/" not in name} == {
        name: data for name, data in before.items() if "import/" not in name
    }
    put(root, {"i3.jpg": made.jpeg(pixels(3)), "copy of i0.bmp": made.pillow(made.Pillow.fromarray(pixels(0)), "BMP")})
    more = import_images(source, f"{root}/out", US, labels)
    assert (more.imported, more.unchanged, more.duplicates, more.labelled) == (1, 3, 1, 3)
    assert set(objects(f"{root}/out/images")) > {name.partition("/")[2] for name in before if name.startswith("images/")}
    for other in (ImportSpec(), ImportSpec(modality="US"), US.model_copy(update={"units": "HU"})):
        with pytest.raises(ConfigError, match="IMPORT_OTHER_SETTINGS"):
            import_images(source, f"{root}/out", other, labels)


def test_every_bad_input_is_counted_and_the_rest_is_imported(root: str) -> None:
    source = put(
        root,
        {
            "good.png": made.png(pixels(1)),
            "a/same.png": made.png(pixels(2)),
            "b/same.png": made.png(pixels(3)),
            "film.gif": made.pillow(made.Pillow.fromarray(pixels(1)), "GIF"),
            "ink.jpg": made.jpeg(made.random(9, 9, 4)),
            "turned.jpg": made.with_exif(made.jpeg(pixels(1)), 6),
            "cut.jpg": made.jpeg(made.random(64, 64, 3))[:900],
            "glass.png": made.png(made.random(9, 9, 4)),
            "text.png": b"text",
            "readme.txt": b"text",
            "old.dcm": bytes(128) + b"DICM",
        },
    )
    rows = [{"file": name, "y": 1} for name in ("good", "same", "film.gif", "lost.png", "a/same.png", "b/same.png")]
    labels = put_table(f"{root}/src/labels.csv", [*rows, {"file": "b/same.png", "y": 2}])
    found = import_images(source, f"{root}/out", ImportSpec(), labels, keep=["y"])
    check_sums(found)
    assert found.imported == 3
    assert found.reasons == {
        "IMPORT_ALPHA": 1,
        "IMPORT_BROKEN": 2,
        "IMPORT_CMYK": 1,
        "IMPORT_DICOM": 1,
        "IMPORT_GIF": 1,
        "IMPORT_NO_IMAGE": 1,
        "IMPORT_TURNED": 1,
    }
    assert found.labels_left_out == {
        "IMPORT_LABEL_AMBIGUOUS": 1,
        "IMPORT_LABEL_CONFLICT": 2,
        "IMPORT_LABEL_NOT_IMPORTED": 1,
        "IMPORT_LABEL_NO_FILE": 1,
    }
    assert found.attention == found.quarantined + 5
    report = {row["file"]: row for row in table(f"{root}/out/import/files.csv")}
    assert len(report) == found.inputs == 11
    assert report["film.gif"]["code"] == "IMPORT_GIF"
    left_out = {(row["code"], row["file"]) for row in table(f"{root}/out/import/labels-left-out.csv")}
    assert ("IMPORT_LABEL_NO_FILE", "lost.png") in left_out
    assert len(table(f"{root}/out/labels.csv")) == found.labelled == 2


def test_one_image_under_two_names_needs_one_label(tmp_path: Path) -> None:
    source = put(str(tmp_path), {"a.png": made.png(pixels(1)), "b.png": made.png(pixels(1)), "c.png": made.png(pixels(2))})
    for values, labelled in (((0, 0, 1), 2), ((0, 1, 1), 1)):
        rows = [{"file": name, "y": value} for name, value in zip(("a", "b", "c"), values, strict=True)]
        labels = put_table(f"{tmp_path}/table.csv", rows)
        found = import_images(source, f"{tmp_path}/out", ImportSpec(), labels, keep=["y"])
        assert (found.imported + found.unchanged, found.duplicates, found.labelled) == (2, 1, labelled)
        assert len(table(f"{tmp_path}/out/labels.csv")) == labelled
    assert found.labels_left_out == {"IMPORT_DUPLICATE_LABELS": 2}


def test_a_corrected_patient_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    source = put(str(tmp_path), {"a.png": made.png(pixels(1)), "a_mask.png": made.png(pixels(2) // 200)})
    import_images(source, f"{tmp_path}/out", ImportSpec(), masks=source)
    for patient in ("p1", "p2"):
        labels = put_table(f"{tmp_path}/table.csv", [{"file": "a.png", "patient": patient}])
        found = import_images(source, f"{tmp_path}/out", ImportSpec(), labels, masks=source)
        (data,) = objects(f"{tmp_path}/out/images").values()
        (mask,) = objects(f"{tmp_path}/out/masks").values()
        assert {pydicom.dcmread(io.BytesIO(one)).PatientID for one in (data, mask)} == {patient}
        assert (found.imported, found.without_patient) == (1, 0)
    found = import_images(source, f"{tmp_path}/out", ImportSpec(), masks=source)
    assert (found.unchanged, found.without_patient) == (1, 0)
    assert list(objects(f"{tmp_path}/out/images").values()) == [data]


def test_a_patient_and_a_mask_that_are_not_known_are_none(tmp_path: Path) -> None:
    """Or all images of an unknown patient were one patient's."""
    source = put(str(tmp_path), {f"{i}.png": made.png(pixels(i)) for i in range(3)})
    rows = [{"file": f"{i}.png", "patient": one, "mask": one} for i, one in enumerate(("NA", "unknown", " ? "))]
    found = import_images(source, f"{tmp_path}/out", ImportSpec(), put_table(f"{tmp_path}/t.csv", rows), masks="mask")
    assert (found.imported, found.without_patient, found.masks_left_out) == (3, 3, {})
    assert {pydicom.dcmread(io.BytesIO(one)).PatientID for one in objects(f"{tmp_path}/out/images").values()} == {""}


def test_an_npz_gives_images_labels_and_splits(root: str) -> None:
    images = {f"{split}_images": made.random(4, 28, 28, 3, seed=at) for at, split in enumerate(("train", "val", "test"))}
    labels = {f"{split}_labels": np.arange(4)[:, None] % 2 for split in ("train", "val", "test")}
    source = put(root, {"breastmnist.npz": made.npz(**images, **labels)})
    found = import_images(source, f"{root}/out", ImportSpec())
    check_sums(found)
    assert (found.imported, found.labelled, found.without_patient) == (12, 12, 12)
    rows = {row["SOPInstanceUID"]: row for row in table(f"{root}/out/labels.csv")}
    report = {row["file"]: row["SOPInstanceUID"] for row in table(f"{root}/out/import/files.csv")}
    for split, name in (("train", "train_images"), ("val", "val_images"), ("test", "test_images")):
        for number in range(4):
            uid = report[f"breastmnist.npz#{name}/{number}"]
            assert (rows[uid]["split"], rows[uid]["label"]) == (split, str(number % 2))
            dataset = pydicom.dcmread(io.BytesIO(store.read(f"{root}/out/images/{uid}.dcm")))
            assert np.array_equal(dataset.pixel_array, images[name][number])
    assert ingest(f"{root}/out/images", f"{root}/catalog", f"{root}/out/labels.csv").labelled == 12


def test_volumes_with_their_masks_by_a_column_of_the_table(root: str) -> None:
    affine = np.diag([-0.7, 0.8, 2.5, 1.0])
    voxels = [np.random.default_rng(i).integers(-900, 900, (6, 5, 4)).astype(np.int16) for i in range(2)]
    files = {f"ct{i}/volume.nii": made.nifti(one, affine) for i, one in enumerate(voxels)}
    files |= {f"ct{i}/liver.nii": made.nifti((one > 0).astype(np.uint8), affine) for i, one in enumerate(voxels)}
    source = put(root, files)
    rows = [{"path": f"ct{i}/volume.nii", "drawn": f"ct{i}/liver.nii", "y": i} for i in range(2)]
    labels = put_table(f"{root}/table.csv", rows)
    found = import_images(source, f"{root}/out", ImportSpec(modality="CT", units="HU"), labels, masks="drawn")
    check_sums(found)
    assert (found.inputs, found.imported, found.masks, found.attention) == (2, 2, 2, 0)
    masks = read_masks(f"{root}/out/masks.csv", "series_uid")
    by_series = dict(zip(masks["series_uid"].to_pylist(), masks["mask"].to_pylist(), strict=True))
    for data in objects(f"{root}/out/images").values():
        volume = build_volume(data)
        assert np.allclose(volume.spacing_mm, (2.5, 0.8, 0.7))
        mask = decode_volume_mask(store.read(by_series[volume.headers[0].series_uid]), volume)
        assert np.array_equal(mask, volume.voxels > 0)


def test_masks_beside_the_images_are_chosen_by_a_pattern(tmp_path: Path) -> None:
    files = {}
    for i in range(3):
        marked = (pixels(i) > 99).astype(np.uint8) * 255
        left, right = marked.copy(), marked.copy()
        left[:, 16:], right[:, :16] = 0, 0
        files |= {f"benign ({i}).png": made.png(pixels(i)), f"benign ({i})_mask.png": made.png(left)}
        files |= {f"benign ({i})_mask_1.png": made.png(right)}
    source = put(str(tmp_path), {**files, "stray_mask.png": made.png(pixels(9))})
    for masks in ("*_mask*.png", source):
        found = import_images(source, f"{tmp_path}/out", ImportSpec(), masks=masks)
        assert (found.imported + found.unchanged, found.masks, found.masks_left_out) == (3, 3, {"IMPORT_MASK_NO_IMAGE": 1})
    masks = read_masks(f"{tmp_path}/out/masks.csv")
    for uid, mask in zip(masks["sop_uid"].to_pylist(), masks["mask"].to_pylist(), strict=True):
        image = decode(store.read(f"{tmp_path}/out/images/{uid}.dcm"))
        assert np.array_equal(decode_mask(store.read(mask), image), image.pixels > 99)
    with pytest.raises(ConfigError, match="IMPORT_MASKS"):
        import_images(source, f"{tmp_path}/out", ImportSpec(), masks="*.nothing")


def test_members_of_a_zip_and_one_file_are_sources_too(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as packed:
        for i in range(3):
            packed.writestr(f"images/i{i}.png", made.png(pixels(i)))
    labels = put_table(f"{tmp_path}/table.csv", [{"file": f"i{i}", "y": i} for i in range(3)])
    found = import_images(str(tmp_path / "set.zip"), f"{tmp_path}/out", ImportSpec(), labels)
    assert (found.imported, found.labelled) == (3, 3)
    (tmp_path / "one.png").write_bytes(made.png(pixels(7)))
    other = import_images(str(tmp_path / "one.png"), f"{tmp_path}/other", ImportSpec())
    assert (other.inputs, other.imported) == (1, 1)


def test_a_detached_volume_is_one_input_and_its_archive_may_lie_inside_the_source(root: str, tmp_path: Path) -> None:
    made.itk(np.arange(60, dtype=np.int16).reshape(3, 4, 5), tmp_path / "v.mhd")
    source = put(root, {f"deep/{path.name}": path.read_bytes() for path in tmp_path.iterdir() if path.is_file()})
    for state in ("imported", "unchanged"):
        found = import_images(source, f"{source}/dicom", ImportSpec())
        assert (found.inputs, getattr(found, state), found.attention) == (1, 1, 0), found.reasons


def test_the_archive_may_lie_above_the_source_but_not_in_its_place(tmp_path: Path) -> None:
    source = put(str(tmp_path), {"a.png": made.png(pixels(1))})
    assert import_images(source, str(tmp_path), ImportSpec()).imported == 1
    assert import_images(source, str(tmp_path), ImportSpec()).unchanged == 1
    for wrong in (source, str(tmp_path / "images")):
        with pytest.raises(ConfigError, match="IMPORT_OUT"):
            import_images(wrong, source if wrong == source else str(tmp_path), ImportSpec())


def test_tables_that_name_nothing_or_in_two_ways_are_refused(tmp_path: Path) -> None:
    source = put(str(tmp_path), {f"{i}.png": made.png(pixels(i)) for i in range(4)})
    strange = put_table(f"{tmp_path}/strange.csv", [{"file": "x", "age": age} for age in (1, 40, 50, 60)])
    with pytest.raises(LabelError, match="LABELS_NO_KEY"):
        import_images(source, f"{tmp_path}/out", ImportSpec(), strange)
    with pytest.raises(LabelError, match="LABELS_NO_KEY"):
        import_images(source, f"{tmp_path}/out", ImportSpec(), strange, key="nothing")
    rows = [{"SOPInstanceUID": f"{i}", "age": 7 - i, "y": i} for i in range(4)]
    kept = ["OriginalSOPInstanceUID", "y"]
    found = import_images(source, f"{tmp_path}/out", ImportSpec(), put_table(f"{tmp_path}/t.csv", rows), keep=kept)
    assert found.labelled == 4
    assert {row["OriginalSOPInstanceUID"]: row["y"] for row in table(f"{tmp_path}/out/labels.csv")} == {
        str(i): str(i) for i in range(4)
    }


def test_a_killed_import_goes_on_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    source = put(str(tmp_path), {f"i{i:04d}.png": made.png(made.random(200, 200, seed=i)) for i in range(300)})
    words = [str(Path(sys.executable).parent / "medray"), "import", source, "--out", str(tmp_path / "out")]
    images = tmp_path / "out" / "images"
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as killed:
        deadline = time.monotonic() + 60
        while not (images.is_dir() and len(list(images.iterdir())) > 20) and time.monotonic() < deadline:
            time.sleep(0.01)
        killed.send_signal(signal.SIGKILL)
    before = len(list(images.glob("2.25*.dcm")))
    assert 0 < before < 300
    (images / ".2.25.1.dcm.0123abcd.partial").write_bytes(b"half")
    found = import_images(source, str(tmp_path / "out"), ImportSpec())
    assert (found.imported, found.unchanged) == (300 - before, before)
    assert sorted(images.iterdir()) == sorted(images.glob("2.25*.dcm"))
    assert len(list(images.iterdir())) == 300
    for path in list(images.iterdir())[::40]:
        assert decode(path).pixels.shape == (200, 200)


def test_what_another_import_writes_at_the_same_time_stays(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    half = folder / ".2.25.1.dcm.0123abcd.partial"
    half.write_bytes(b"half")
    first = Folder(str(folder))
    half.replace(folder / "2.25.1.dcm")
    first.tidy()
    assert [path.name for path in folder.iterdir()] == ["2.25.1.dcm"]


def test_settings_hold_once_there_are_images(tmp_path: Path) -> None:
    out, settings = str(tmp_path / "out"), tmp_path / "out" / "import" / "settings.json"
    nothing = put(str(tmp_path / "nothing"), {"a.png": b"no picture"})
    assert import_images(nothing, out, ImportSpec()).quarantined == 1
    source = put(str(tmp_path / "source"), {"a.png": made.png(made.random(8, 9))})
    assert import_images(source, out, ImportSpec(modality="US")).imported == 1
    for text in ("{", "[]"):
        settings.write_text(text)
        with pytest.raises(ConfigError, match="IMPORT_OTHER_SETTINGS"):
            import_images(source, out, ImportSpec(modality="US"))


def test_the_command_says_what_it_did(tmp_path: Path, medray: Run) -> None:
    source = put(str(tmp_path), {"a.png": made.png(pixels(1)), "b.gif": b"GIF89a"})
    words = ["import", source, "--out", str(tmp_path / "out"), "--modality", "US", "--spacing", "0.1,0.2"]
    done = medray(*words, "--json")
    assert done.returncode == 3, done.stderr
    said = json.loads(done.stdout)
    assert (said["inputs"], said["imported"], said["quarantined"], said["reasons"]) == (2, 1, 1, {"IMPORT_GIF": 1})
    assert said["images_at"] == str(tmp_path / "out" / "images")
    assert "PatientID" in done.stderr
    assert f"1 inputs need attention (IMPORT_GIF 1); the rest is done; {tmp_path / 'out'}/import says which" in done.stderr
    assert "Import" in medray(*words).stdout
    (path,) = (tmp_path / "out" / "images").iterdir()
    assert decode(path).spacing_mm == (0.1, 0.2)
    for wrong in (["--spacing", "x"], ["--spacing", "-1"], ["--modality", "us"], ["--spacing", "0.3"]):
        failed = medray(*words, *wrong)
        assert failed.returncode == 1, wrong
        assert failed.stderr.strip().count("\n") == 0
        assert failed.stderr.startswith("medray: ")
    assert "{1,16}$', not 'us'" in medray(*words, "--modality", "us").stderr


def test_one_number_is_the_size_of_pixels_and_not_the_distance_of_frames(tmp_path: Path, medray: Run) -> None:
    source = put(str(tmp_path), {"cine.tif": made.tiff(made.random(5, 24, 32)), "readme.txt": b"no image"})
    done = medray("import", source, "--out", str(tmp_path / "out"), "--modality", "US", "--spacing", "0.1")
    assert done.returncode == 0, done.stderr
    (path,) = (tmp_path / "out" / "images").iterdir()
    assert decode(path, frame=2).spacing_mm == (0.1, 0.1)
    with pytest.raises(Quarantined) as caught:
        build_volume(str(path))
    assert caught.value.code == "VOLUME_NO_GEOMETRY", "frames of a loop are moments: one number says nothing of their distance"


def test_what_is_excluded_is_not_said_to_need_attention(tmp_path: Path, medray: Run) -> None:
    source = put(str(tmp_path), {"a.png": made.png(pixels(1)), "b.gif": b"GIF89a", "readme.txt": b"no image"})
    done = medray("import", source, "--out", str(tmp_path / "out"))
    assert "1 inputs need attention (left out in all: IMPORT_GIF 1, IMPORT_NO_IMAGE 1); the rest is done" in done.stderr


def test_every_object_that_is_written_is_valid(tmp_path: Path) -> None:
    files = {"g.png": made.png(pixels(0)), "c.jpg": made.jpeg(made.random(24, 32, 3)), "s.npy": made.npy(made.random(3, 24, 32))}
    files |= {"v.nii": made.nifti(np.arange(60, dtype=np.int16).reshape(3, 4, 5), np.diag([1.0, 2, 3, 1]))}
    masks = {"g.png": made.png((pixels(0) > 9).astype(np.uint8)), "c.png": made.png(np.zeros((24, 32), np.uint8))}
    masks |= {"v.nii": made.nifti(np.ones((3, 4, 5), np.uint8), np.diag([1.0, 2, 3, 1]))}
    source = put(str(tmp_path), files)
    for name, data in masks.items():
        store.write(f"{tmp_path}/drawn/{name}", data)
    labels = put_table(f"{tmp_path}/t.csv", [{"file": name, "PatientID": f"Müller {name}"} for name in files])
    found = import_images(source, f"{tmp_path}/out", US, labels, masks=f"{tmp_path}/drawn")
    assert (found.imported, found.masks) == (4, 3)
    for folder in ("images", "masks"):
        for data in objects(f"{tmp_path}/out/{folder}").values():
            assert made.errors_of(data, tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize("place", ["local", "s3"])
def test_imported_pngs_are_ingested_and_trained_on(
    place: str, request: pytest.FixtureRequest, tmp_path: Path, medray: Run, tiny_config: Path
) -> None:
    root = str(tmp_path) if place == "local" else str(request.getfixturevalue("s3"))
    spec, rows, files = SyntheticSpec(patients=60, rows=64, columns=64, difficulty=0.2, seed=7), [], {}
    for number in range(spec.count):
        image = phantom(spec, number)
        files[f"{number:03d}.png"] = made.png(image.pixels)
        rows.append({"name": f"{number:03d}", "PatientID": f"P{number}", "malignant": image.malignant})
    source = put(root, files)
    labels = put_table(f"{root}/table.csv", rows)
    keep = ("--keep", "malignant")
    assert medray("import", source, "--out", f"{root}/out", "--labels", labels, "--modality", "US", *keep).returncode == 0
    here = ("--catalog", f"{root}/catalog", "--labels", f"{root}/out/labels.csv", *keep)
    done = medray("ingest", f"{root}/out/images", *here, "--json")
    assert json.loads(done.stdout)["labelled"] == spec.count, done.stderr
    sets = [f"output={root}/trained", f"catalog={root}/catalog", "models={svm: {family: svm, input: table}}"]
    words = [part for setting in sets for part in ("--set", setting)]
    trained = medray("train", str(tiny_config), *words, "--json", timeout_s=500)
    assert trained.returncode == 0, trained.stderr
    assert json.loads(trained.stdout)["best"] == "svm"
