"""DICOM SEGs that lie in the archive find the images that they refer to."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from dicom_series import as_bytes
from pydicom.dataset import Dataset
from segmentations import drawn, item, sources

from medray.cataloguing.ingest import ingest
from medray.data import archive, store
from medray.data.catalog import Catalog
from medray.data.dicom import decode
from medray.data.mask_references import referenced_masks
from medray.data.mask_table import with_masks
from medray.data.masks import decode_mask
from medray.errors import LabelError

FRAMES = np.ones((2, 4, 5), np.uint8)


def of_frames(*uids: str) -> dict[str, Any]:
    """Each frame refers to an image."""
    return {"PerFrameFunctionalGroupsSequence": [item(DerivationImageSequence=sources(uid)) for uid in uids]}


def of_whole(*uids: str) -> dict[str, Any]:
    """The whole refers to the images of a series."""
    instances = [item(ReferencedSOPInstanceUID=uid) for uid in uids]
    return {"ReferencedSeriesSequence": [item(SeriesInstanceUID="9", ReferencedInstanceSequence=instances)]}


def found_in(folder: Path, *objects: Dataset | bytes) -> pa.Table:
    """Catalog rows of segmentations, 0.dcm, 1.dcm, …"""
    rows = []
    for number, one in enumerate(objects):
        data, uri = one if isinstance(one, bytes) else as_bytes(one), f"{folder}/{number}.dcm"
        store.write(uri, data)
        sop_uid = "0" if isinstance(one, bytes) else str(one.SOPInstanceUID)
        rows.append({"uri": uri, "etag": store.list_objects(uri)[0].etag, "size_bytes": len(data), "sop_uid": sop_uid})
    return pa.Table.from_pylist(rows)


def test_frames_and_the_whole_name_images(tmp_path: Path) -> None:
    objects = found_in(
        tmp_path,
        drawn(FRAMES, **of_frames("1.1", "1.2")),
        drawn(FRAMES, **of_whole("2.1", "2.2")),
        drawn(FRAMES[:1], **of_frames("3.1"), **of_whole("3.1", "3.2")),
        drawn(FRAMES),
    )
    images = ["1.1", "1.2", "2.1", "2.2", "3.1", "3.2", "4.1"]
    found = referenced_masks(objects, images)
    assert found == {uid: f"{tmp_path}/{int(uid[0]) - 1}.dcm" for uid in images[:-1]}
    assert referenced_masks(objects, ["2.2"]) == {"2.2": f"{tmp_path}/1.dcm"}
    assert referenced_masks(objects, []) == {}
    assert referenced_masks(objects.slice(0, 0), images) == {}


def test_two_for_one_image_are_refused_unless_one_is_chosen(tmp_path: Path) -> None:
    first, second = drawn(FRAMES, **of_frames("1.1", "1.2")), drawn(FRAMES, **of_frames("1.2", "1.3"))
    objects = found_in(tmp_path, first, second)
    with pytest.raises(LabelError) as caught:
        referenced_masks(objects, ["1.1", "1.2", "1.3"])
    assert caught.value.code == "MASKS_SEVERAL"
    assert all(text in caught.value.message for text in ("1.2", f"{tmp_path}/0.dcm", f"{tmp_path}/1.dcm"))
    assert referenced_masks(objects, ["1.1", "1.3"]) == {"1.1": f"{tmp_path}/0.dcm", "1.3": f"{tmp_path}/1.dcm"}
    chosen = referenced_masks(objects, ["1.1", "1.2", "1.3"], [second.SOPInstanceUID])
    assert chosen == {"1.1": f"{tmp_path}/0.dcm", "1.2": f"{tmp_path}/1.dcm", "1.3": f"{tmp_path}/1.dcm"}
    with pytest.raises(LabelError):
        referenced_masks(objects, ["1.2"], [first.SOPInstanceUID, second.SOPInstanceUID])


def test_copies_are_one_but_other_content_under_one_uid_is_not(tmp_path: Path) -> None:
    one = drawn(FRAMES, **of_frames("1.1", "1.2"))
    assert referenced_masks(found_in(tmp_path, one, one), ["1.1"]) == {"1.1": f"{tmp_path}/0.dcm"}
    other = drawn(FRAMES * 0, **of_frames("1.1", "1.2"), SOPInstanceUID=one.SOPInstanceUID)
    with pytest.raises(LabelError, match="MASKS_SEVERAL"):
        referenced_masks(found_in(tmp_path, one, other), ["1.1"])


def test_one_that_cannot_be_read_is_named_and_not_passed_over(tmp_path: Path) -> None:
    whole = as_bytes(drawn(FRAMES, **of_frames("1.1", "1.2")))
    objects = found_in(tmp_path, drawn(FRAMES, **of_frames("2.1", "2.2")), whole[: len(whole) // 2])
    with pytest.raises(LabelError) as caught:
        referenced_masks(objects, ["2.1"])
    assert caught.value.code == "MASKS_UNREADABLE"
    assert f"{tmp_path}/1.dcm" in caught.value.message


def test_the_catalog_knows_them_loose_and_in_shards(busi: Path, tmp_path: Path) -> None:
    masks = sorted((busi / "masks").iterdir())[:6]
    for mask in masks[:3]:
        store.write(f"{tmp_path}/archive/{mask.name}", mask.read_bytes())
    with zipfile.ZipFile(tmp_path / "archive" / "rest.zip", "w", zipfile.ZIP_DEFLATED) as shard:
        for mask in masks[3:]:
            shard.write(mask, mask.name)
    for mask in masks:
        image = mask.name.replace(".seg", "")
        store.write(f"{tmp_path}/archive/images/{image}", (busi / "images" / image).read_bytes())
    sums = ingest(f"{tmp_path}/archive", f"{tmp_path}/catalog")
    assert (sums.images, sums.excluded) == (6, 6)
    catalog = Catalog(f"{tmp_path}/catalog")
    objects, images = catalog.segmentations(), catalog.images()
    found = referenced_masks(objects, images["sop_uid"].to_pylist())
    assert set(found) == {mask.name.removesuffix(".seg.dcm") for mask in masks}
    etags = dict(zip(objects["uri"].to_pylist(), objects["etag"].to_pylist(), strict=True))
    rows = with_masks(images, [found[uid] for uid in images["sop_uid"].to_pylist()], etags).to_pylist()
    for row in rows:
        mask, image = archive.read(row["mask"]), decode(archive.read(row["uri"]))
        assert row["mask_etag"]
        assert decode_mask(mask, image).any()
