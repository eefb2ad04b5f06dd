"""``medray synthesise`` writes images, masks and the labels that name both."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

from medray.data import store
from medray.data.dicom import decode
from medray.data.labels import read_labels
from medray.data.mask_table import mask_uris, with_masks
from medray.data.masks import decode_mask


def test_an_archive_has_an_outline_for_every_lesion(tmp_path: Path, medray: Callable[..., CompletedProcess[str]]) -> None:
    done = medray("synthesise", str(tmp_path / "a"), "--set", "patients=40", "--set", "rows=32", "--set", "columns=32")
    assert done.returncode == 0, done.stderr
    labels = read_labels(str(tmp_path / "a" / "labels.csv"))
    rows = with_masks(labels, mask_uris(labels, "mask")).to_pylist()
    images = {path.stem: path.read_bytes() for path in (tmp_path / "a" / "images").rglob("*.dcm")}
    assert len(rows) == len(images) == 40
    assert len(store.list_objects(str(tmp_path / "a" / "masks"))) == sum(row["finding"] != "normal" for row in rows)
    for row in rows:
        marked = 0
        if row["mask"]:
            marked = decode_mask(store.read(row["mask"]), decode(images[row["sop_uid"]])).sum()
        assert marked == int(row["area_px"])
