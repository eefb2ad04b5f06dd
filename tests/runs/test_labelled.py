from __future__ import annotations

import csv
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
from medray.runs.labelled import labelled
from medray.runs.samples import labelled_samples
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
