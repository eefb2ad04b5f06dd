"""Which input has which mask: tables of masks, columns of labels, and whether each mask is there."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from medray.data import store
from medray.data.catalog import Catalog
from medray.data.labels import read_labels
from medray.data.mask_table import mask_uris, read_masks, with_masks
from medray.errors import LabelError

ROWS = pa.table({"sop_uid": ["1", "2", "3"], "uri": ["a", "b", "c"]})


@pytest.fixture(params=["local", "s3"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A place of a test's own."""
    return str(tmp_path) if request.param == "local" else str(request.getfixturevalue("s3"))


def test_places_of_masks_are_relative_to_their_table(tmp_path: Path) -> None:
    (tmp_path / "masks.csv").write_text("SOPInstanceUID,mask\n1,a/b.png\n2,s3://x/c.png\n3,/d.png\n4,\n1,a/b.png\n")
    masks = read_masks(str(tmp_path / "masks.csv"))
    assert masks.to_pydict() == {"sop_uid": ["1", "2", "3"], "mask": [f"{tmp_path}/a/b.png", "s3://x/c.png", "/d.png"]}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("SOPInstanceUID,mask\n1,a.png\n1,b.png\n", "MASKS_CONFLICT"),
        ("SOPInstanceUID,finding\n1,a.png\n", "MASKS_COLUMNS"),
        ("StudyInstanceUID,mask\n1,a.png\n", "MASKS_COLUMNS"),
        ("mask\na.png\n", "LABELS_NO_KEY"),
    ],
)
def test_a_table_that_names_no_masks_is_refused(tmp_path: Path, text: str, code: str) -> None:
    (tmp_path / "masks.csv").write_text(text)
    with pytest.raises(LabelError) as caught:
        read_masks(str(tmp_path / "masks.csv"))
    assert caught.value.code == code


# --- columns of labels ---------------------------------------------------------------------------------------------------------


def test_a_column_of_labels_names_masks_also_from_the_catalog(root: str) -> None:
    text = "SOPInstanceUID,finding,outline\n1,benign,masks/1.png\n2,normal,\n3,benign,../b/./3.png\n4,benign,s3://x/4.png\n"
    store.write(f"{root}/set/labels.csv", text.encode())
    labels = read_labels(f"{root}/set/labels.csv")
    catalog = Catalog(f"{root}/catalog")
    catalog.set_labels(pa.table({"sop_uid": ["0"]}))
    catalog.set_labels(labels)
    expected = [f"{root}/set/masks/1.png", "", f"{root}/b/3.png", "s3://x/4.png"]
    kept = catalog.labels()
    for found in (labels, kept, kept.filter(pa.array([True] * 4)).select(["sop_uid", "outline"])):
        assert mask_uris(found, "outline") == expected
    assert kept.to_pylist()[2] == {"sop_uid": "3", "finding": "benign", "outline": "../b/./3.png"}, "the columns stay"


def test_a_parquet_table_knows_its_folder_too(tmp_path: Path) -> None:
    pq.write_table(pa.table({"path": ["x.dcm"], "mask": ["x.png"]}), tmp_path / "labels.parquet")
    assert mask_uris(read_labels(str(tmp_path / "labels.parquet")), "mask") == [f"{tmp_path}/x.png"]


def test_labels_that_were_kept_without_their_folder_name_masks_in_full_only() -> None:
    labels = pa.table({"sop_uid": ["1", "2", "3"], "mask": ["/a/1.png", "", "s3://x/2.png"]})
    assert mask_uris(labels, "mask") == ["/a/1.png", "", "s3://x/2.png"]
    with pytest.raises(LabelError) as caught:
        mask_uris(pa.table({"sop_uid": ["1"], "mask": ["masks/1.png"]}), "mask")
    assert caught.value.code == "MASKS_NO_FOLDER"
    with pytest.raises(LabelError) as caught:
        mask_uris(labels, "outline")
    assert caught.value.code == "LABELS_NO_TARGET"


# --- rows with their masks -----------------------------------------------------------------------------------------------------


def test_rows_get_masks_and_their_etags(root: str) -> None:
    for name in ("a/1.png", "b/c/3.png", "b/4.png"):
        store.write(f"{root}/{name}", name.encode())
    etags = {info.uri: info.etag for info in store.list_objects(root)}
    masks = [f"{root}/a/1.png", "", f"{root}/b/c/3.png"]
    rows = with_masks(ROWS, masks)
    assert rows.column_names == ["sop_uid", "uri", "mask", "mask_etag"]
    assert rows["mask"].to_pylist() == masks
    assert rows["mask_etag"].to_pylist() == [etags[masks[0]], "", etags[masks[2]]]
    assert all(etags.values())


def test_known_etags_are_not_asked_for(tmp_path: Path) -> None:
    rows = with_masks(ROWS, ["x://nowhere/1", "", ""], {"x://nowhere/1": "e"})
    assert rows["mask_etag"].to_pylist() == ["e", "", ""]
    assert with_masks(ROWS, ["", "", ""])["mask_etag"].to_pylist() == ["", "", ""]


def test_masks_in_very_many_folders_are_found(tmp_path: Path) -> None:
    masks = [f"{tmp_path}/{number % 3}/{number}/m.png" for number in range(200)]
    for mask in masks:
        store.write(mask, b"m")
    rows = with_masks(pa.table({"sop_uid": [str(number) for number in range(200)]}), masks)
    assert all(rows["mask_etag"].to_pylist())


@pytest.mark.parametrize("folder", ["a", "nowhere"])
def test_a_mask_that_is_not_there_is_named(root: str, folder: str) -> None:
    store.write(f"{root}/a/1.png", b"m")
    masks = [f"{root}/a/1.png", f"{root}/{folder}/2.png", f"{root}/{folder}/3.png"]
    with pytest.raises(LabelError) as caught:
        with_masks(ROWS, masks)
    assert caught.value.code == "MASKS_NOT_FOUND"
    assert f"{root}/{folder}" in caught.value.message
    if folder == "a":
        assert "2 of 3 masks" in caught.value.message
        assert masks[1] in caught.value.message
        assert with_masks(ROWS, masks, all_there=False)["mask_etag"].to_pylist()[1:] == ["", ""]


def test_all_masks_of_busi_are_there(busi: Path) -> None:
    labels = read_labels(str(busi / "labels.csv"))
    rows = with_masks(labels, mask_uris(labels, "mask"))
    named = [etag for mask, etag in zip(rows["mask"].to_pylist(), rows["mask_etag"].to_pylist(), strict=True) if mask]
    assert len(named) == len(list((busi / "masks").iterdir()))
    assert all(named)
