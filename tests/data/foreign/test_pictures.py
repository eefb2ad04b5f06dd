"""PNG, JPEG, TIFF, BMP and arrays: every value comes back through decode, and what cannot be kept is refused with its code."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

import foreign_files as made
import imagecodecs
import numpy as np
import pydicom
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from medray.data.dicom import decode
from medray.data.foreign import arrays, reading, secondary_capture
from medray.data.foreign.picture import Picture
from medray.data.foreign.secondary_capture import Said, instance
from medray.errors import Excluded, InputError, Quarantined

GREY, DEEP, COLOUR = made.random(20, 31), made.random(20, 31, bits=16), made.random(20, 31, 3)
DEEP_COLOUR = made.random(20, 31, 3, bits=16)


def no_file(name: str) -> bytes:
    raise FileNotFoundError(name)


def picture(data: bytes, name: str = "a.png", *, rounded: bool = False) -> Picture:
    return reading.read(reading.kind_of(data[:1024], name), data, name, no_file, rounded=rounded)


def dicom(data: bytes, name: str = "a.png", said: Said | None = None, *, rounded: bool = False) -> bytes:
    return secondary_capture.file_of(instance(picture(data, name, rounded=rounded), said or Said()))


def stored(data: bytes) -> made.Array:
    """The pixels as pydicom reads them."""
    return np.asarray(pydicom.dcmread(io.BytesIO(data)).pixel_array)


def code(data: bytes, name: str = "a.png") -> str:
    with pytest.raises(InputError) as found:
        picture(data, name)
    return found.value.code


PALETTE = Pillow.fromarray(COLOUR).quantize(16)
TIFF_PALETTE = (made.random(3, 256, bits=8).astype(np.uint16)) * 257
STACK = made.npy(made.random(3, 20, 31))
EXACT = {
    "png8": (made.png(GREY), "a.png", GREY),
    "png16": (made.png(DEEP), "a.png", DEEP),
    "png_rgb": (made.png(COLOUR), "a.png", COLOUR),
    "png_rgb16": (made.png(DEEP_COLOUR), "a.png", DEEP_COLOUR),
    "png_palette": (made.pillow(PALETTE, "PNG"), "a.png", np.asarray(PALETTE.convert("RGB"))),
    "png_interlaced_name": (made.png(GREY), "without an ending", GREY),
    "png_opaque": (made.png(np.dstack([COLOUR, np.full((20, 31), 255, np.uint8)])), "a.png", COLOUR),
    "png_grey_opaque": (made.png(np.dstack([GREY, np.full((20, 31), 255, np.uint8)])), "a.png", GREY),
    "bmp": (made.pillow(Pillow.fromarray(COLOUR), "BMP"), "a.bmp", COLOUR),
    "bmp_grey": (made.pillow(Pillow.fromarray(GREY), "BMP"), "a.bmp", GREY),
    "bmp_palette": (made.pillow(PALETTE, "BMP"), "a.bmp", np.asarray(PALETTE.convert("RGB"))),
    "tiff8": (made.tiff(GREY), "a.tif", GREY),
    "tiff16_big_endian": (made.tiff(DEEP, byteorder=">"), "a.tif", DEEP),
    "tiff_rgb": (made.tiff(COLOUR, photometric="rgb"), "a.tif", COLOUR),
    "tiff_rgb16_lzw": (made.tiff(DEEP_COLOUR, photometric="rgb", compression="lzw", predictor=True), "a.tiff", DEEP_COLOUR),
    "tiff_planes": (made.tiff(np.moveaxis(COLOUR, -1, 0).copy(), photometric="rgb", planarconfig="separate"), "a.tif", COLOUR),
    "tiff_tiles": (made.tiff(np.tile(GREY, (4, 4)), tile=(32, 32), compression="deflate"), "a.tif", np.tile(GREY, (4, 4))),
    "tiff_big": (made.tiff(GREY, bigtiff=True), "a.tif", GREY),
    "tiff_palette": (
        made.tiff(GREY, photometric="palette", colormap=TIFF_PALETTE),
        "a.tif",
        (TIFF_PALETTE // 257).astype(np.uint8).T[GREY],
    ),
    "npy": (made.npy(GREY), "a.npy", GREY),
    "npy_fortran": (made.npy(np.asfortranarray(DEEP)), "a.npy", DEEP),
    "npy_big_endian": (made.npy(DEEP.astype(">u2")), "a.npy", DEEP),
    "npy_rgb": (made.npy(COLOUR), "a.npy", COLOUR),
    "npy_one_channel": (made.npy(GREY[..., None]), "a.npy", GREY),
}


@pytest.mark.parametrize("kind", EXACT)
def test_values_are_kept_and_the_dicom_is_valid(kind: str, tmp_path: Path) -> None:
    data, name, expected = EXACT[kind]
    found = dicom(data, name)
    assert np.array_equal(stored(found), expected)
    assert made.errors_of(found, tmp_path) == []
    image = decode(found)
    grey = expected if expected.ndim == 2 else expected @ np.array([0.299, 0.587, 0.114])
    assert np.abs(image.pixels - grey).max() <= 1e-6 * grey.max()


@settings(max_examples=40, deadline=None)
@given(bits=st.sampled_from([8, 16]), rows=st.integers(1, 9), columns=st.integers(1, 9), seed=st.integers(0, 99))
def test_png_and_tiff_of_any_size_are_exact(bits: int, rows: int, columns: int, seed: int) -> None:
    values = made.random(rows, columns, bits=bits, seed=seed)
    for data, name in ((made.png(values), "a.png"), (made.tiff(values), "a.tif")):
        assert np.array_equal(decode(dicom(data, name)).pixels, values)


def test_grey_of_four_bits_is_spread_over_eight() -> None:
    lines = b"".join(b"\0" + bytes(range(8)) for _ in range(4))
    data = made.png_of_chunks(4, 16, 4, 0, lines)
    expected = np.array([value for octet in range(8) for value in (octet >> 4, octet & 15)]) * 17
    assert np.array_equal(picture(data).pixels, np.tile(expected, (4, 1)))


def test_inverted_grey_stays_inverted_and_is_brighter_where_it_was() -> None:
    found = dicom(made.tiff(GREY, photometric="miniswhite"), "a.tif")
    assert np.array_equal(stored(found), GREY)
    assert np.array_equal(decode(found).pixels, 255.0 - GREY)


JPEGS = {
    "grey": (made.jpeg(GREY), "1.2.840.10008.1.2.4.50", "MONOCHROME2"),
    "colour": (made.jpeg(COLOUR, subsampling="420"), "1.2.840.10008.1.2.4.50", "YBR_FULL_422"),
    "colour 444": (made.jpeg(COLOUR, subsampling="444"), "1.2.840.10008.1.2.4.50", "YBR_FULL_422"),
    "stored as RGB": (made.jpeg(COLOUR, colorspace="RGB", outcolorspace="RGB"), "1.2.840.10008.1.2.4.50", "RGB"),
    "12 bits": (made.jpeg(DEEP >> 4, bitspersample=12), "1.2.840.10008.1.2.4.51", "MONOCHROME2"),
    "turned by 0": (made.with_exif(made.jpeg(GREY), 1), "1.2.840.10008.1.2.4.50", "MONOCHROME2"),
    "lossless": (made.jpeg(COLOUR, lossless=True, predictor=1), "1.2.840.10008.1.2.4.70", "RGB"),
    "lossless, other predictor": (made.jpeg(GREY, lossless=True, predictor=4), "1.2.840.10008.1.2.4.57", "MONOCHROME2"),
}


@pytest.mark.parametrize("kind", JPEGS)
def test_a_jpeg_is_kept_byte_for_byte_and_decodes_to_the_same(kind: str, tmp_path: Path) -> None:
    data, syntax, photometric = JPEGS[kind]
    found = dicom(data, "a.jpg")
    dataset = pydicom.dcmread(io.BytesIO(found))
    assert data in dataset.PixelData
    assert (dataset.file_meta.TransferSyntaxUID, dataset.PhotometricInterpretation) == (syntax, photometric)
    assert made.errors_of(found, tmp_path) == []
    if "lossless" in kind:
        assert dataset.LossyImageCompression == "00"
    else:
        assert (dataset.LossyImageCompression, dataset.LossyImageCompressionMethod) == ("01", "ISO_10918_1")
        assert float(dataset.LossyImageCompressionRatio) > 0
    original = imagecodecs.jpeg8_decode(data)
    grey = original if original.ndim == 2 else original @ np.array([0.299, 0.587, 0.114])
    assert np.abs(decode(found).pixels - grey).max() <= 1e-6 * max(grey.max(), 1)


def test_a_lossless_jpeg_with_a_jfif_marker_is_declared_as_it_is_decoded() -> None:
    """JFIF knows no RGB (ITU-T T.871 6.1): what is written says so, too, and nothing contradicts."""
    plain = made.jpeg(COLOUR, lossless=True, predictor=1)
    found = dicom(plain[:2] + b"\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0" + plain[2:], "a.jpg")
    assert pydicom.dcmread(io.BytesIO(found)).PhotometricInterpretation == "YBR_FULL"
    assert "COLOUR_DIFFERS" not in decode(found).header.flags


def test_a_progressive_jpeg_is_stored_uncompressed_and_says_that_it_was_lossy(tmp_path: Path) -> None:
    data = made.pillow(Pillow.fromarray(COLOUR), "JPEG", progressive=True, quality=90)
    found = dicom(data, "a.jpg")
    dataset = pydicom.dcmread(io.BytesIO(found))
    assert np.array_equal(dataset.pixel_array, imagecodecs.jpeg8_decode(data))
    assert (dataset.file_meta.TransferSyntaxUID, dataset.LossyImageCompression) == ("1.2.840.10008.1.2.1", "01")
    assert made.errors_of(found, tmp_path) == []
    assert picture(data, "a.jpg").notes == ("IMPORT_JPEG_DECODED",)


def test_fractions_and_signed_values_are_kept_where_16_bits_hold_them() -> None:
    for values in (
        (DEEP.astype(np.float32) / 8 - 3),
        DEEP.view(np.int16),
        (GREY.astype(np.int32) * 200 - 70_000 // 2),
        GREY.view(np.int8),
        np.full((20, 31), 0.1, np.float32),
        (GREY * 0.1).astype(np.float32),
        (GREY.astype(np.float64) + 1e6),
    ):
        for data, name in ((made.tiff(values), "a.tif"), (made.npy(values), "a.npy")):
            if values.dtype.itemsize == 8 and name == "a.tif":
                continue
            assert np.array_equal(decode(dicom(data, name)).pixels, values.astype(np.float32)), values.dtype


def test_other_fractions_are_refused_unless_rounding_is_allowed() -> None:
    values = np.random.default_rng(0).normal(size=(40, 50)).astype(np.float32)
    assert code(made.tiff(values), "a.tif") == "IMPORT_FLOAT"
    assert code(made.npy(np.array([[0, 1], [2, 100_000_000]])), "a.npy") == "IMPORT_DEPTH"
    assert code(made.npy(np.array([[0.0, np.nan]])), "a.npy") == "IMPORT_NOT_FINITE"
    found = picture(made.tiff(values), "a.tif", rounded=True)
    assert found.notes == ("IMPORT_ROUNDED",)
    step = float(values.max() - values.min()) / 65_535
    assert np.abs(decode(dicom(made.tiff(values), "a.tif", rounded=True)).pixels - values).max() <= 0.51 * step


def animated() -> bytes:
    frames = [Pillow.fromarray(GREY), Pillow.fromarray(255 - GREY)]
    return made.pillow(frames[0], "PNG", save_all=True, append_images=frames[1:])


def cmyk_tiff() -> bytes:
    return made.tiff(made.random(8, 8, 4), photometric="separated")


def pages_of_two_sizes() -> bytes:
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        writer.write(GREY)
        writer.write(GREY[:10])
    return buffer.getvalue()


def bomb() -> bytes:
    return made.png_of_chunks(60_000, 60_000, 8, 6, bytes(100))


TURNED_PNG = (b"eXIf", b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, 6, 0, 0))
BAD = {
    "gif": (made.pillow(Pillow.fromarray(GREY), "GIF"), "a.gif", "IMPORT_GIF"),
    "gif called png": (made.pillow(Pillow.fromarray(GREY), "GIF"), "a.png", "IMPORT_GIF"),
    "animated png": (animated(), "a.png", "IMPORT_ANIMATED"),
    "webp": (made.pillow(Pillow.fromarray(GREY), "WEBP"), "a.webp", "IMPORT_FORMAT"),
    "one bit png": (made.pillow(Pillow.fromarray(GREY > 9), "PNG"), "a.png", "IMPORT_ONE_BIT"),
    "one bit tiff": (made.tiff(GREY > 9), "a.tif", "IMPORT_ONE_BIT"),
    "one bit bmp": (made.pillow(Pillow.fromarray(GREY > 9), "BMP"), "a.bmp", "IMPORT_ONE_BIT"),
    "true and false": (made.npy(GREY > 9), "a.npy", "IMPORT_ONE_BIT"),
    "cmyk jpeg": (made.jpeg(made.random(8, 8, 4)), "a.jpg", "IMPORT_CMYK"),
    "cmyk tiff": (cmyk_tiff(), "a.tif", "IMPORT_CMYK"),
    "turned jpeg": (made.with_exif(made.jpeg(GREY), 6), "a.jpg", "IMPORT_TURNED"),
    "turned jpeg, big endian": (made.with_exif(made.jpeg(GREY), 3, ">"), "a.jpg", "IMPORT_TURNED"),
    "turned png": (made.png_of_chunks(2, 2, 8, 0, b"\0\1\2" * 2, TURNED_PNG), "a.png", "IMPORT_TURNED"),
    "turned tiff": (made.tiff(GREY, extratags=[(274, 3, 1, 8, True)]), "a.tif", "IMPORT_TURNED"),
    "alpha": (made.png(made.random(8, 8, 4)), "a.png", "IMPORT_ALPHA"),
    "grey and alpha": (made.png(made.random(8, 8, 2)), "a.png", "IMPORT_ALPHA"),
    "transparent palette": (made.pillow(PALETTE, "PNG", transparency=0), "a.png", "IMPORT_ALPHA"),
    "alpha tiff": (made.tiff(made.random(8, 8, 4), photometric="rgb", extrasamples=["unassalpha"]), "a.tif", "IMPORT_ALPHA"),
    "alpha array": (made.npy(made.random(8, 8, 4)), "a.npy", "IMPORT_ALPHA"),
    "bomb": (bomb(), "a.png", "IMPORT_TOO_LARGE"),
    "bomb of nothing": (made.png_of_chunks(0, 4, 8, 0, b""), "a.png", "IMPORT_EMPTY"),
    "pages of two sizes": (pages_of_two_sizes(), "a.tif", "IMPORT_PAGES"),
    "text": (b"no picture at all", "a.png", "IMPORT_BROKEN"),
    "nothing": (b"", "a.png", "IMPORT_EMPTY"),
    "half a png": (made.png(GREY)[:300], "a.png", "IMPORT_BROKEN"),
    "a png without its end": (made.png(GREY)[:-12], "a.png", "IMPORT_BROKEN"),
    "half a jpeg": (made.jpeg(COLOUR)[:700], "a.jpg", "IMPORT_BROKEN"),
    "half a tiff": (made.tiff(np.tile(DEEP, (9, 9)))[:2000], "a.tif", "IMPORT_BROKEN"),
    "half an array": (made.npy(GREY)[:300], "a.npy", "IMPORT_BROKEN"),
    "objects": (made.npy(np.array([{}, []], dtype=object)), "a.npy", "IMPORT_BROKEN"),
    "one dimension": (made.npy(np.arange(9)), "a.npy", "IMPORT_ARRAY"),
    "complex numbers": (made.npy(np.ones((4, 4), complex)), "a.npy", "IMPORT_VALUES"),
    "images behind one page, ImageJ": (made.tiff(np.stack([DEEP] * 3), imagej=True, truncate=True), "a.tif", "IMPORT_PAGES"),
    "images behind one page": (
        made.tiff(np.stack([DEEP] * 3), photometric="minisblack", truncate=True),
        "a.tif",
        "IMPORT_PAGES",
    ),
    "colours as fractions": (made.npy(COLOUR / np.float32(255)), "a.npy", "IMPORT_DEPTH"),
    "colours as long integers": (made.npy(COLOUR.astype(np.int64)), "a.npy", "IMPORT_DEPTH"),
    "two values a pixel": (made.npy(made.random(8, 8, 2)), "a.npy", "IMPORT_DEPTH"),
    "beyond float32": (made.npy(np.array([[0.5, 1e39], [0, 1]])), "a.npy", "IMPORT_NOT_FINITE"),
    "far beyond float32": (made.npy(np.full((4, 4), 1e300)), "a.npy", "IMPORT_NOT_FINITE"),
    "a header apart": (b"\x5c\1\0\0" + bytes(340) + b"ni1\0", "a.hdr", "IMPORT_FORMAT"),
    "a lab tiff": (made.tiff(COLOUR, photometric="cielab"), "a.tif", "IMPORT_COLOUR"),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_cannot_be_kept_is_refused(kind: str) -> None:
    data, name, expected = BAD[kind]
    assert code(data, name) == expected


def test_what_is_no_image_is_left_aside() -> None:
    for data, name in (
        (b"a,b\n1,2\n", "labels.csv"),
        (b"{}", "notes.json"),
        (b"\0\5\x16\7\0\2\0\0", "._a.png"),
        (bytes(128) + b"DICM", "a"),
        (b"x", "a.dcm"),
    ):
        with pytest.raises(Excluded) as found:
            reading.kind_of(data, name)
        assert found.value.code in ("IMPORT_NO_IMAGE", "IMPORT_DICOM")


SEEDS = [data for data, name, _ in EXACT.values() if not name.endswith(".npy")] + [data for data, *_ in JPEGS.values()]


@settings(max_examples=150, deadline=None)
@given(seed=st.sampled_from(SEEDS), cut=st.floats(0, 1), at=st.floats(0, 1), octet=st.integers(0, 255))
def test_damage_is_refused_or_read_but_never_anything_else(seed: bytes, cut: float, at: float, octet: int) -> None:
    data = bytearray(seed[: 16 + int(cut * len(seed))])
    data[int(at * (len(data) - 1))] = octet
    try:
        found = secondary_capture.file_of(instance(picture(bytes(data), "a.png"), Said()))
    except (Quarantined, Excluded):
        return
    assert pydicom.dcmread(io.BytesIO(found), stop_before_pixels=True).Rows > 0


def test_pages_of_one_kind_are_a_stack_and_overviews_are_not(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        writer.write(np.stack([DEEP, 1 - DEEP, DEEP // 2]), photometric="minisblack")
        writer.write(DEEP[::2, ::2], subfiletype=1)
    found = dicom(buffer.getvalue(), "a.tif")
    assert np.array_equal(stored(found), np.stack([DEEP, 1 - DEEP, DEEP // 2]))
    assert picture(buffer.getvalue(), "a.tif").notes == ("IMPORT_REDUCED_PAGES",)
    assert made.errors_of(found, tmp_path) == []
    colours = dicom(made.tiff(np.stack([COLOUR, 255 - COLOUR]), photometric="rgb"), "a.tif")
    assert np.array_equal(stored(colours), np.stack([COLOUR, 255 - COLOUR]))
    assert made.errors_of(colours, tmp_path) == []


def test_frames_of_inverted_grey_become_those_of_a_class_that_dicom_has(tmp_path: Path) -> None:
    for pixels in (np.stack([GREY, 255 - GREY]), np.stack([DEEP, DEEP // 2])):
        found = dicom(made.tiff(pixels, photometric="miniswhite"), "a.tif")
        assert np.array_equal(stored(found), ~pixels)
        assert made.errors_of(found, tmp_path) == []
    with pytest.raises(Quarantined, match="IMPORT_DEPTH"):
        dicom(made.tiff(np.stack([COLOUR.astype(np.uint16)] * 2), photometric="rgb"), "a.tif")


@pytest.mark.parametrize(
    "values",
    [
        made.random(5, 7).astype(np.uint64) + (1 << 63),
        made.random(5, 7).astype(np.int64) + (1 << 60) - 30,
        np.array([[-3, 60_000], [1, 2]], np.float16),
        np.array([[-(1 << 31), 65_535 - (1 << 31)]], np.int32),
        np.array([[-128, 127]], np.int8),
    ],
    ids=lambda values: values.dtype.name,
)
def test_large_and_far_apart_numbers_are_kept(values: made.Array) -> None:
    assert np.array_equal(decode(dicom(made.npy(values), "a.npy")).pixels, values.astype(np.float32))


def test_npz_as_medmnist_has_it() -> None:
    train, val, test = made.random(5, 28, 28, 3), made.random(3, 28, 28), made.random(2, 6, 28, 28)
    labels = {"train_labels": np.arange(5)[:, None] % 2, "val_labels": np.arange(3), "test_labels": np.ones((2, 3), int)}
    data = made.npz(train_images=train, val_images=val, test_images=test, other=GREY, **labels)
    found = {entry.name: entry for entry in arrays.entries(io.BytesIO(data))}
    assert len(found) == 11
    assert found["train_images/3"].labels == {"split": "train", "label": "1"}
    assert found["val_images/2"].labels == {"split": "val", "label": "2"}
    assert found["test_images/0"].labels == {"split": "test", "label_0": "1", "label_1": "1", "label_2": "1"}
    for name, values in (("train_images/4", train[4]), ("val_images/0", val[0]), ("test_images/1", test[1]), ("other", GREY)):
        entry = found[name].values
        assert isinstance(entry, np.ndarray)
        assert np.array_equal(stored(secondary_capture.file_of(instance(arrays.picture(entry), Said()))), values)


def test_an_array_that_unpacks_to_far_more_than_it_holds_is_refused() -> None:
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed,
        packed.open("train_images.npy", "w") as file,
    ):
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": (12_000, 224, 224)})
        for _ in range(600):
            file.write(bytes(20 * 224 * 224))
    (found,) = arrays.entries(io.BytesIO(buffer.getvalue()))
    assert isinstance(found.values, Quarantined)
    assert found.values.code == "IMPORT_TOO_LARGE"


def test_a_jpeg_with_a_preview_inside_is_kept() -> None:
    preview = made.jpeg(made.random(8, 8), lossless=True, predictor=3)
    payload = b"Exif\0\0" + b"II*\0" + struct.pack("<IH", 8, 0) + preview
    plain = made.jpeg(GREY)
    data = plain[:2] + b"\xff\xe1" + struct.pack(">H", len(payload) + 2) + payload + plain[2:]
    found = dicom(data, "a.jpg")
    assert np.array_equal(decode(found).pixels, imagecodecs.jpeg8_decode(plain))
    assert data in pydicom.dcmread(io.BytesIO(found)).PixelData


def test_labels_without_images_are_no_image() -> None:
    (found,) = arrays.entries(io.BytesIO(made.npz(train_labels=np.ones((4, 3), np.uint8))))
    assert isinstance(found.values, Quarantined)
    assert found.values.code == "IMPORT_ARRAY_LABELS"


def test_labels_that_do_not_fit_the_images_are_refused() -> None:
    data = made.npz(train_images=made.random(5, 8, 8), train_labels=np.arange(4))
    with pytest.raises(Quarantined, match="IMPORT_ARRAY_LABELS"):
        list(arrays.entries(io.BytesIO(data)))


def test_uids_follow_from_the_content_and_what_is_said_of_it() -> None:
    one = instance(picture(made.png(GREY)), Said())
    assert instance(picture(made.pillow(Pillow.fromarray(GREY), "BMP"), "b.bmp"), Said()).sop_uid == one.sop_uid
    assert instance(picture(made.png(GREY)), Said(patient_id="p")).sop_uid == one.sop_uid
    others = [
        instance(picture(made.png(GREY.T.copy())), Said()),
        instance(picture(made.png(GREY)), Said(modality="US")),
        instance(picture(made.png(GREY)), Said(spacing_mm=(1, 0.1, 0.1))),
        instance(picture(made.png(GREY.astype(np.uint16))), Said()),
    ]
    assert len({one.sop_uid, *(other.sop_uid for other in others)}) == 5
    assert len(one.sop_uid) <= 64


@pytest.mark.parametrize("modality", ["US", "CR", "DX", "MG", "XA", "CT", "NM", "OT"])
def test_what_is_said_of_every_image_is_read_back(modality: str, tmp_path: Path) -> None:
    said = Said(modality, (None, 0.1, 0.25), "", "Müller 7")
    for data, name, frame in ((made.png(GREY), "a.png", None), (made.jpeg(COLOUR), "a.jpg", None), (STACK, "a.npy", 1)):
        file = dicom(data, name, said=said)
        found = decode(file, frame).header
        assert (found.modality, found.spacing_mm, found.flags) == (modality, (0.1, 0.25), ())
        assert found.patient_key
        assert made.errors_of(file, tmp_path) == []
