"""medray.data.synthetic: phantoms that are valid DICOM, reproducible, and of a set difficulty."""

from __future__ import annotations

import csv
import io
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pydicom
import pytest
from foreign_files import errors_of
from pydantic import ValidationError

from medray.data.dicom import decode
from medray.data.labels import read_labels
from medray.data.mask_table import mask_uris, with_masks
from medray.data.masks import decode_mask
from medray.data.phantom import finding_of, phantom
from medray.data.synthetic import SyntheticSpec, labels_csv, synthetic_instance, synthetic_uid, write_archive
from medray.errors import ConfigError
from medray.evaluation.curves import auroc

TEXTURES = ("speckle", "noise")
SYNTAXES = ("explicit", "rle", "jpegls", "jpeg2000")


@pytest.mark.parametrize("texture", TEXTURES)
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_instance_is_valid_dicom_of_the_phantom(tmp_path: Path, texture: str, syntax: str) -> None:
    spec = SyntheticSpec(patients=5, images_per_study=2, rows=65, columns=63, texture=texture, transfer_syntax=syntax)
    name, data, label = synthetic_instance(spec, 7)
    dataset = pydicom.dcmread(io.BytesIO(data))
    truth = phantom(spec, 7)
    np.testing.assert_array_equal(decode(data).pixels, truth.pixels)
    assert len(data) % 2 == 0
    assert (dataset.PatientID, dataset.InstanceNumber) == ("SYN-000003", 2)
    assert name == f"SYN-000003/{dataset.SOPInstanceUID}.dcm"
    assert label.row() == {
        "SOPInstanceUID": dataset.SOPInstanceUID,
        "PatientID": "SYN-000003",
        "finding": truth.finding,
        "malignant": truth.malignant,
        "mask": f"masks/{dataset.SOPInstanceUID}.seg.dcm" if truth.lesion.any() else "",
        "area_px": truth.lesion.sum(),
    }
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy (Debian dicom3tools) is not installed")
    path = tmp_path / "instance.dcm"
    path.write_bytes(data)
    verdict = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False).stderr
    assert verdict.split()[0] in {"USImage", "CRImage"}
    assert "Error" not in verdict


@pytest.mark.parametrize("texture", TEXTURES)
def test_same_spec_and_index_give_the_same_bytes_in_any_order(texture: str) -> None:
    spec = SyntheticSpec(patients=4, images_per_study=2, rows=48, columns=64, texture=texture)
    forward = {name: data for name, data, _ in (synthetic_instance(spec, index) for index in range(8))}
    backward = {name: data for name, data, _ in (synthetic_instance(spec, index) for index in reversed(range(8)))}
    assert forward == backward
    assert len(set(forward.values())) == 8


@pytest.mark.parametrize("texture", TEXTURES)
@pytest.mark.parametrize("syntax", ["explicit", "jpegls"])
def test_masks_are_the_outlines_of_lesions(tmp_path: Path, texture: str, syntax: str) -> None:
    spec = SyntheticSpec(patients=12, images_per_study=2, rows=65, columns=63, texture=texture, transfer_syntax=syntax)
    images: dict[str, bytes] = {}
    masks: dict[str, bytes] = {}
    labels = write_archive(spec, images.__setitem__, put_mask=masks.__setitem__)
    assert {label.mask for label in labels if label.finding != "normal"} == {f"masks/{name}" for name in masks}
    for index, label in enumerate(labels):
        truth = phantom(spec, index)
        assert label.area_px == truth.lesion.sum()
        assert (label.mask == "") == (label.area_px == 0) == (label.finding == "normal")
        if label.mask:
            data = masks[label.mask.removeprefix("masks/")]
            image = decode(images[f"{label.patient_id}/{label.sop_uid}.dcm"])
            np.testing.assert_array_equal(decode_mask(data, image), truth.lesion)
            assert errors_of(data, tmp_path) == []
    sop_uids = {pydicom.dcmread(io.BytesIO(data)).SOPInstanceUID for data in [*masks.values(), *images.values()]}
    assert len(sop_uids) == len(masks) + len(images)
    again: dict[str, bytes] = {}
    write_archive(spec.model_copy(update={"transfer_syntax": "rle"}), lambda name, data: None, put_mask=again.__setitem__)
    assert again == masks


def test_labels_name_masks_and_areas_beside_the_rest(archive: Path) -> None:
    text = (archive / "labels.csv").read_text()
    assert text.splitlines()[0].startswith("SOPInstanceUID,PatientID,finding,malignant,mask,area_px")
    labels = read_labels(str(archive / "labels.csv"))
    rows = with_masks(labels, mask_uris(labels, "mask"))
    for row in rows.to_pylist():
        assert bool(row["mask_etag"]) == (row["finding"] != "normal") == (row["area_px"] != "0")


def test_uids_follow_from_what_makes_the_image() -> None:
    spec = SyntheticSpec(patients=10)
    image = synthetic_instance(spec, 3)

    def uid(**changes: object) -> str:
        return synthetic_instance(spec.model_copy(update=changes), 3)[2].sop_uid

    assert synthetic_instance(spec.model_copy(update={"patients": 10**9}), 3) == image
    assert uid(transfer_syntax="rle") == image[2].sop_uid
    assert len({uid(), uid(seed=1), uid(rows=64), uid(difficulty=0.1), uid(texture="noise")}) == 5
    assert len(synthetic_uid(spec, "study", 10**9)) <= 64


def test_views_of_a_study_show_one_finding() -> None:
    spec = SyntheticSpec(patients=6, images_per_study=3, rows=32, columns=32)
    labels = write_archive(spec, lambda name, data: None)
    assert all(len({label.finding for label in labels[start : start + 3]}) == 1 for start in range(0, 18, 3))
    assert len({label.sop_uid for label in labels}) == 18


def test_archive_in_two_parts_is_the_archive() -> None:
    spec = SyntheticSpec(patients=6, rows=32, columns=32)
    whole: dict[str, bytes] = {}
    parts: dict[str, bytes] = {}
    labels = write_archive(spec, whole.__setitem__)
    halves = [write_archive(spec, parts.__setitem__, indices) for indices in (range(3, 6), range(3))]
    assert parts == whole
    assert sorted(halves[0] + halves[1], key=lambda label: label.patient_id) == labels
    rows = list(csv.DictReader(io.StringIO(labels_csv(labels).decode())))
    assert [row["SOPInstanceUID"] for row in rows] == [label.sop_uid for label in labels]
    assert {(row["finding"], row["malignant"]) for row in rows} >= {("benign", "0"), ("malignant", "1")}


@pytest.mark.parametrize("start", [0, 12_345_678])
def test_any_run_of_patients_has_the_prevalence(start: int) -> None:
    spec = SyntheticSpec(patients=10**9, prevalence=0.3, normal_share=0.5, seed=9)
    found = Counter(finding_of(spec, patient) for patient in range(start, start + 100))
    assert found["malignant"] == pytest.approx(30, abs=2)
    assert found["normal"] == pytest.approx(35, abs=2)


def test_lesions_are_darker_in_ultrasound_and_brighter_in_radiographs() -> None:
    for texture, sign in (("speckle", -1), ("noise", 1)):
        spec = SyntheticSpec(patients=40, texture=texture)
        images = [image for image in (phantom(spec, index) for index in range(40)) if image.finding != "normal"]
        assert all(image.lesion.any() for image in images)
        differences = [_ring_contrast(image.pixels.astype(np.float64), image.lesion) for image in images]
        assert np.mean(np.sign(differences) == sign) > 0.9


def _ring_contrast(pixels: np.ndarray, lesion: np.ndarray) -> float:
    ring = cv2.dilate(lesion.astype(np.uint8), np.ones((15, 15), np.uint8)).astype(bool) & ~lesion
    return float(pixels[lesion].mean() - pixels[ring].mean())


def _trait_auroc(difficulty: float) -> float:
    """AUROC of a reader who sees two traits: the height of the lesion against its width, and the echoes behind it."""
    spec = SyntheticSpec(patients=200, difficulty=difficulty, prevalence=0.5, normal_share=0)
    images = [phantom(spec, index) for index in range(spec.count)]
    suspicion = []
    for image in images:
        rows, columns = np.nonzero(image.lesion)
        height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
        middle = slice(int(np.median(columns)) - width // 4, int(np.median(columns)) + width // 4 + 1)
        below = image.pixels[rows.max() + 1 : rows.max() + 25]
        suspicion.append(np.log(height / width) + (below.mean() - below[:, middle].mean()) / 40)
    area = auroc([image.malignant for image in images], 1 / (1 + np.exp(-np.array(suspicion))))
    assert area is not None
    return area


def test_difficulty_sets_how_well_the_classes_can_be_told_apart() -> None:
    easy, default, hard = (_trait_auroc(difficulty) for difficulty in (0.0, 0.4, 1.0))
    assert easy > 0.97
    assert 0.8 < default < 0.97
    assert 0.4 < hard < 0.6


def test_limits_are_named() -> None:
    with pytest.raises(ValidationError, match="less than or equal to 1"):
        SyntheticSpec(difficulty=1.5)
    with pytest.raises(ConfigError, match=r"SYNTHETIC_INDEX: image 5 of a synthetic archive of 5"):
        phantom(SyntheticSpec(patients=5), 5)
