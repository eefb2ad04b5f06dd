"""Colour: the code stream says what its components are, the header only where it does not; equal colours give equal bits."""

from __future__ import annotations

from typing import Any

import imagecodecs
import numpy as np
import pytest
import syntax_matrix as matrix
from pydicom import uid
from pydicom.pixels.processing import convert_color_space

from medray.data.dicom import codestream, decode, syntaxes
from medray.data.dicom.colour import luminance, rgb_of

Pixels = np.ndarray[Any, Any]
KIND = matrix.Kind("RGB", 8)
COLOUR = matrix.values_of(KIND)
YBR = convert_color_space(COLOUR, "RGB", "YBR_FULL")


def read(stream: bytes, syntax: str, photometric: str) -> tuple[Pixels, bool]:
    """RGB as decoded, and whether the header is flagged as a contradiction."""
    kind = matrix.Kind(photometric, 8)
    data = matrix.file_bytes(matrix.dataset(matrix.Syntax(syntax, lambda *_: stream, matrix.any_kind), kind, COLOUR))
    return matrix.stored(data), "COLOUR_DIFFERS" in decode(data).header.flags


def is_colour(found: Pixels, allowed: int = 16) -> bool:
    return bool(np.abs(found.astype(int) - COLOUR).max() <= allowed)


# --- JPEG ----------------------------------------------------------------------------------------------------------------------


def jpeg(*, ycbcr: bool, subsampling: str = "444") -> bytes:
    """Without application segments, components numbered 1, 2, 3."""
    out = matrix.YCBCR if ycbcr else matrix.RGB
    made = imagecodecs.jpeg8_encode(COLOUR, 98, colorspace=matrix.RGB, outcolorspace=out, subsampling=subsampling)
    return bare(bytes(made))


def bare(stream: bytes, ids: bytes = b"\1\2\3") -> bytes:
    parts, at = [stream[:2]], 2
    while stream[at + 1] != 0xDA:
        end = at + 2 + int.from_bytes(stream[at + 2 : at + 4], "big")
        segment = bytearray(stream[at:end])
        if segment[1] in (0xC0, 0xC1, 0xC3, 0xF7):
            segment[10:19:3] = ids
        if not 0xE0 <= segment[1] <= 0xEF:
            parts.append(bytes(segment))
        at = end
    scan = bytearray(stream[at:])
    scan[5:11:2] = ids
    return b"".join([*parts, scan])


def segment(marker: int, content: bytes) -> bytes:
    return bytes([0xFF, marker]) + (2 + len(content)).to_bytes(2, "big") + content


def adobe(transform: int) -> bytes:
    return segment(0xEE, b"Adobe\0\x64\0\0\0\0" + bytes([transform]))


JFIF = segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0")
NOTE = segment(0xEE, b"Other") + segment(0xE0, b"JFXX\0\x10") + segment(0xFE, b"Adobe JFIF")


def with_segments(stream: bytes, added: bytes) -> bytes:
    return stream[:2] + added + stream[2:]


@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT"])
@pytest.mark.parametrize(
    ("added", "ycbcr"),
    [
        (JFIF, True),
        (adobe(1), True),
        (adobe(0), False),
        (adobe(2), True),
        (JFIF + adobe(0), True),
        (NOTE + adobe(1), True),
        (adobe(0) + adobe(1), True),
        (adobe(1) + adobe(0), False),
        (JFIF + segment(0xE0, b"JFIF\0"), True),
        (adobe(0) + segment(0xEE, b"Adobe\1"), False),
    ],
    ids=[
        "JFIF",
        "Adobe 1",
        "Adobe 0",
        "Adobe of four components",
        "JFIF before Adobe",
        "after others",
        "the last of two",
        "the last of two, without a transform",
        "a short JFIF after a whole one",
        "a short Adobe after a whole one",
    ],
)
def test_a_marker_decides_before_the_header(added: bytes, ycbcr: bool, photometric: str) -> None:
    found, flagged = read(with_segments(jpeg(ycbcr=ycbcr), added), uid.JPEGBaseline8Bit, photometric)
    assert is_colour(found)
    assert flagged == (photometric not in (("YBR_FULL", "YBR_FULL_422") if ycbcr else ("RGB",)))


def test_a_marker_after_the_frame_header_counts() -> None:
    stream = jpeg(ycbcr=True)
    at = stream.index(b"\xff\xda")
    assert is_colour(read(stream[:at] + adobe(1) + stream[at:], uid.JPEGBaseline8Bit, "RGB")[0])


@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL"])
@pytest.mark.parametrize(("ids", "ycbcr"), [(b"RGB", False), (b"rgb", False)])
def test_component_ids_decide_where_no_marker_does(ids: bytes, ycbcr: bool, photometric: str) -> None:
    assert is_colour(read(bare(jpeg(ycbcr=ycbcr), ids), uid.JPEGBaseline8Bit, photometric)[0])
    marked = with_segments(bare(jpeg(ycbcr=True), ids), JFIF)
    assert is_colour(read(marked, uid.JPEGBaseline8Bit, photometric)[0])


@pytest.mark.parametrize(("ycbcr", "photometric"), [(False, "RGB"), (True, "YBR_FULL"), (True, "YBR_FULL_422")])
def test_the_header_decides_where_the_code_stream_says_nothing(ycbcr: bool, photometric: str) -> None:
    for stream in (jpeg(ycbcr=ycbcr), with_segments(jpeg(ycbcr=ycbcr), NOTE)):
        found, flagged = read(stream, uid.JPEGBaseline8Bit, photometric)
        assert is_colour(found)
        assert not flagged


@pytest.mark.parametrize("photometric", ["YBR_ICT", "YBR_RCT", "YBR_PARTIAL_420"])
def test_a_transform_of_another_codec_is_ycbcr_in_an_unmarked_jpeg(photometric: str) -> None:
    found, flagged = read(jpeg(ycbcr=True), uid.JPEGBaseline8Bit, photometric)
    assert is_colour(found)
    assert flagged


@pytest.mark.parametrize("subsampling", ["422", "420"])
def test_components_of_several_sizes_are_no_rgb(subsampling: str) -> None:
    found, flagged = read(jpeg(ycbcr=True, subsampling=subsampling), uid.JPEGBaseline8Bit, "RGB")
    assert is_colour(found, 60)
    assert flagged
    assert not read(jpeg(ycbcr=True, subsampling=subsampling), uid.JPEGBaseline8Bit, "YBR_FULL_422")[1]


# --- JPEG lossless, JPEG-LS, RLE -----------------------------------------------------------------------------------------------


def lossless(values: Pixels) -> bytes:
    return bare(matrix.lossless_jpeg(1)(values, KIND))


def jpeg_ls(values: Pixels) -> bytes:
    return bare(bytes(imagecodecs.jpegls_encode(values)))


CODECS = [(uid.JPEGLosslessSV1, lossless), (uid.JPEGLSLossless, jpeg_ls)]


@pytest.mark.parametrize(("syntax", "encode"), CODECS)
def test_lossless_code_streams_follow_the_header_unless_they_are_marked(syntax: str, encode: Any) -> None:
    assert is_colour(read(encode(COLOUR), syntax, "RGB")[0], 0)
    expected = rgb_of(YBR, 8)
    for photometric, added in (("YBR_FULL", b""), ("YBR_FULL", adobe(1)), ("RGB", adobe(1)), ("RGB", JFIF)):
        found, flagged = read(with_segments(encode(YBR), added), syntax, photometric)
        np.testing.assert_array_equal(found, expected)
        assert flagged == (photometric == "RGB")
    found, flagged = read(with_segments(encode(COLOUR), adobe(0)), syntax, "YBR_FULL")
    assert is_colour(found, 0)
    assert flagged


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL"])
def test_hewlett_packards_transforms_of_jpeg_ls_are_undone(number: int, photometric: str) -> None:
    red, green, blue = np.moveaxis(COLOUR.astype(int), -1, 0)
    second = blue - green + 128 if number == 1 else blue - ((red + green) >> 1) - 128
    coded = np.stack([red - green + 128, green, second], axis=-1).astype(np.uint8)
    stream = with_segments(jpeg_ls(coded), segment(0xE8, b"mrfx" + bytes([number])))
    found, flagged = read(stream, uid.JPEGLSLossless, photometric)
    assert is_colour(found, 0)
    assert flagged == (photometric != "RGB")


def test_a_segment_of_no_transform_says_nothing() -> None:
    stream = with_segments(jpeg_ls(YBR), segment(0xE8, b"mrfx\0"))
    assert codestream.read(stream).colour == ""


# --- JPEG 2000, JPEG XL --------------------------------------------------------------------------------------------------------


def wavelet(values: Pixels, *, mct: bool, reversible: bool = True) -> bytes:
    level = 0 if reversible else 60
    return bytes(imagecodecs.jpeg2k_encode(values, level, codecformat="j2k", reversible=reversible, mct=mct))


@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT"])
@pytest.mark.parametrize("reversible", [True, False])
def test_components_with_the_transform_of_jpeg_2000_are_rgb(reversible: bool, photometric: str) -> None:
    stream = wavelet(COLOUR, mct=True, reversible=reversible)
    found, flagged = read(stream, uid.JPEG2000Lossless if reversible else uid.JPEG2000, photometric)
    assert is_colour(found, 0 if reversible else 8)
    assert flagged == (photometric != ("YBR_RCT" if reversible else "YBR_ICT"))


@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL", "YBR_RCT", "YBR_ICT"])
def test_components_without_the_transform_are_what_the_header_says_they_can_be(photometric: str) -> None:
    stream = wavelet(YBR if photometric == "YBR_FULL" else COLOUR, mct=False)
    found, flagged = read(stream, uid.JPEG2000Lossless, photometric)
    assert is_colour(found, 2 if photometric == "YBR_FULL" else 0)
    assert flagged == (photometric in ("YBR_RCT", "YBR_ICT"))


@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL", "YBR_RCT"])
def test_components_with_the_transform_of_htj2k_are_rgb(photometric: str) -> None:
    stream = bytes(imagecodecs.htj2k_encode(COLOUR, reversible=True, rgb=True))
    assert codestream.read(stream).colour == "YBR_RCT"
    assert is_colour(read(stream, uid.HTJ2KLossless, photometric)[0], 0)


@pytest.mark.parametrize(("photometric", "flagged"), [("RGB", False), ("YBR_FULL", True), ("YBR_RCT", True)])
def test_jpeg_xl_states_its_own_colours(photometric: str, flagged: bool) -> None:
    assert read(matrix.jpeg_xl(COLOUR, KIND), syntaxes.JPEG_XL_LOSSLESS, photometric)[1] == flagged
    assert is_colour(read(matrix.jpeg_xl(COLOUR, KIND), syntaxes.JPEG_XL_LOSSLESS, photometric)[0], 0)


@pytest.mark.parametrize("photometric", ["XYB", "RGB"])
def test_xyb_is_a_colour_of_lossy_jpeg_xl_alone(photometric: str) -> None:
    found, flagged = read(matrix.lossy_jpeg_xl(COLOUR, KIND), syntaxes.JPEG_XL_ANY, photometric)
    assert is_colour(found)
    assert not flagged
    assert read(wavelet(COLOUR, mct=False), uid.JPEG2000Lossless, "XYB")[1]


def test_grey_code_streams_have_no_colour_to_differ_in() -> None:
    grey = matrix.Kind("MONOCHROME2", 8)
    for syntax in matrix.SYNTAXES:
        if syntax.defined(grey):
            data = matrix.file_bytes(matrix.dataset(syntax, grey, matrix.values_of(grey)))
            assert "COLOUR_DIFFERS" not in decode(data).header.flags


# --- equal colours, equal bits -------------------------------------------------------------------------------------------------


def layouts(values: Pixels) -> dict[str, Pixels]:
    planes = np.ascontiguousarray(np.moveaxis(values, -1, 0))
    return {
        "by pixel": values,
        "by plane": np.moveaxis(planes, 0, -1),
        "by column": np.asfortranarray(values),
        "every other": np.repeat(values, 2, axis=1)[:, ::2],
        "read only": np.frombuffer(values.tobytes(), values.dtype).reshape(values.shape),
        "wider": values.astype(np.uint16),
    }


@pytest.mark.parametrize("bits", [8, 16])
def test_equal_colours_give_equal_bits_in_any_layout(bits: int) -> None:
    values = np.random.default_rng(0).integers(0, 1 << bits, (301, 513, 3)).astype(f"u{bits // 8}")
    exact = (values.astype(np.int64) @ [299, 587, 114] / 1000).astype(np.float32)
    for name, other in layouts(values).items():
        np.testing.assert_array_equal(luminance(other), exact, err_msg=name)
        np.testing.assert_array_equal(rgb_of(other, bits), rgb_of(values, bits), err_msg=name)
        np.testing.assert_array_equal(luminance(other[7:8, 3:4]), exact[7:8, 3:4], err_msg=name)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_grey_stays_grey(dtype: Any) -> None:
    grey = np.arange(np.iinfo(dtype).max + 1)
    rgb = np.repeat(grey, 3).reshape(-1, 256, 3).astype(dtype)
    np.testing.assert_array_equal(luminance(rgb).ravel(), grey)
    ybr = np.full_like(rgb, 1 << (8 * rgb.itemsize - 1))
    ybr[..., 0] = rgb[..., 0]
    np.testing.assert_array_equal(rgb_of(ybr, 8 * rgb.itemsize), rgb)


def test_files_of_equal_colours_give_equal_bits() -> None:
    first = None
    for syntax in matrix.SYNTAXES:
        if syntax.defined(KIND) and not syntax.error:
            planar = [0, 1] if syntax.uid in syntaxes.NATIVE else [0]
            for configuration in planar:
                made = matrix.dataset(syntax, KIND, COLOUR)
                if configuration:
                    made.PlanarConfiguration = 1
                    made.PixelData = np.moveaxis(COLOUR, -1, 0).tobytes()
                found = decode(matrix.file_bytes(made)).pixels.tobytes()
                first = first or found
                assert found == first, syntax.uid


def test_a_palette_gives_the_bits_of_its_colours() -> None:
    kind = matrix.Kind("PALETTE COLOR", 8)
    indices = matrix.values_of(kind)
    made = matrix.dataset(matrix.SYNTAXES[1], kind, indices)
    tones = np.random.default_rng(0).integers(0, 256, (256, 3)).astype(np.uint8)
    for index, colour in enumerate(("Red", "Green", "Blue")):
        setattr(made, f"{colour}PaletteColorLookupTableDescriptor", [256, 0, 8])
        setattr(made, f"{colour}PaletteColorLookupTableData", tones[:, index].tobytes())
    as_rgb = matrix.dataset(matrix.SYNTAXES[1], KIND, tones[indices])
    np.testing.assert_array_equal(decode(matrix.file_bytes(made)).pixels, decode(matrix.file_bytes(as_rgb)).pixels)


def test_the_conversion_of_ybr_is_rounded_exactly() -> None:
    ybr = np.random.default_rng(0).integers(0, 256, (400, 300, 3))
    luma, blue, red = np.moveaxis(ybr, -1, 0)
    blue, red = blue - 128, red - 128
    whole = 2 * 587000  # 587 000ths of ITU-T T.871 section 7, rounded half up
    expected = [
        luma + (2 * 1402 * red + 1000) // 2000,
        luma + (-2 * (114 * 1772 * blue + 299 * 1402 * red) + 587000) // whole,
        luma + (2 * 1772 * blue + 1000) // 2000,
    ]
    np.testing.assert_array_equal(rgb_of(ybr.astype(np.uint8), 8), np.stack(expected, axis=-1).clip(0, 255))
