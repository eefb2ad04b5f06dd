"""A foreign file → its pictures: what kind it is decides, by its first bytes before its name."""

from __future__ import annotations

from medray.data.foreign import arrays, bmp, itk, jpeg, nifti, png, tiff
from medray.data.foreign.itk import Fetch
from medray.data.foreign.picture import Picture
from medray.errors import Excluded, Quarantined

_REFUSED = (
    (b"GIF8", "IMPORT_GIF", "a GIF"),
    (b"\0\0\0\x0cjP  ", "IMPORT_FORMAT", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "IMPORT_FORMAT", "JPEG 2000"),
    (b"\0\0\0\x0cJXL ", "IMPORT_FORMAT", "JPEG XL"),
    (b"\xff\x0a", "IMPORT_FORMAT", "JPEG XL"),
    (b"RIFF", "IMPORT_FORMAT", "WebP, or a film"),
    (b"\x89HDF", "IMPORT_FORMAT", "HDF5 or MINC"),
)
IMAGE_ENDINGS = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".tif", ".tiff", ".bmp", ".dib", ".npy", ".npz", ".nii", ".nii.gz", *itk.ENDINGS),
    *(".gif", ".webp", ".jp2", ".j2k", ".jxl", ".heic", ".heif", ".avif", ".img", ".hdr", ".mgz", ".mgh", ".mnc", ".apng"),
)
"""Endings of files that are meant as images."""
ARRAYS = "arrays"
_APPLE_DOUBLE = b"\0\x05\x16\x07"  # AppleDouble: resource fork and attributes, "._name"


def kind_of(head: bytes, name: str) -> str:
    """``"png"``, ``"jpeg"``, ``"tiff"``, ``"bmp"``, ``"arrays"``, ``"nifti"`` or ``"itk"``.

    Args:
        head: at least the first 1,024 bytes, or all.
        name: of the file.

    Raises:
        Excluded: IMPORT_DICOM, IMPORT_NO_IMAGE.
        Quarantined: IMPORT_GIF, IMPORT_FORMAT, IMPORT_BROKEN, IMPORT_EMPTY.
    """
    lower = name.lower()
    if head.startswith(_APPLE_DOUBLE):
        raise Excluded("IMPORT_NO_IMAGE", "a file that macOS keeps for its own use")
    if not head:
        raise Quarantined("IMPORT_EMPTY", "an empty file")
    if head[128:132] == b"DICM" or lower.endswith(".dcm"):
        raise Excluded("IMPORT_DICOM", "a DICOM file")
    starts = ((png.SIGNATURE, "png"), (jpeg.SIGNATURE, "jpeg"), *((one, "tiff") for one in tiff.SIGNATURES))
    starts = (*starts, (arrays.SIGNATURE, ARRAYS), (itk.NRRD, "itk"))
    if found := next((kind for start, kind in starts if head.startswith(start)), None):
        return found
    if head.startswith(bmp.SIGNATURE) and lower.endswith((".bmp", ".dib")):
        return "bmp"
    if lower.endswith(".npz") and head.startswith(arrays.ZIP_SIGNATURE):
        return ARRAYS
    if nifti.is_nifti(head):
        return "nifti"
    if lower.endswith((".mha", ".mhd")) and b"ElementDataFile" in itk.header_text(head):
        return "itk"
    for start, code, what in _REFUSED:
        if head.startswith(start):
            raise Quarantined(code, f"{what}, which is not imported")
    if lower.endswith((".hdr", ".img")):
        raise Quarantined("IMPORT_FORMAT", "header and voxels in two files, as in Analyze and old NIfTI: not imported")
    if lower.endswith(IMAGE_ENDINGS):
        raise Quarantined("IMPORT_BROKEN", "not what its ending says")
    raise Excluded("IMPORT_NO_IMAGE", "not an image format that is imported")


def read(kind: str, data: bytes, name: str, fetch: Fetch, *, rounded: bool = False) -> Picture:
    """The picture of a file of one image or volume.

    Args:
        kind: of :func:`kind_of`.
        data: the file.
        name: of the file.
        fetch: as in :func:`medray.data.foreign.itk.read`.
        rounded: as in :func:`medray.data.foreign.values.as_stored`.

    Raises:
        Excluded, Quarantined, ConfigError, StoreError: as the readers do.
    """
    match kind:
        case "png":
            return png.read(data)
        case "jpeg":
            return jpeg.read(data)
        case "bmp":
            return bmp.read(data)
        case "tiff":
            return tiff.read(data, rounded=rounded)
        case "arrays":
            return arrays.read(data, rounded=rounded)
        case "nifti":
            return nifti.read(data, rounded=rounded)
    return itk.read(data, name, fetch, rounded=rounded)
