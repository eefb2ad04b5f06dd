"""Transfer syntaxes (PS3.5 annex A, PS3.6 table A-1): how the pixel data of each is encoded, and which are not decoded."""

from __future__ import annotations

from collections.abc import Mapping

from pydicom import uid

from medray.errors import Excluded, Quarantined

ENCAPSULATED_UNCOMPRESSED = "1.2.840.10008.1.2.1.98"
JPIP_REFERENCED = "1.2.840.10008.1.2.4.94"
JPIP_REFERENCED_DEFLATE = "1.2.840.10008.1.2.4.95"
JPEG_XL_LOSSLESS = "1.2.840.10008.1.2.4.110"
JPEG_XL_RECOMPRESSION = "1.2.840.10008.1.2.4.111"
JPEG_XL_ANY = "1.2.840.10008.1.2.4.112"
DEFLATED_FRAME = "1.2.840.10008.1.2.8.1"

JPEG = frozenset({uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit})
JPEG_LOSSLESS = frozenset({uid.JPEGLossless, uid.JPEGLosslessSV1})
JPEG_LS = frozenset({uid.JPEGLSLossless, uid.JPEGLSNearLossless})
HTJ2K = frozenset({uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL, uid.HTJ2K})
JPEG_2000 = frozenset({uid.JPEG2000Lossless, uid.JPEG2000, *HTJ2K})
LOSSLESS = frozenset({uid.JPEG2000Lossless, uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL, JPEG_XL_LOSSLESS})
"""Of the codecs that have both: those that promise to lose nothing."""
JPEG_XL = frozenset({JPEG_XL_LOSSLESS, JPEG_XL_RECOMPRESSION, JPEG_XL_ANY})
COMPRESSED: Mapping[str, str] = {
    **dict.fromkeys(JPEG, "JPEG"),
    **dict.fromkeys(JPEG_LOSSLESS, "JPEG lossless"),
    **dict.fromkeys(JPEG_LS, "JPEG-LS"),
    **dict.fromkeys(JPEG_2000, "JPEG 2000"),
    **dict.fromkeys(JPEG_XL, "JPEG XL"),
    uid.RLELossless: "RLE",
    DEFLATED_FRAME: "deflate",
    ENCAPSULATED_UNCOMPRESSED: "",
}
"""Transfer syntax of pixel data in fragments → the codec of its frames; "" where they are as native ones."""
NATIVE = frozenset(
    {uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian, uid.DeflatedExplicitVRLittleEndian, uid.ExplicitVRBigEndian}
)
DEFLATED = frozenset({uid.DeflatedExplicitVRLittleEndian, JPIP_REFERENCED_DEFLATE, uid.JPIPHTJ2KReferencedDeflate})
"""The whole data set is deflated (PS3.5 A.5, A.7, A.10)."""
_ELSEWHERE = frozenset({JPIP_REFERENCED, uid.JPIPHTJ2KReferenced, *DEFLATED}) - NATIVE
_MULTI_COMPONENT = frozenset({uid.JPEG2000MCLossless, uid.JPEG2000MC})
LARGEST_RATIO: Mapping[str, int] = {uid.RLELossless: 64, DEFLATED_FRAME: 1032, ENCAPSULATED_UNCOMPRESSED: 1}
"""How many bytes of pixels one byte can stand for: two for 128 of RLE (PS3.5 G.3), two bits for 258 of deflate (RFC 1951)."""


def check_syntax(syntax: str) -> None:
    """Return for a transfer syntax whose pixels are decoded.

    Raises:
        Excluded: PIXELS_VIDEO (MPEG2, H.264, H.265, SMPTE ST 2110), PIXELS_ELSEWHERE (JPIP), PIXELS_MULTI_COMPONENT (JPEG 2000
            Part 2).
        Quarantined: DICOM_UNKNOWN_TRANSFER_SYNTAX.
    """
    if syntax in NATIVE or syntax in COMPRESSED:
        return
    if syntax in _ELSEWHERE:
        raise Excluded("PIXELS_ELSEWHERE", "the pixels are on a JPIP server, not in the file")
    if syntax in _MULTI_COMPONENT:
        raise Excluded("PIXELS_MULTI_COMPONENT", "JPEG 2000 Part 2, which compresses several frames as one")
    if syntax in uid.AllTransferSyntaxes:
        raise Excluded("PIXELS_VIDEO", "a video stream")
    raise Quarantined("DICOM_UNKNOWN_TRANSFER_SYNTAX", "the transfer syntax is not in the standard")


def is_encapsulated(syntax: str) -> bool:
    """Whether pixel data of a transfer syntax of the standard is in fragments (PS3.5 A.4)."""
    return syntax not in NATIVE
