from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from medray.cataloguing.ingest import ingest
from medray.data.catalog import Catalog
from medray.data.key_file import the_key
from medray.data.labels import read_labels
from medray.data.pseudonym import using
from medray.data.splits import SplitSpec
from medray.errors import LabelError
from medray.runs.labelled import labelled, splits_of
from medray.runs.samples import labelled_samples
from medray.tasks.binary import Binary
from medray.tasks.segmentation import Segmentation


@pytest.fixture(scope="module")
def masks(archive: Path) -> dict[str, str]:
    """SOP Instance UID → URI of its mask, "" where it has none."""
    with (archive / "labels.csv").open() as file:
        rows = list(csv.DictReader(file))
    return {row["SOPInstanceUID"]: str(archive / row["mask"]) if row["mask"] else "" for row in rows}


def found(rows: pa.Table) -> dict[str, str]:
    assert rows["mask"].to_pylist() == rows["target"].to_pylist()
    etags = rows["mask_etag"].to_pylist()
    assert [bool(etag) for etag in etags] == [bool(mask) for mask in rows["mask"].to_pylist()]
    return dict(zip(rows["sop_uid"].to_pylist(), rows["mask"].to_pylist(), strict=True))


@pytest.mark.parametrize("without_mask", ["left_out", "empty"])
def test_masks_that_labels_name(without_mask: str, catalogued: str, masks: dict[str, str]) -> None:
    task = Segmentation.model_validate({"without_mask": without_mask})
    rows, _ = labelled_samples(catalogued, task, SplitSpec())
    expected = masks if without_mask == "empty" else {uid: mask for uid, mask in masks.items() if mask}
    assert found(rows) == expected
    assert set(rows["split"].to_pylist()) == {"train", "val", "test"}


def test_masks_that_lie_in_the_archive(archive: Path, masks: dict[str, str], tmp_path: Path) -> None:
    ingest([str(archive / "images"), str(archive / "masks")], str(tmp_path / "catalog"))
    rows, _ = labelled_samples(str(tmp_path / "catalog"), Segmentation(masks="archive"), SplitSpec())
    assert found(rows) == {uid: mask for uid, mask in masks.items() if mask}
    catalog = Catalog(str(tmp_path / "catalog"))
    with using(the_key()):
        labels = read_labels(str(archive / "labels.csv"))
    both = labelled(catalog.images(), labels, Segmentation(masks="archive", without_mask="empty"), catalog.segmentations)
    assert found(both) == masks


def test_an_archive_without_segmentations(catalogued: str) -> None:
    with pytest.raises(LabelError, match="none of 0 segmentations refers to one of 120 images") as refused:
        labelled_samples(catalogued, Segmentation(masks="archive"), SplitSpec())
    assert refused.value.code == "LABELS_NO_MATCH"


def test_a_mask_that_is_not_there(archive: Path, tmp_path: Path) -> None:
    text = (archive / "labels.csv").read_text()
    (tmp_path / "labels.csv").write_text(text)  # masks are looked for beside it
    ingest(str(archive / "images"), str(tmp_path / "catalog"), str(tmp_path / "labels.csv"))
    with pytest.raises(LabelError) as refused:
        labelled_samples(str(tmp_path / "catalog"), Segmentation(), SplitSpec())
    assert refused.value.code == "MASKS_NOT_FOUND"


def test_a_table_of_splits_may_name_patients(catalogued: str, tmp_path: Path) -> None:
    """It is read without the key, so what it calls them means nothing."""
    images = Catalog(catalogued).images()
    rows = "".join(f"{uid},P{at % 2},{('train', 'val')[at % 2]}\n" for at, uid in enumerate(images["sop_uid"].to_pylist()))
    (tmp_path / "split.csv").write_text(f"SOPInstanceUID,PatientID,split\n{rows}")
    found = splits_of(images, read_labels(str(tmp_path / "split.csv")), "split.csv")
    assert found.to_pylist() == [("train", "val")[at % 2] for at in range(len(images))]


@pytest.fixture
def twice(archive: Path, tmp_path: Path) -> Callable[[str], pa.Table]:
    """The samples of 40 images of which two lie in the archive a second time, by labels of these and further rows."""
    images = sorted((archive / "images").rglob("*.dcm"))[:40]
    for number, image in enumerate(images):
        for folder in ("a", "b") if number < 2 else ("a",):
            place = tmp_path / "images" / folder / f"{number}.dcm"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(image.read_bytes())

    def samples(rows: str) -> pa.Table:
        known = "".join(f"a/{number}.dcm,{number % 2}\n" for number in range(2, 40))
        (tmp_path / "labels.csv").write_text(f"path,y\n{known}{rows}")
        ingest(str(tmp_path / "images"), str(tmp_path / "catalog"), str(tmp_path / "labels.csv"), keep=["y"])
        return labelled_samples(str(tmp_path / "catalog"), Binary(target="y"), SplitSpec())[0]

    return samples


@pytest.mark.parametrize("rows", ["a/0.dcm,1\nb/0.dcm,1\n1.dcm,0\n", "b/0.dcm,1\na/1.dcm,0\n"])
def test_a_label_of_a_duplicate_is_one_of_its_image(rows: str, twice: Callable[[str], pa.Table]) -> None:
    found = twice(rows)
    targets = {uri[-7:]: target for uri, target in zip(found["uri"].to_pylist(), found["target"].to_pylist(), strict=True)}
    assert len(targets) == 40
    assert (targets["a/0.dcm"], targets["a/1.dcm"]) == (1, 0)


def test_two_labels_of_one_image_at_two_places_are_refused(twice: Callable[[str], pa.Table]) -> None:
    with pytest.raises(LabelError, match=r"LABELS_CONFLICT: .* rows 40 and 39 \(two labels\)"):
        twice("a/0.dcm,1\nb/0.dcm,0\n")
