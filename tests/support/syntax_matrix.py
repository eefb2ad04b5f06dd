"""Every transfer syntax with every kind of pixels: a file of each is made, and decoded. Docs and tests read the same cells.

PYTHONPATH=. python tests/support/syntax_matrix.py > docs/transfer-syntaxes.md
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import imagecodecs
import numpy as np
import pydicom
from pydicom import uid
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate
from pydicom.pixels.processing import convert_color_space

from medray.data.dicom import open_whole, syntaxes
from medray.data.dicom.header import header_of
from medray.data.dicom.pixels import stored_values

ROWS, COLUMNS = 46, 62
RGB, YCBCR = 2, 3  # libjpeg's J_COLOR_SPACE
Pixels = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Kind:
    """One column of the table: what is stored."""

    photometric: str
    bits: int
    signed: bool = False

    @property
    def allocated(self) -> int:
        return self.bits if self.bits in (1, 8) else 16

    @property
    def samples(self) -> int:
        return 1 if self.photometric.startswith(("MONO", "PALETTE")) else 3

    @property
    def title(self) -> str:
        return f"{self.photometric} {self.bits}{' signed' if self.signed else ''}"


KINDS = [
    Kind("MONOCHROME2", 1),
    Kind("MONOCHROME2", 8),
    Kind("MONOCHROME2", 12),
    Kind("MONOCHROME2", 12, signed=True),
    Kind("MONOCHROME2", 16),
    Kind("MONOCHROME2", 16, signed=True),
    Kind("MONOCHROME1", 8),
    Kind("MONOCHROME1", 12),
    Kind("PALETTE COLOR", 8),
    Kind("PALETTE COLOR", 16),
    Kind("RGB", 8),
    Kind("RGB", 16),
    Kind("YBR_FULL", 8),
    Kind("YBR_FULL_422", 8),
    Kind("YBR_RCT", 8),
    Kind("YBR_ICT", 8),
]


def values_of(kind: Kind) -> Pixels:
    """Stored values (rows, columns) or RGB (rows, columns, 3): waves and a little noise, over the whole range of the bits."""
    rng = np.random.default_rng(kind.bits)
    y, x = np.mgrid[:ROWS, :COLUMNS]
    waves = np.stack([np.sin(x / 13 + phase) * np.cos(y / (9 + phase)) for phase in range(kind.samples)], axis=-1)
    noisy = np.clip(0.5 + 0.48 * waves + rng.normal(0, 0.002, waves.shape), 0, 1)
    whole = np.rint(noisy * ((1 << kind.bits) - 1)).astype(np.int64) - ((1 << (kind.bits - 1)) if kind.signed else 0)
    return (whole if kind.samples == 3 else whole[..., 0]).astype(f"{'i' if kind.signed else 'u'}{max(kind.allocated, 8) // 8}")


def unsigned(values: Pixels, kind: Kind) -> Pixels:
    """The same bits as unsigned numbers: what codecs without a sign are given."""
    plain = values.view(f"u{values.itemsize}")
    return np.asarray(plain & plain.dtype.type((1 << kind.bits) - 1))


def raw(values: Pixels, kind: Kind) -> bytes:
    """Native little-endian pixel data."""
    if kind.bits == 1:
        return np.packbits(values, bitorder="little").tobytes()
    if kind.photometric == "YBR_FULL":
        values = convert_color_space(values, "RGB", "YBR_FULL")
    if kind.photometric == "YBR_FULL_422":
        ybr = convert_color_space(values, "RGB", "YBR_FULL").reshape(-1, 2, 3)
        values = np.concatenate([ybr[:, :, 0], ybr[:, 0, 1:]], axis=1)
    data = np.ascontiguousarray(values).tobytes()
    return data + b"\0" * (len(data) % 2)


def jpeg(values: Pixels, kind: Kind) -> bytes:
    if kind.samples == 1:
        return bytes(imagecodecs.jpeg8_encode(values, 98, bitspersample=kind.bits))
    subsampling = "422" if kind.photometric == "YBR_FULL_422" else "444"
    out = RGB if kind.photometric == "RGB" else YCBCR
    return bytes(imagecodecs.jpeg8_encode(values, 98, colorspace=RGB, outcolorspace=out, subsampling=subsampling))


def lossless_jpeg(predictor: int) -> Callable[[Pixels, Kind], bytes]:
    def encode(values: Pixels, kind: Kind) -> bytes:
        plain = unsigned(values, kind)
        colour: dict[str, Any] = {} if kind.samples == 1 else {"colorspace": RGB, "outcolorspace": RGB}
        return bytes(imagecodecs.jpeg8_encode(plain, lossless=True, predictor=predictor, bitspersample=kind.bits, **colour))

    return encode


def jpeg_ls(near: int) -> Callable[[Pixels, Kind], bytes]:
    return lambda values, kind: bytes(imagecodecs.jpegls_encode(values.view(f"u{values.itemsize}"), near))


def j2k(reversible: bool) -> Callable[[Pixels, Kind], bytes]:
    def encode(values: Pixels, kind: Kind) -> bytes:
        level, mct = 0 if reversible else 60, kind.photometric.startswith("YBR")
        return bytes(
            imagecodecs.jpeg2k_encode(values, level, codecformat="j2k", reversible=reversible, mct=mct, bitspersample=kind.bits)
        )

    return encode


def htj2k(reversible: bool) -> Callable[[Pixels, Kind], bytes]:
    return lambda values, kind: bytes(
        imagecodecs.htj2k_encode(values, None if reversible else 0.001, reversible=reversible, rgb=kind.photometric != "RGB")
    )


def jpeg_xl(values: Pixels, kind: Kind) -> bytes:
    """Without loss."""
    return bytes(imagecodecs.jpegxl_encode(unsigned(values, kind), lossless=True, bitspersample=kind.bits))


def lossy_jpeg_xl(values: Pixels, kind: Kind) -> bytes:
    return bytes(imagecodecs.jpegxl_encode(values, distance=1.0, bitspersample=kind.bits))


def recompressed(values: Pixels, kind: Kind) -> bytes:
    """The JPEG of the kind as JPEG XL."""
    return bytes(imagecodecs.jpegxl_encode_jpeg(jpeg(values, kind)))


def deflated(values: Pixels, kind: Kind) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(raw(values, kind)[: frame_bytes(kind)]) + packer.flush()


def rle_of_bits(octets: Pixels) -> bytes:
    """One segment (PS3.5 G.5)."""
    segment = bytes(imagecodecs.packbits_encode(octets.tobytes()))
    return np.array([1, 64, *[0] * 14], "<u4").tobytes() + segment + b"\0" * (len(segment) % 2)


def frame_bytes(kind: Kind) -> int:
    """Of a native frame without padding."""
    samples = 2 if kind.photometric == "YBR_FULL_422" else kind.samples
    return (ROWS * COLUMNS * samples * kind.allocated + 7) // 8


def any_kind(kind: Kind) -> bool:
    return kind.photometric not in ("YBR_RCT", "YBR_ICT")


def run_lengths(kind: Kind) -> bool:
    return whole_bytes(kind) or kind.bits == 1


def whole_bytes(kind: Kind) -> bool:
    return any_kind(kind) and kind.bits > 1 and kind.photometric != "YBR_FULL_422"


def baseline(kind: Kind) -> bool:
    return kind.bits == 8 and any_kind(kind) and not kind.photometric.startswith("PALETTE")


def extended(kind: Kind) -> bool:
    return baseline(kind) or (kind.bits == 12 and not kind.signed)


def recompressible(kind: Kind) -> bool:
    return baseline(kind) and kind.photometric != "RGB"


def lossy_xl(kind: Kind) -> bool:
    return kind.bits > 1 and not kind.signed and kind.photometric in ("MONOCHROME1", "MONOCHROME2", "RGB")


def lossless_xl(kind: Kind) -> bool:
    return kind.photometric in ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR", "RGB") and kind.bits > 1


def lossless(kind: Kind) -> bool:
    return whole_bytes(kind) and kind.photometric != "YBR_FULL"


def near_lossless(kind: Kind) -> bool:
    return lossless(kind) and not kind.photometric.startswith("PALETTE") and not kind.signed


def wavelet(colours: str) -> Callable[[Kind], bool]:
    def defined(kind: Kind) -> bool:
        grey = kind.bits > 1 and kind.samples == 1 and (colours == "YBR_RCT" or not kind.photometric.startswith("PALETTE"))
        return grey or kind.photometric == colours or (kind.photometric == "RGB" and colours == "YBR_RCT")

    return defined


@dataclass(frozen=True)
class Syntax:
    """One row of the table.

    Attributes:
        encode: frame → code stream; None for native and RLE.
        defined: whether the standard allows a kind (PS3.5 8.2, PS3.3 C.7.6.3.1.2), as far as an encoder makes it.
        error: largest error of a lossy one as a part of the range; 0 where it is lossless.
    """

    uid: str
    encode: Callable[[Pixels, Kind], bytes | None] | None
    defined: Callable[[Kind], bool]
    error: float = 0.0


SYNTAXES = [
    Syntax(uid.ImplicitVRLittleEndian, None, any_kind),
    Syntax(uid.ExplicitVRLittleEndian, None, any_kind),
    Syntax(uid.DeflatedExplicitVRLittleEndian, None, any_kind),
    Syntax(uid.ExplicitVRBigEndian, None, any_kind),
    Syntax(syntaxes.ENCAPSULATED_UNCOMPRESSED, raw, any_kind),
    Syntax(syntaxes.DEFLATED_FRAME, deflated, any_kind),
    Syntax(uid.RLELossless, None, run_lengths),
    Syntax(uid.JPEGBaseline8Bit, jpeg, baseline, 0.06),
    Syntax(uid.JPEGExtended12Bit, jpeg, extended, 0.06),
    Syntax(uid.JPEGLossless, lossless_jpeg(4), lossless),
    Syntax(uid.JPEGLosslessSV1, lossless_jpeg(1), lossless),
    Syntax(uid.JPEGLSLossless, jpeg_ls(0), lossless),
    Syntax(uid.JPEGLSNearLossless, jpeg_ls(2), near_lossless, 0.01),
    Syntax(uid.JPEG2000Lossless, j2k(True), wavelet("YBR_RCT")),
    Syntax(uid.JPEG2000, j2k(False), wavelet("YBR_ICT"), 0.02),
    Syntax(uid.HTJ2KLossless, htj2k(True), wavelet("YBR_RCT")),
    Syntax(uid.HTJ2KLosslessRPCL, htj2k(True), wavelet("YBR_RCT")),
    Syntax(uid.HTJ2K, htj2k(False), wavelet("YBR_ICT"), 0.02),
    Syntax(syntaxes.JPEG_XL_LOSSLESS, jpeg_xl, lossless_xl),
    Syntax(syntaxes.JPEG_XL_RECOMPRESSION, recompressed, recompressible, 0.06),
    Syntax(syntaxes.JPEG_XL_ANY, lossy_jpeg_xl, lossy_xl, 0.06),
]
NAMES = {
    syntaxes.DEFLATED_FRAME: "Deflated Image Frame Compression",
    syntaxes.JPEG_XL_LOSSLESS: "JPEG XL Lossless",
    syntaxes.JPEG_XL_RECOMPRESSION: "JPEG XL JPEG Recompression",
    syntaxes.JPEG_XL_ANY: "JPEG XL",
}
"""Those that pydicom does not know yet."""


def dataset(syntax: Syntax, kind: Kind, values: Pixels, **changes: Any) -> pydicom.FileDataset:
    """A data set of one frame."""
    found = pydicom.dcmread(str(get_testdata_file("MR_small.dcm", download=False)))
    found.Rows, found.Columns, found.SamplesPerPixel = ROWS, COLUMNS, kind.samples
    found.PhotometricInterpretation, found.PixelRepresentation = kind.photometric, int(kind.signed)
    found.BitsAllocated, found.BitsStored, found.HighBit = kind.allocated, kind.bits, kind.bits - 1
    if kind.samples == 3:
        found.PlanarConfiguration = 0
    if kind.photometric == "PALETTE COLOR":
        add_palette(found, kind)
    for keyword, value in changes.items():
        setattr(found, keyword, value)
    set_pixels(found, syntax, kind, values)
    return found


def add_palette(found: pydicom.FileDataset, kind: Kind) -> None:
    entries = 1 << kind.bits
    for colour, power in (("Red", 1), ("Green", 3), ("Blue", 7)):
        name = f"{colour}PaletteColorLookupTable"
        found.add_new(f"{name}Descriptor", "US", [entries % 65536, 0, 16])
        tones = np.arange(entries, dtype=np.uint32) * power % 65536
        found.add_new(f"{name}Data", "OW", tones.astype("<u2").tobytes())


def set_pixels(found: pydicom.FileDataset, syntax: Syntax, kind: Kind, values: Pixels) -> None:
    found.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    if syntax.uid == uid.RLELossless and kind.bits == 1:  # which pydicom cannot
        found.PixelData = encapsulate([rle_of_bits(np.packbits(values, bitorder="little"))])
    elif syntax.encode is not None:
        code_stream = syntax.encode(values, kind)
        assert code_stream is not None
        found.PixelData = encapsulate([code_stream])
    else:
        found.PixelData = raw(values, kind)
        if syntax.uid == uid.RLELossless:
            found.compress(uid.RLELossless, encoding_plugin="pydicom", generate_instance_uid=False)
        if syntax.uid == uid.ExplicitVRBigEndian and kind.allocated == 16:
            found.PixelData = np.frombuffer(found.PixelData, "<u2").byteswap().tobytes()
    found.file_meta.TransferSyntaxUID = uid.UID(syntax.uid)
    found["PixelData"].VR = "OW" if kind.allocated == 16 and found["PixelData"].VR != "OB" else "OB"


def file_bytes(found: pydicom.FileDataset) -> bytes:
    buffer = io.BytesIO()
    syntax = found.file_meta.TransferSyntaxUID
    is_native = syntax in syntaxes.NATIVE
    found["PixelData"].is_undefined_length = not is_native
    implicit, little = (syntax.is_implicit_VR, syntax.is_little_endian) if is_native else (False, True)
    pydicom.dcmwrite(buffer, found, implicit_vr=implicit, little_endian=little, force_encoding=syntax in NAMES)
    return buffer.getvalue()


def stored(data: bytes, frame: int = 0) -> Pixels:
    file = open_whole(data)
    return stored_values(file, header_of(file), frame)


def cell(syntax: Syntax, kind: Kind) -> str:
    """``"exact"`` or ``"lossy"`` where a file of this kind comes back as it was stored, "–" where the standard knows none.

    Raises:
        AssertionError: other values come back.
    """
    if not syntax.defined(kind):
        return "–"
    values = values_of(kind)
    found = stored(file_bytes(dataset(syntax, kind, values)))
    assert found.dtype == values.dtype
    assert found.shape == values.shape
    error = int(np.abs(found.astype(np.int64) - values.astype(np.int64)).max())
    allowed = syntax.error * (1 << kind.bits)
    if not syntax.error and kind.photometric.startswith("YBR_FULL"):
        allowed = 2 if kind.photometric == "YBR_FULL" else 40  # rounding of the colour conversion; halved chrominance
        return _checked(error, allowed, "exact¹" if kind.photometric == "YBR_FULL" else "exact²")
    return _checked(error, allowed, "lossy" if syntax.error else "exact")


def _checked(error: float, allowed: float, text: str) -> str:
    assert error <= allowed, f"off by {error}, {allowed} allowed"
    return text


def table(cells: Mapping[tuple[str, str], str]) -> str:
    """The Markdown page."""
    lines = [HEAD, "| transfer syntax | " + " | ".join(kind.title for kind in KINDS) + " |", "|---" * (len(KINDS) + 1) + "|"]
    for syntax in SYNTAXES:
        name = f"{NAMES.get(syntax.uid) or uid.UID(syntax.uid).name} `{syntax.uid}`"
        lines.append("| " + " | ".join([name, *(cells[syntax.uid, kind.title] for kind in KINDS)]) + " |")
    return "\n".join([*lines, FOOT])


HEAD = """# Transfer syntaxes

What medray decodes. `tests/data/dicom/test_matrix.py` makes a file of every cell, decodes it, compares it with what was stored
and with pydicom, and checks that this page says what came out.

- **exact**: every stored value comes back bit for bit.
- **lossy**: the code stream itself is lossy; the values are those of the reference decoders.
- –: the standard does not allow it (PS3.5 8.2, PS3.3 C.7.6.3.1.2).

Columns: photometric interpretation and bits stored (12 bits lie in 16). Colour comes back as RGB, palette colour as indices; the
image is their luminance, or with `decode(…, colour=True)` has them as three channels.
"""
FOOT = """
¹ The stored values are exact; their conversion to RGB rounds. ² The same, and the file holds half of the chrominance.

Single bits in RLE: eight pixels a byte, as native frames have them, or one byte a pixel, as older writers do; the length tells.

## Lossy code streams

A lossy codec overshoots. Its values **saturate** at the limits of Bits Stored (unsigned 0 to 2^b - 1, signed -2^(b-1) to
2^(b-1) - 1) and never wrap around, whichever depth the code stream states: JPEG, JPEG-LS whose scans state a NEAR above 0,
JPEG 2000, HTJ2K and JPEG XL that are irreversible or of a transfer syntax that allows loss. After lossless ones, RLE and in
native data, bits above Bits Stored are masked: they may be an overlay (PS3.5 8.1.2).

JPEG, JPEG-LS and JPEG XL have no sign. Signed values are read as two's complement of the depth that the code stream states, or
of Bits Stored where none is at the top of that range. Where none is at the top of either, and some are just below the largest,
all are positive and overshoot. Where the sign lies among the bits of an unsigned number, loss may have changed it: the flag
LOSSY_SIGN. (PS3.5 8.2.1 has no signed lossy JPEG.)

## Colour

What the code stream says of its components decides (PS3.5 8.2.1, 8.2.4), and a Photometric Interpretation that contradicts it is
flagged COLOUR_DIFFERS:

- JPEG 2000 with its multiple component transform holds RGB, whatever the header says; without it YBR_FULL is converted, and a
  header that names YBR_RCT or YBR_ICT all the same is not believed: the components are RGB.
- JPEG, lossless JPEG and JPEG-LS: as libjpeg has it, a JFIF marker says YCbCr; else an Adobe marker says RGB (transform 0) or
  YCbCr; else the component ids R, G, B say RGB; components of several sizes are YCbCr. Where none of these is there (ids 1, 2, 3)
  the header decides. Hewlett-Packard's colour transforms of JPEG-LS are undone.
- JPEG XL states its own colours; they come back as RGB.

The conversion of YBR and the luminance are exact: luminance is the float32 nearest to (299 R + 587 G + 114 B) / 1000. So equal
colours give equal bits whether they lie by pixel, by plane, in RLE or in a palette, and R = G = B gives that very value.

## Not decoded, by policy

| transfer syntax | state | code |
|---|---|---|
| MPEG2, MPEG-4 AVC/H.264, HEVC/H.265, SMPTE ST 2110 | EXCLUDED | PIXELS_VIDEO |
| JPIP referenced (4.94, 4.95, 4.204, 4.205), deflate or not: the pixels are on a server | EXCLUDED | PIXELS_ELSEWHERE |
| JPEG 2000 Part 2 multi-component (4.92, 4.93) | EXCLUDED | PIXELS_MULTI_COMPONENT |
| retired, private and unknown ones | QUARANTINED | DICOM_UNKNOWN_TRANSFER_SYNTAX |

## Which decoder, and why

- JPEG (8 and 12 bits, lossless of all predictors): libjpeg-turbo. pylibjpeg and GDCM cannot decode 12-bit JPEG extended.
- JPEG-LS: CharLS. JPEG 2000: OpenJPEG. JPEG XL: libjxl; animations, previews, floating-point samples and alpha are refused.
- HTJ2K: OpenJPH where the code stream is reversible, OpenJPEG where it is not. Both agree to one grey level within the range, but
  imagecodecs' binding of OpenJPH does not clip irreversible values that overshoot it: in saturated areas 256 becomes 0, and
  OpenJPEG is right. OpenJPH also gets whole and plain code streams only, since it hides errors.
- RLE: PackBits of imagecodecs, segment by segment, after the segment table is checked.
- Deflated frames: zlib, which inflates no more than the header asks for.
"""


def run() -> dict[tuple[str, str], str]:
    """Every cell."""
    return {(syntax.uid, kind.title): cell(syntax, kind) for syntax in SYNTAXES for kind in KINDS}


if __name__ == "__main__":
    print(table(run()), end="")
