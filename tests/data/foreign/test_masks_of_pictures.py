"""Masks of foreign images: the SEG marks the same pixels and voxels, and what is no mask of its image is refused."""

from __future__ import annotations

import io
from pathlib import Path

import foreign_files as made
import numpy as np
import pytest
from PIL import Image as Pillow

from medray.data.dicom import decode
from medray.data.foreign import drawing, reading, secondary_capture, segmentation
from medray.data.foreign.drawing import Drawing
from medray.data.foreign.naming import Names, drawn_on
from medray.data.foreign.secondary_capture import Instance, Said, instance
from medray.data.masks import decode_mask
from medray.data.volume import build_volume
from medray.data.volume_masks import decode_volume_mask
from medray.errors import InputError

MARKED = np.random.default_rng(1).random((20, 31)) > 0.6


def no_file(name: str) -> bytes:
    raise FileNotFoundError(name)


def plane() -> Instance:
    return instance(reading.read("png", made.png(made.random(20, 31)), "a.png", no_file), Said("US", patient_id="p"))


def seg(labels: made.Array, image: Instance) -> bytes:
    return segmentation.file_of(segmentation.segmentation(labels, image))


def coloured(index: int) -> bytes:
    image = Pillow.fromarray(MARKED.astype(np.uint8) * index)
    image.putpalette([200, 0, 0] * 256)  # also of the background
    return made.pillow(image, "PNG")


DRAWN = {
    "0 and 255": (made.png(MARKED.astype(np.uint8) * 255), "a.png"),
    "0 and 1": (made.png(MARKED.astype(np.uint8)), "a.png"),
    "one bit": (made.pillow(Pillow.fromarray(MARKED), "PNG"), "a.png"),
    "16 bits": (made.png(MARKED.astype(np.uint16) * 300), "a.png"),
    "a palette": (coloured(2), "a.png"),
    "grey RGB": (made.png(np.dstack([MARKED.astype(np.uint8) * 255] * 3)), "a.png"),
    "red": (made.png(np.dstack([MARKED.astype(np.uint8) * 255, np.zeros((20, 31, 2), np.uint8)])), "a.png"),
    "opaque": (made.png(np.dstack([MARKED.astype(np.uint8) * 255] * 3 + [np.full((20, 31), 255, np.uint8)])), "a.png"),
    "bmp": (made.pillow(Pillow.fromarray(MARKED), "BMP"), "a.bmp"),
    "tiff": (made.tiff(MARKED.astype(np.uint8)), "a.tif"),
    "16 bits, low, as RGB": (made.png(np.dstack([MARKED.astype(np.uint16)] * 3)), "a.png"),
    "16 bits, low, opaque": (
        made.png(np.dstack([MARKED.astype(np.uint16), np.full((20, 31), 65_535, np.uint16)])),
        "a.png",
    ),
    "16 bits, red": (made.png(np.dstack([MARKED * np.uint16(65_535), np.zeros((20, 31, 2), np.uint16)])), "a.png"),
    "tiff, low 16 bits as RGB": (made.tiff(np.dstack([MARKED.astype(np.uint16)] * 3), photometric="rgb"), "a.tif"),
    "tiff, one bit": (made.tiff(MARKED, photometric="minisblack"), "a.tif"),
    "tiff, a palette": (made.pillow(Pillow.fromarray(MARKED.astype(np.uint8)).convert("P"), "TIFF"), "a.tif"),
    "tiff of whole fractions": (made.tiff(MARKED.astype(np.float32)), "a.tif"),
    "npy": (made.npy(MARKED), "a.npy"),
    "npy of fractions": (made.npy(MARKED.astype(np.float32)), "a.npy"),
}


@pytest.mark.parametrize("kind", DRAWN)
def test_a_plane_is_marked_as_it_was_drawn(kind: str, tmp_path: Path) -> None:
    image = plane()
    data = seg(drawing.read(*DRAWN[kind], no_file).labels, image)
    assert made.errors_of(data, tmp_path) == []
    assert np.array_equal(decode_mask(data, decode(secondary_capture.file_of(image))), MARKED)


def test_each_value_is_a_segment_and_nothing_marked_is_a_mask_too(tmp_path: Path) -> None:
    image = plane()
    labels = np.random.default_rng(2).choice([0, 3, 7], (1, 20, 31)).astype(np.uint8)
    for values in (labels, np.zeros_like(labels)):
        data = seg(values, image)
        assert made.errors_of(data, tmp_path) == []
        assert np.array_equal(decode_mask(data, decode(secondary_capture.file_of(image))), values[0] > 0)


def test_voxels_are_marked_as_they_were_drawn(tmp_path: Path) -> None:
    affine = np.diag([-0.7, 0.8, -2.5, 1.0])
    affine[:3, 3] = 4, 5, 6
    voxels = np.random.default_rng(3).integers(-5, 900, (6, 5, 4)).astype(np.int16)
    labels = np.random.default_rng(4).choice([0, 0, 2, 5], (6, 5, 4)).astype(np.float32)
    labels[:, :, 2] = 0
    image = instance(reading.read("nifti", made.nifti(voxels, affine), "a.nii", no_file), Said())
    drawn = drawing.read(made.nifti(labels, affine), "m.nii", no_file)
    drawing.check_place(drawn, image.affine)
    data = seg(drawn.labels, image)
    assert made.errors_of(data, tmp_path) == []
    volume = build_volume(secondary_capture.file_of(image))
    expected = labels.T[::-1]
    same_way = np.array_equal(volume.voxels, voxels.T)
    expected = labels.T if same_way else expected
    assert np.array_equal(decode_volume_mask(data, volume), expected > 0)
    assert np.array_equal(decode_volume_mask(data, volume, 2), expected == 5)


def code(call: object, *arguments: object) -> str:
    with pytest.raises(InputError) as found:
        call(*arguments)  # type: ignore[operator]
    return found.value.code


def test_what_is_no_mask_is_refused() -> None:
    noise = np.random.default_rng(5).random((40, 40)).astype(np.float32)
    assert code(drawing.read, made.jpeg(made.random(20, 31)), "m.jpg", no_file) == "IMPORT_MASK_LOSSY"
    assert code(drawing.read, made.npy(noise), "m.npy", no_file) == "IMPORT_MASK_VALUES"
    assert code(drawing.read, made.npy(noise * 1e3), "m.npy", no_file) == "IMPORT_MASK_VALUES"
    assert code(drawing.read, made.npy(np.full((4, 4), -1)), "m.npy", no_file) == "IMPORT_MASK_VALUES"
    assert code(drawing.read, made.png(made.random(20, 31))[:200], "m.png", no_file) == "IMPORT_MASK_UNREADABLE"
    assert code(drawing.read, made.png(made.random(9, 9, 4)), "m.png", no_file) == "IMPORT_ALPHA"
    white = made.tiff(MARKED, photometric="miniswhite")  # Pillow turns it round, tifffile does not
    assert code(drawing.read, white, "m.tif", no_file) == "IMPORT_MASK_VALUES"
    lossy = made.tiff(MARKED.astype(np.uint8) * 255, compression="jpeg")
    assert code(drawing.read, lossy, "m.tif", no_file) == "IMPORT_MASK_LOSSY"
    turned = made.tiff(MARKED.astype(np.uint8), extratags=[(274, 3, 1, 3, True)])
    assert code(drawing.read, turned, "m.tif", no_file) == "IMPORT_TURNED"
    assert code(drawing.read, made.npy(np.array([[0, 1 << 32]])), "m.npy", no_file) == "IMPORT_MASK_VALUES"
    deep = made.png(np.dstack([MARKED * np.uint16(7), np.zeros((20, 31, 2), np.uint16)]))
    assert code(drawing.read, deep, "m.png", no_file) == "IMPORT_MASK_VALUES"
    assert code(segmentation.segmentation, np.ones((1, 20, 30), np.uint8), plane()) == "IMPORT_MASK_SIZE"
    many = np.arange(20 * 31 * 2).reshape(2, 20, 31).astype(np.uint32)
    stack = instance(reading.read("arrays", made.npy(made.random(2, 20, 31)), "a.npy", no_file), Said())
    assert code(segmentation.segmentation, many, stack) == "IMPORT_MASK_VALUES"


def test_a_mask_that_lies_elsewhere_is_refused() -> None:
    labels = np.ones((4, 5, 6), np.uint8)
    affine, beside = np.diag([1.0, 1, 2, 1]), np.diag([1.0, 1, 2, 1])
    beside[0, 3] = 0.3
    drawing.check_place(Drawing(labels, affine), affine)
    assert code(drawing.check_place, Drawing(labels, beside), affine) == "IMPORT_MASK_GEOMETRY"
    assert code(drawing.check_place, Drawing(labels), affine) == "IMPORT_MASK_GEOMETRY"
    assert code(drawing.check_place, Drawing(labels, affine), None) == "IMPORT_MASK_GEOMETRY"


def test_masks_of_one_image_are_united_unless_they_contradict() -> None:
    left, right = np.zeros((1, 4, 6), np.uint8), np.zeros((1, 4, 6), np.uint8)
    left[:, :, :2], right[:, :, 4:] = 255, 255
    assert np.array_equal(drawing.united([Drawing(left), Drawing(right)]).labels, left | right)
    right[:, :, 1] = 7
    assert code(drawing.united, [Drawing(left), Drawing(right)]) == "IMPORT_MASK_CONFLICT"
    assert code(drawing.united, [Drawing(left), Drawing(right[:, :2])]) == "IMPORT_MASK_SIZE"


def test_files_are_found_by_name_stem_and_path() -> None:
    names = Names("/data/set", ["a/1.png", "b/1.png", "b/2.png", "c/v.nii.gz", "x.npz", "1.png", "ä.png"])
    assert names.find("2.png") == names.find("2") == names.find("b/2") == names.find("./b/2.png") == ["b/2.png"]
    assert names.find("set/b/2.png") == names.find("/data/set/b/2.png") == names.find("b\\2.png") == ["b/2.png"]
    assert names.find("other/b/2.png") == names.find("a/2.png") == names.find("3") == names.find("") == []
    assert names.find("v") == names.find("v.nii.gz") == ["c/v.nii.gz"]
    assert names.find("a/1.png") == ["a/1.png"]
    assert sorted(names.find("1.png")) == ["1.png", "a/1.png", "b/1.png"]
    assert names.find("x.npz#train_images/3") == ["x.npz#train_images/3"]
    assert names.find("a\u0308.png") == ["ä.png"]
    assert drawn_on("benign (1)_mask_1.png") == ("benign (1)_mask_1", "benign (1)")
    assert drawn_on("v_seg.nii.gz") == ("v_seg", "v")


def test_an_array_of_several_is_no_mask() -> None:
    data = made.npz(a=MARKED, b=MARKED)
    assert code(drawing.read, data, "m.npz", no_file) == "IMPORT_ARRAY"
    assert np.array_equal(drawing.read(made.npz(a=MARKED), "m.npz", no_file).labels[0], MARKED)
    assert io.BytesIO(data).read(2) == b"PK"
