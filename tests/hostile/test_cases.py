"""Bad, hostile and odd files: each gives the state and the code (or the flag) that it must.

The numbers are those of the list of bad inputs. States: S scored, F scored with a flag, X excluded, Q quarantined.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hostile import samples as make
from hostile.samples import change, d, mr, p, put
from numpy.typing import NDArray

from medray.data.dicom import decode, inspect
from medray.errors import Excluded, InputError, Quarantined
from medray.remedies import FLAGS, REMEDIES
from medray.types import Header, Image

HEAD_BYTES = 16 * 1024
ROOT = Path(__file__).parents[2]
ELSEWHERE = {
    14: "tests/hostile/test_archives.py",
    15: "tests/hostile/test_archives.py",
    75: "tests/hostile/test_catalog.py",
    76: "tests/hostile/test_volumes.py",
    80: "tests/distributed/test_serve.py",
}
"""Cases that one file and one decode cannot show."""


@dataclass(frozen=True)
class Case:
    """``code``: of X and Q, the flag of F. ``same`` makes a file of the same pixels; ``frame`` is the frame to decode."""

    number: int
    name: str
    make: Callable[[], bytes]
    state: str
    code: str = ""
    frame: int | None = None
    same: Callable[[], bytes] | None = None

    @property
    def id(self) -> str:
        return f"{self.number}-{self.name.replace(' ', '-')}"


def q(number: int, name: str, maker: Callable[[], bytes], code: str, frame: int | None = None) -> Case:
    return Case(number, name, maker, "Q", code, frame)


def x(number: int, name: str, maker: Callable[[], bytes], code: str) -> Case:
    return Case(number, name, maker, "X", code)


def f(number: int, name: str, maker: Callable[[], bytes], flag: str, same: Callable[[], bytes] | None = None) -> Case:
    return Case(number, name, maker, "F", flag, None, same)


def s(
    number: int, name: str, maker: Callable[[], bytes], same: Callable[[], bytes] | None = None, frame: int | None = None
) -> Case:
    return Case(number, name, maker, "S", "", frame, same)


NO_RESCALE: dict[str, make.Value] = {"RescaleSlope": None, "RescaleIntercept": None}
NO_SYNTAX = "DICOM_NO_TRANSFER_SYNTAX"
SECOND_PIXELS = make.element(0x7FE00010, "OW", make.mr_pixels())
FLOAT_PIXELS = make.element(0x7FE00008, "OF", bytes(64 * 64 * 4))
LONG_UID = "1." + "2" * 63
MR_CLASS, CT_CLASS = "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.2"
ENHANCED_CT_CLASS = "1.2.840.10008.5.1.4.1.1.2.1"
CAPTURES = [f"1.2.840.10008.5.1.4.1.1.7{tail}" for tail in ("", ".1", ".2", ".3", ".4")] + ["1.2.840.10008.5.1.4.1.1.1"]
CT, BAD_UID = "CT_NO_RESCALE", "DICOM_BAD_UID"
EMPTY_MODALITY_LUT, EMPTY_VOI_LUT = (make.element(tag, "SQ", make.item(b"")) for tag in (0x00283000, 0x00283010))
PDF_CLASS, PRESENTATION_CLASS = "1.2.840.10008.5.1.4.1.1.104.1", "1.2.840.10008.5.1.4.1.1.11.1"

FILE = [
    q(1, "empty file", lambda: b"", "DICOM_EMPTY"),
    q(2, "text", lambda: p("README.txt"), "DICOM_NOT_DICOM"),
    q(2, "colour profile", lambda: p("crayons.icc"), "DICOM_NOT_DICOM"),
    q(2, "PNG", make.png, "DICOM_NOT_DICOM"),
    q(2, "random bytes", make.random_bytes, "DICOM_NOT_DICOM"),
    q(3, "no preamble", lambda: mr()[128:], "DICOM_NOT_DICOM"),
    q(3, "no preamble and no prefix", lambda: mr()[132:], "DICOM_NOT_DICOM"),
    q(3, "naked data set", lambda: p("no_meta.dcm"), "DICOM_NOT_DICOM"),
    q(4, "preamble only", lambda: bytes(128) + b"DICM", "DICOM_NO_TRANSFER_SYNTAX"),
    q(4, "preamble without prefix", lambda: bytes(128), "DICOM_NOT_DICOM"),
    q(5, "no transfer syntax", lambda: p("meta_missing_tsyntax.dcm"), "DICOM_NO_TRANSFER_SYNTAX"),
    q(5, "empty transfer syntax", lambda: make.syntax(mr(), ""), "DICOM_NO_TRANSFER_SYNTAX"),
    s(6, "no group length", lambda: change(mr(), FileMetaInformationGroupLength=None), mr),
    q(6, "no group length and no pixels", lambda: p("no_meta_group_length.dcm"), "PIXELS_MISSING"),
    f(7, "meta length 0", lambda: make.group_length(0), "META_LENGTH_DIFFERS", mr),
    f(7, "meta length huge", lambda: make.group_length(0xFFFFFFFF), "META_LENGTH_DIFFERS", mr),
    f(7, "meta length into the data set", lambda: make.group_length(400), "META_LENGTH_DIFFERS", mr),
    f(7, "meta length into itself", lambda: make.group_length(30), "META_LENGTH_DIFFERS", mr),
    q(7, "meta length wrong and no transfer syntax", lambda: change(make.group_length(30), TransferSyntaxUID=None), NO_SYNTAX),
    q(7, "meta length 0 and a cut element", lambda: make.group_length(0)[:200], "DICOM_TRUNCATED"),
    f(8, "program in the preamble", lambda: make.preamble(b"MZ\x90\0\3\0\0\0"), "PREAMBLE_NOT_ZERO", mr),
    f(8, "HTML in the preamble", lambda: make.preamble(b"<script>alert(1)</script>"), "PREAMBLE_NOT_ZERO", mr),
    f(8, "zip", make.zip_polyglot, "PREAMBLE_NOT_ZERO", mr),
    q(9, "plan cut in a sequence", lambda: p("rtplan_truncated.dcm"), "DICOM_TRUNCATED"),
    q(9, "header cut", make.cut_header, "DICOM_TRUNCATED"),
    q(10, "pixels cut", lambda: p("MR_truncated.dcm"), "PIXELS_TRUNCATED"),
    q(10, "code stream cut", lambda: make.j2k()[:-1000], "PIXELS_TRUNCATED"),
    s(11, "trailing padding", lambda: p("MR_small_padded.dcm"), mr),
    q(12, "pixel data twice as long", make.twice, "PIXELS_LENGTH"),
    q(12, "pixel data element twice", lambda: make.appended(mr(), SECOND_PIXELS), "PIXELS_LENGTH"),
    q(12, "float pixels behind pixels", lambda: make.appended(mr(), FLOAT_PIXELS), "PIXELS_LENGTH"),
    q(12, "compressed pixel data element twice", lambda: make.appended(make.j2k(), SECOND_PIXELS), "PIXELS_FRAGMENTS"),
    q(12, "code streams twice", lambda: make.fragments(make.j2k(), *[make.frame_of(make.j2k())] * 2), "PIXELS_FRAGMENTS"),
    q(13, "gzip", lambda: p("zipMR.gz"), "DICOM_NOT_DICOM"),
    x(16, "DICOMDIR", lambda: p("dicomdirtests/DICOMDIR"), "OBJECT_DICOMDIR"),
    x(16, "DICOMDIR big endian", lambda: p("dicomdirtests/DICOMDIR-bigEnd"), "OBJECT_DICOMDIR"),
    x(16, "DICOMDIR implicit", lambda: p("dicomdirtests/DICOMDIR-implicit"), "OBJECT_DICOMDIR"),
    x(16, "DICOMDIR of one file", lambda: make.dicomdir("IMAGES", "IM1"), "OBJECT_DICOMDIR"),
    q(17, "DICOMDIR upwards", lambda: make.dicomdir("..", "..", "ETC", "PASSWD"), "DICOMDIR_OUTSIDE"),
    q(17, "DICOMDIR absolute", lambda: make.dicomdir("/ETC/PASSWD"), "DICOMDIR_OUTSIDE"),
    q(17, "DICOMDIR drive", lambda: make.dicomdir("C:", "WINDOWS"), "DICOMDIR_OUTSIDE"),
]
ENCODING = [
    s(18, "implicit little endian", lambda: p("MR_small_implicit.dcm"), mr),
    s(19, "big endian", lambda: p("MR_small_bigendian.dcm"), mr),
    s(20, "deflated", lambda: p("image_dfl.dcm")),
    q(22, "corrupt deflate", make.corrupt_deflate, "DICOM_INFLATES"),
    q(22, "cut deflate", make.cut_deflate, "DICOM_TRUNCATED"),
    q(23, "unknown syntax", lambda: make.syntax(mr(), "1.2.3.4"), "DICOM_UNKNOWN_TRANSFER_SYNTAX"),
    q(23, "private syntax of GE", lambda: make.syntax(mr(), "1.2.840.113619.5.2"), "DICOM_UNKNOWN_TRANSFER_SYNTAX"),
    x(23, "video", lambda: make.syntax(make.j2k(), "1.2.840.10008.1.2.4.100"), "PIXELS_VIDEO"),
    f(24, "explicit that says implicit", lambda: make.syntax(mr(), "1.2.840.10008.1.2"), "ENCODING_DIFFERS", mr),
    f(
        24,
        "implicit that says explicit",
        lambda: make.syntax(p("MR_small_implicit.dcm"), "1.2.840.10008.1.2.1"),
        "ENCODING_DIFFERS",
        mr,
    ),
    q(24, "little endian that says big", lambda: make.syntax(mr(), "1.2.840.10008.1.2.2"), "DICOM_BAD_VR"),
    q(24, "native that says JPEG", lambda: make.syntax(mr(), "1.2.840.10008.1.2.4.50"), "PIXELS_FRAGMENTS"),
    q(24, "JPEG 2000 that says native", lambda: make.syntax(make.j2k(), "1.2.840.10008.1.2.1"), "PIXELS_FRAGMENTS"),
    q(24, "JPEG 2000 that says JPEG-LS", lambda: make.syntax(make.j2k(), "1.2.840.10008.1.2.4.80"), "PIXELS_CODEC"),
    q(24, "JPEG 2000 that says RLE", lambda: make.syntax(make.j2k(), "1.2.840.10008.1.2.5"), "PIXELS_CODEC"),
    q(
        24,
        "JPEG-LS that says JPEG",
        lambda: make.syntax(p("MR_small_jpeg_ls_lossless.dcm"), "1.2.840.10008.1.2.4.70"),
        "PIXELS_CODEC",
    ),
]
CODECS = [
    s(25, "RLE", lambda: p("MR_small_RLE.dcm"), mr),
    s(25, "RLE colour 16 bit", lambda: p("SC_rgb_rle_16bit.dcm"), lambda: d("SC_rgb_16bit.dcm")),
    s(25, "JPEG baseline", lambda: p("SC_rgb_dcmtk_+eb+cr.dcm"), lambda: d("SC_rgb_dcmtk_ebcr_dcmd.dcm")),
    s(25, "JPEG lossless", lambda: p("SC_rgb_jpeg_gdcm.dcm"), lambda: d("SC_rgb.dcm")),
    s(25, "JPEG lossless 16 bit", lambda: d("JPEG-LL.dcm")),
    s(25, "JPEG-LS", lambda: p("MR_small_jpeg_ls_lossless.dcm"), mr),
    s(25, "JPEG 2000 lossless", make.j2k, mr),
    s(25, "JPEG 2000 lossless 12 bit", lambda: d("MR2_J2KR.dcm"), lambda: d("MR2_UNCR.dcm")),
    s(25, "JPEG 2000 lossless colour", lambda: d("US1_J2KR.dcm"), lambda: d("US1_UNCR.dcm")),
    s(25, "JPEG 2000 lossy", lambda: p("JPEG2000.dcm"), lambda: d("JPEG2000_UNC.dcm")),
    s(25, "JPEG-LS frame", lambda: d("emri_small_jpeg_ls_lossless.dcm"), lambda: d("emri_small.dcm"), frame=3),
    s(25, "RLE frame", lambda: d("emri_small_RLE.dcm"), lambda: d("emri_small.dcm"), frame=9),
    s(26, "12 bit JPEG", lambda: p("JPEG-lossy.dcm")),
    s(27, "JP2 container", lambda: p("GDCMJ2K_TextGBR.dcm")),
    f(28, "J2K sign differs", lambda: p("J2K_pixelrep_mismatch.dcm"), "J2K_SIGN_DIFFERS"),
    f(29, "J2K depth differs", lambda: p("693_J2KI.dcm"), "J2K_DEPTH_DIFFERS"),
    f(29, "J2K depth differs lossless", lambda: d("693_J2KR.dcm"), "J2K_DEPTH_DIFFERS", lambda: d("693_UNCR.dcm")),
    q(30, "J2K too short", lambda: d("emri_small_jpeg_2k_lossless_too_short.dcm")[:-2], "PIXELS_TRUNCATED", frame=9),
    q(30, "J2K with a sequence delimiter inside", lambda: p("JPEG2000-embedded-sequence-delimiter.dcm"), "PIXELS_SIZE"),
    q(30, "HTJ2K with a short QCD", make.short_qcd, "PIXELS_CODEC"),
    q(32, "J2K smaller than the header says", lambda: make.siz(32, 64), "PIXELS_SIZE"),
    q(32, "header smaller than J2K", lambda: change(make.j2k(), Rows=32), "PIXELS_SIZE"),
    q(34, "RLE of no segments", lambda: make.rle(make.rle_table(0)), "PIXELS_CODEC"),
    q(34, "RLE of 200 segments", lambda: make.rle(make.rle_table(200, 64, 3000)), "PIXELS_CODEC"),
    q(34, "RLE of one segment too few", lambda: make.rle(make.rle_table(1, 64)), "PIXELS_CODEC"),
    q(34, "RLE segments that overlap", lambda: make.rle(make.rle_table(2, 64, 64)), "PIXELS_CODEC"),
    q(34, "RLE segment past the end", lambda: make.rle(make.rle_table(2, 64, 0xFFFFFFF0)), "PIXELS_CODEC"),
    q(34, "RLE segments backwards", lambda: make.rle(make.rle_table(2, 3000, 64)), "PIXELS_CODEC"),
    q(34, "RLE with one short segment of six", make.rle_short_segment, "PIXELS_TRUNCATED"),
    q(34, "RLE segments short", lambda: make.rle(None, b"\0\1" * 8), "PIXELS_TRUNCATED"),
]
FRAGMENTS = [
    q(
        35,
        "more frames than fragments",
        lambda: make.multi_frame(make.frame_of(make.j2k()), number=2),
        "PIXELS_FRAGMENTS",
        frame=1,
    ),
    q(35, "a million frames", lambda: make.multi_frame(make.frame_of(make.j2k()), number=1_000_000), "PIXELS_FRAGMENTS", frame=7),
    q(36, "offset table past the end", lambda: _two_frames(0, 0x7FFFFFF0), "PIXELS_TRUNCATED", frame=1),
    q(36, "offset table into a fragment", lambda: _two_frames(0, 12), "PIXELS_FRAGMENTS", frame=1),
    q(36, "offset table backwards", lambda: _two_frames(4000, 0), "PIXELS_FRAGMENTS", frame=1),
    q(
        36,
        "offset table of no whole numbers",
        lambda: make.fragments(make.j2k(), make.frame_of(make.j2k()), table=b"\0" * 6),
        "PIXELS_FRAGMENTS",
    ),
    f(36, "no delimiter", lambda: make.not_delimited(make.j2k()), "DELIMITER_MISSING", mr),
    f(36, "no delimiter, RLE", lambda: make.not_delimited(p("MR_small_RLE.dcm")), "DELIMITER_MISSING", mr),
    q(36, "no delimiter, cut", lambda: make.not_delimited(make.j2k())[:-2], "PIXELS_TRUNCATED"),
    s(37, "many fragments without offsets", lambda: make.fragments(make.j2k(), *make.split(make.frame_of(make.j2k()), 9)), mr),
    q(
        38,
        "fragment past the end",
        lambda: make.fragments(make.j2k(), end=make.item(b"\xff\xd8", 0x7FFFFFFF)),
        "PIXELS_TRUNCATED",
    ),
    q(38, "nothing", lambda: make.fragments(make.j2k())[:-16], "PIXELS_TRUNCATED"),
    q(38, "no fragment", lambda: make.fragments(make.j2k()), "PIXELS_FRAGMENTS"),
    q(38, "empty fragment", lambda: make.fragments(make.j2k(), b""), "PIXELS_FRAGMENTS"),
    q(
        38,
        "10000 fragments",
        lambda: make.fragments(make.j2k(), make.frame_of(make.j2k()), *[b"\0\0"] * 9999),
        "PIXELS_FRAGMENTS",
    ),
]
STRUCTURE = [
    s(39, "nested 100 deep", lambda: make.nested(100), mr),
    s(39, "nested 100 deep, lengths known", lambda: make.nested_known(100), mr),
    q(39, "nested 5000 deep", lambda: make.nested(5000), "DICOM_NESTED"),
    q(40, "length past the end", make.past_the_end, "DICOM_TRUNCATED"),
    q(41, "400000 elements", make.many_elements, "DICOM_TOO_MANY_ELEMENTS"),
    q(42, "bad VR", make.bad_vr, "DICOM_BAD_VR"),
    q(42, "value that its VR does not allow", lambda: p("badVR.dcm"), "PIXELS_FRAMES"),
    s(43, "all UN", lambda: d("explicit_VR-UN.dcm")),
    q(44, "bad sequence and a hash for a UID", lambda: d("bad_sequence.dcm"), "DICOM_BAD_UID"),
    f(44, "sequence shorter than its item", lambda: make.broken_sequence(0x00081140), "SEQUENCE_BROKEN", mr),
    f(44, "private sequence shorter than its item", lambda: make.broken_sequence(0x00131010), "SEQUENCE_BROKEN", mr),
    q(44, "sequence that is needed is broken", lambda: make.broken_sequence(0x00283000), "DICOM_TRUNCATED"),
    q(45, "Rows twice", make.duplicate_rows, "DICOM_TAG_ORDER"),
    q(45, "Columns before Rows", make.unordered, "DICOM_TAG_ORDER"),
    s(46, "made from itself", make.circular_reference, mr),
    x(46, "DICOMDIR in a circle", make.circular_dicomdir, "OBJECT_DICOMDIR"),
]
DESCRIPTION = [
    q(47, "Rows 0", lambda: change(mr(), Rows=0), "PIXELS_SHAPE"),
    q(47, "Rows missing", lambda: change(mr(), Rows=None), "PIXELS_SHAPE"),
    q(47, "Columns 0", lambda: change(mr(), Columns=0), "PIXELS_SHAPE"),
    q(47, "four samples", lambda: change(mr(), SamplesPerPixel=4), "PIXELS_SHAPE"),
    q(47, "one row more than pixels", lambda: change(mr(), Rows=65), "PIXELS_TRUNCATED"),
    q(49, "0 frames", lambda: change(mr(), NumberOfFrames="0"), "PIXELS_FRAMES"),
    q(49, "minus 1 frames", lambda: change(mr(), NumberOfFrames="-1"), "PIXELS_FRAMES"),
    q(49, "2147483647 frames", lambda: change(mr(), NumberOfFrames="2147483647"), "PIXELS_FRAMES"),
    q(49, "abc frames", lambda: change(mr(), NumberOfFrames="abc"), "PIXELS_FRAMES"),
    q(49, "2 frames and pixels of 1", lambda: change(mr(), NumberOfFrames="2"), "PIXELS_TRUNCATED"),
    q(50, "no pixel data", lambda: change(mr(), PixelData=None), "PIXELS_MISSING"),
    q(50, "empty pixel data", lambda: make.with_pixel_bytes(mr(), b""), "PIXELS_TRUNCATED"),
    q(51, "12 bits allocated", lambda: change(mr(), BitsAllocated=12), "PIXELS_BITS"),
    q(51, "17 bits stored", lambda: change(mr(), BitsStored=17, HighBit=16), "PIXELS_BITS"),
    q(51, "0 bits stored", lambda: change(mr(), BitsStored=0), "PIXELS_BITS"),
    q(51, "no bits allocated", lambda: change(mr(), BitsAllocated=None), "PIXELS_BITS"),
    q(51, "64 bits allocated", lambda: change(mr(), BitsAllocated=64, BitsStored=64, HighBit=63), "PIXELS_BITS"),
    s(52, "12 in 16 bits", lambda: p("dicomdirtests/77654033/CR1/6154")),
    q(53, "high bit too high", lambda: change(make.grey(make.ramp(), 12), HighBit=15), "PIXELS_HIGH_BIT"),
    q(53, "high bit too low", lambda: change(mr(), HighBit=7), "PIXELS_HIGH_BIT"),
    s(54, "overlay", lambda: p("examples_overlay.dcm")),
    s(54, "overlay in the high bits", make.overlay_in_high_bits, lambda: make.grey(make.ramp(), 12)),
    s(55, "signed", lambda: p("CT_small.dcm")),
    s(56, "odd sized colour", lambda: p("SC_rgb_small_odd.dcm"), lambda: p("SC_rgb_small_odd_big_endian.dcm")),
    x(57, "segmentation of 1 bit", lambda: p("liver_1frame.dcm"), "OBJECT_SEGMENTATION"),
    x(57, "segmentation of 3 frames", lambda: d("liver.dcm"), "OBJECT_SEGMENTATION"),
    x(58, "float pixels", make.float_pixels, "PIXELS_FLOAT"),
    s(59, "MONOCHROME1", lambda: p("dicomdirtests/77654033/CR2/6247")),
    s(60, "palette", make.palette),
    s(60, "segmented palette", lambda: d("gdcm-US-ALOKA-16.dcm")),
    q(60, "no palette", lambda: change(make.palette(), RedPaletteColorLookupTableData=None), "PIXELS_NO_PALETTE"),
    q(60, "no palette descriptor", lambda: change(make.palette(), BluePaletteColorLookupTableDescriptor=None), "PIXELS_LUT"),
    q(60, "short palette", lambda: change(make.palette(), GreenPaletteColorLookupTableData=bytes(20)), "PIXELS_LUT"),
    s(61, "YBR_FULL_422", lambda: p("SC_ybr_full_422_uncompressed.dcm")),
    s(61, "YBR_FULL", lambda: d("SC_ybr_full_uncompressed.dcm")),
    s(61, "RGB by plane", lambda: d("color-pl.dcm"), lambda: d("color-px.dcm")),
    s(61, "YBR_ICT", lambda: d("US1_J2KI.dcm")),
    s(61, "YBR_RCT", lambda: d("US1_J2KR.dcm"), lambda: d("US1_UNCR.dcm")),
    q(62, "photometric missing", lambda: change(mr(), PhotometricInterpretation=None), "PIXELS_PHOTOMETRIC"),
    q(62, "photometric bogus", lambda: change(mr(), PhotometricInterpretation="MONOCHROME3"), "PIXELS_PHOTOMETRIC"),
    q(62, "photometric of colour", lambda: change(mr(), PhotometricInterpretation="RGB"), "PIXELS_PHOTOMETRIC"),
    s(63, "padding value", lambda: p("CT_small.dcm")),
]
VALUES = [
    q(64, "CT without rescale", lambda: make.ct(**NO_RESCALE), CT),
    q(64, "enhanced CT without rescale", lambda: _of_class(ENHANCED_CT_CLASS), CT),
    *[s(64, f"capture of modality CT, class {uid}", lambda uid=uid: _of_class(uid)) for uid in CAPTURES],  # type: ignore[misc]
    s(64, "CT with rescale in functional groups", lambda: d("eCT_Supplemental.dcm"), frame=1),
    q(65, "slope 0", lambda: make.ct(RescaleSlope="0"), "PIXELS_RESCALE"),
    q(65, "slope NaN", lambda: make.ct(RescaleSlope="NaN"), "PIXELS_RESCALE"),
    q(65, "slope infinite", lambda: make.ct(RescaleSlope="1e999"), "PIXELS_RESCALE"),
    q(65, "slope without intercept", lambda: make.ct(RescaleIntercept=None), "PIXELS_RESCALE"),
    q(65, "slope no number", lambda: make.ct(RescaleSlope="one"), "PIXELS_RESCALE"),
    s(66, "several windows", lambda: p("examples_overlay.dcm")),
    f(66, "window of width 0", lambda: change(mr(), WindowWidth="0"), "WINDOW_INVALID", mr),
    f(66, "window no number", lambda: change(mr(), WindowWidth="wide"), "WINDOW_INVALID", mr),
    s(67, "modality LUT", lambda: d("mlut_18.dcm")),
    s(67, "VOI LUT", lambda: d("vlut_04.dcm")),
    q(67, "modality LUT cut", lambda: make.modality_lut(4096, 100), "PIXELS_LUT"),
    q(67, "modality LUT of 5 bits", lambda: make.modality_lut(4096, 4096, bits=5), "PIXELS_LUT"),
    s(67, "modality LUT of no item", lambda: change(mr(), ModalityLUTSequence=b""), mr),
    q(67, "CT with a modality LUT of no item", lambda: make.ct(**NO_RESCALE, ModalityLUTSequence=b""), CT),
    f(67, "VOI LUT cut", lambda: make.voi_lut(4096, 100), "WINDOW_INVALID", lambda: make.grey(make.ramp(), 12)),
    s(67, "modality LUT of an empty item", lambda: put(mr(), 0x00283000, EMPTY_MODALITY_LUT), mr),
    s(67, "VOI LUT of an empty item", lambda: put(mr(), 0x00283010, EMPTY_VOI_LUT), mr),
    s(67, "CT with rescale and a modality LUT of an empty item", lambda: put(make.ct(), 0x00283000, EMPTY_MODALITY_LUT), make.ct),
    q(67, "CT with a modality LUT of an empty item", lambda: put(make.ct(**NO_RESCALE), 0x00283000, EMPTY_MODALITY_LUT), CT),
    x(68, "enhanced MR", lambda: d("emri_small.dcm"), "IMAGE_MULTI_FRAME"),
    x(68, "enhanced CT", lambda: d("eCT_Supplemental.dcm"), "IMAGE_MULTI_FRAME"),
    s(68, "frame of enhanced MR", lambda: d("emri_small_big_endian.dcm"), lambda: d("emri_small.dcm"), frame=4),
    x(69, "SR", lambda: p("test-SR.dcm"), "OBJECT_NOT_AN_IMAGE"),
    x(69, "RTSTRUCT", make.rtstruct, "OBJECT_NOT_AN_IMAGE"),
    x(69, "RTPLAN", lambda: p("rtplan.dcm"), "OBJECT_NOT_AN_IMAGE"),
    x(69, "RTDOSE", lambda: p("rtdose.dcm"), "OBJECT_NOT_AN_IMAGE"),
    x(69, "ECG", lambda: p("waveform_ecg.dcm"), "OBJECT_NOT_AN_IMAGE"),
    x(69, "PDF", lambda: make.of_class(PDF_CLASS), "OBJECT_NOT_AN_IMAGE"),
    x(69, "presentation state", lambda: make.of_class(PRESENTATION_CLASS), "OBJECT_NOT_AN_IMAGE"),
    f(70, "constant image", lambda: make.grey(np.full((16, 16), 7, np.uint16), 12), "PIXELS_CONSTANT"),
]
IDENTIFIERS = [
    q(71, "no SOP instance", lambda: change(mr(), SOPInstanceUID=None), "DICOM_MISSING_UID"),
    q(71, "no series", lambda: change(mr(), SeriesInstanceUID=None), "DICOM_MISSING_UID"),
    q(71, "empty study", lambda: change(mr(), StudyInstanceUID=""), "DICOM_MISSING_UID"),
    q(72, "path for a study", lambda: change(mr(), StudyInstanceUID="../../etc/passwd"), "DICOM_BAD_UID"),
    q(
        72,
        "path for an instance",
        lambda: change(mr(), SOPInstanceUID="/etc/cron.d/x", MediaStorageSOPInstanceUID=None),
        "DICOM_BAD_UID",
    ),
    q(73, "long UID", lambda: change(mr(), SeriesInstanceUID=LONG_UID), "DICOM_BAD_UID"),
    q(73, "UID of letters", lambda: change(mr(), SeriesInstanceUID="1.2.abc"), "DICOM_BAD_UID"),
    f(73, "UID with a leading zero", lambda: change(mr(), SeriesInstanceUID="1.02.3"), "UID_LEADING_ZERO", mr),
    f(73, "UID that starts with a leading zero", lambda: change(mr(), StudyInstanceUID="01.2.3"), "UID_LEADING_ZERO", mr),
    s(73, "UID with components of zero", lambda: change(mr(), StudyInstanceUID="0.0.10.0", SeriesInstanceUID="1.0"), mr),
    q(73, "UID with an empty component", lambda: change(mr(), SeriesInstanceUID="1..3"), "DICOM_BAD_UID"),
    q(73, "UID with a dot at its end", lambda: change(mr(), SeriesInstanceUID="1.3."), "DICOM_BAD_UID"),
    q(
        73,
        "UID with other digits",
        lambda: change(mr(), SpecificCharacterSet="ISO_IR 192", StudyInstanceUID="1.٣"),
        "DICOM_BAD_UID",
    ),
    q(73, "UID with an end of line", lambda: change(mr(), SeriesInstanceUID="1.2.3\n4"), "DICOM_BAD_UID"),
    q(73, "two UIDs", lambda: change(mr(), SeriesInstanceUID="1.2.3\\1.2.4"), "DICOM_BAD_UID"),
    f(74, "other instance in the file meta", lambda: change(mr(), SOPInstanceUID="1.2.3"), "META_UID_DIFFERS", mr),
    s(74, "no instance in the file meta", lambda: change(mr(), MediaStorageSOPInstanceUID=None), mr),
    q(74, "other class in the file meta", lambda: change(mr(), SOPClassUID=CT_CLASS), "DICOM_UID_MISMATCH"),
]
TEXT = [
    *[
        s(77, name, lambda name=name: p(f"{name}.dcm"))
        for name in (  # type: ignore[misc]
            "chrArab",
            "chrFren",
            "chrFrenMulti",
            "chrGerm",
            "chrGreek",
            "chrH31",
            "chrH32",
            "chrHbrw",
            "chrI2",
            "chrRuss",
            "chrX1",
            "chrX2",
        )
    ],
    *[
        s(77, name, lambda name=name: make.with_pixels(f"{name}.dcm"))
        for name in (  # type: ignore[misc]
            "chrJapMulti",
            "chrJapMultiExplicitIR6",
            "chrKoreanMulti",
        )
    ],
    f(
        77,
        "invalid bytes",
        lambda: change(mr(), SpecificCharacterSet="ISO_IR 192", Manufacturer=b"\xff\xfeACME"),
        "CHARSET_INVALID",
        mr,
    ),
    f(78, "bad date", lambda: change(mr(), StudyDate="20261399"), "VALUE_INVALID", mr),
    f(78, "bad age", lambda: change(mr(), PatientAge="old!"), "VALUE_INVALID", mr),
    f(78, "bad integer", lambda: change(mr(), InstanceNumber="one "), "VALUE_INVALID", mr),
    f(78, "integer of 20 digits", lambda: change(mr(), InstanceNumber="9" * 20), "VALUE_INVALID", mr),
    f(78, "integer of Python", lambda: change(mr(), InstanceNumber="1_00"), "VALUE_INVALID", mr),
    f(78, "name for a modality", lambda: change(mr(), Modality="Doe^Jane"), "VALUE_INVALID", mr),
    f(78, "bad decimal", lambda: change(mr(), SliceThickness="1mm "), "VALUE_INVALID", mr),
    f(79, "burned in", lambda: change(mr(), BurnedInAnnotation="YES "), "BURNED_IN_ANNOTATION", mr),
]
CASES = [*FILE, *ENCODING, *CODECS, *FRAGMENTS, *STRUCTURE, *DESCRIPTION, *VALUES, *IDENTIFIERS, *TEXT]


def _of_class(uid: str) -> bytes:
    """The CT image without rescale as an object of another class."""
    return change(make.ct(**NO_RESCALE), SOPClassUID=uid, MediaStorageSOPClassUID=uid)


def _two_frames(*offsets: int) -> bytes:
    stream = make.frame_of(make.j2k())
    table = b"".join(offset.to_bytes(4, "little") for offset in offsets)
    return make.multi_frame(stream, stream, table=table)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_case_gives_its_state_and_code(case: Case) -> None:
    data = case.make()
    found, seen = outcome(data, case.frame), glance(data)
    if isinstance(found, InputError):
        assert (state(found), found.code) == (case.state, case.code)
        assert found.hint == REMEDIES[found.code]
        assert not isinstance(seen, InputError) or seen.code == found.code, "the head is refused for another reason"
        return
    assert case.state == ("F" if case.code else "S")
    assert case.code in ("", *FLAGS)
    preamble = {"PREAMBLE_NOT_ZERO"} if any(data[:128]) else set()  # pydicom's MR files are TIFF files, too
    sizes = {"SPACING_AT_DETECTOR", "US_REGION_OUTSIDE"} & {*found.header.flags}  # true of some public files that are sound
    assert set(found.header.flags) == {case.code} - {""} | preamble | sizes
    assert not isinstance(seen, InputError), f"the head is refused with {seen}"
    check(found, case.same and case.same(), case.frame)


def outcome(data: bytes, frame: int | None) -> Image | InputError:
    try:
        return decode(data, frame)
    except InputError as error:
        return error


def glance(data: bytes) -> Header | InputError | None:
    """What the head of the file gives."""
    try:
        return inspect(data[:HEAD_BYTES], len(data))
    except InputError as error:
        return error


def state(error: InputError) -> str:
    return {Excluded: "X", Quarantined: "Q"}[type(error)]


def check(image: Image, same: bytes | None, frame: int | None) -> None:
    assert image.pixels.shape == (image.header.rows, image.header.columns)
    assert np.isfinite(image.pixels).all()
    if same is not None:
        np.testing.assert_array_equal(image.pixels, decode(same, frame).pixels)


@pytest.mark.parametrize("case", [case for case in CASES if case.state == "Q"], ids=lambda case: case.id)
def test_what_decode_refuses_for_its_header_the_head_never_calls_an_image(case: Case) -> None:
    """A whole header is in the first 16 KiB or asks for more; only what the pixel data say may be found later."""
    seen = glance(case.make())
    if not case.code.startswith("PIXELS_") and seen is not None:
        assert isinstance(seen, InputError)


def test_every_case_of_the_list_is_covered() -> None:
    from hostile import test_bombs

    for number, path in ELSEWHERE.items():
        assert f"def test_{number}_" in (ROOT / path).read_text()
    here = {case.number for case in CASES} | set(test_bombs.BOMBS_BY_NUMBER) | set(ELSEWHERE)
    assert here == set(range(1, 81))
    assert len({case.id for case in CASES}) == len(CASES)


# --- what a state alone does not tell ------------------------------------------------------------------------------------------


def test_8_a_preamble_is_never_copied_out() -> None:
    image = decode(make.preamble(b"<script>alert(1)</script>"))
    assert "script" not in repr(image.header)


def test_30_ten_whole_code_streams_and_no_delimiter() -> None:
    """What pydicom's file lacks is the delimiter alone."""
    for frame in (0, 9):
        found = decode(d("emri_small_jpeg_2k_lossless_too_short.dcm"), frame)
        assert found.header.flags == ("DELIMITER_MISSING", "J2K_DEPTH_DIFFERS")
        np.testing.assert_array_equal(found.pixels, decode(d("emri_small.dcm"), frame).pixels)


def test_59_an_inverted_twin_has_the_same_pixels() -> None:
    for name in ("CR1/6154", "CR2/6247", "CR3/6278"):
        data = p(f"dicomdirtests/77654033/{name}")
        start = make.pixels_start(data)
        stored = np.frombuffer(data[start : start + 512], "<u2")
        twin = change(
            make.with_pixel_bytes(data, (4095 - stored).astype("<u2").tobytes()), PhotometricInterpretation="MONOCHROME2"
        )
        np.testing.assert_array_equal(decode(data).pixels, decode(twin).pixels)


def test_63_padding_is_masked_and_never_scored() -> None:
    pixels: NDArray[np.integer] = make.ramp(16, 16, "i2", 12)
    data = change(make.grey(pixels, 16), PixelPaddingValue=int(pixels[3, 4]).to_bytes(2, "little"))
    valid = decode(data).valid
    assert valid is not None
    np.testing.assert_array_equal(valid, pixels != pixels[3, 4])


def test_66_the_first_of_several_windows_counts() -> None:
    header = decode(change(mr(), WindowCenter="40\\300 ", WindowWidth="80\\2000")).header
    assert (header.voi_window, header.flags) == ((40.0, 80.0), ())


def test_78_a_bad_value_is_left_out() -> None:
    header = decode(change(mr(), StudyDate="20261399", PatientAge="old!", InstanceNumber="one ")).header
    assert (header.study_year, header.age_years, header.instance_number) == (None, None, None)
