"""TIFF and BigTIFF: 8 to 32 bits, grey, RGB and palette, strips or tiles, one page or a stack of equal ones, by tifffile."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from tifffile import COMPRESSION, PHOTOMETRIC

from medray.data.foreign.exif import check_orientation
from medray.data.foreign.picture import PROFILE, REDUCED, Picture, check_plane, check_volume, without_alpha
from medray.data.foreign.values import as_stored
from medray.errors import Quarantined

SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
MAX_PAGES = 1 << 16
_REDUCED, _MASK = 1, 4  # NewSubfileType
_ORIENTATION, _PROFILE = 274, 34675
_GREY, _COLOUR = (PHOTOMETRIC.MINISBLACK, PHOTOMETRIC.MINISWHITE), (PHOTOMETRIC.RGB, PHOTOMETRIC.YCBCR, PHOTOMETRIC.PALETTE)
_LOSSY = {COMPRESSION.JPEG, COMPRESSION.OJPEG, COMPRESSION.JPEG_2000_LOSSY, COMPRESSION.WEBP, COMPRESSION.JPEG_LOSSY}
_DEPTHS, _DRAWN_DEPTHS = (8, 16, 32, 64), (1, 2, 4, 8, 16, 32, 64)
_BROKEN = (
    tifffile.TiffFileError,
    RuntimeError,
    ValueError,
    KeyError,
    IndexError,
    TypeError,
    AttributeError,
    OverflowError,
    ZeroDivisionError,
    EOFError,
    OSError,
    struct.error,
)


def read(data: bytes, *, rounded: bool = False) -> Picture:
    """The picture of a TIFF, or the stack where it has several pages of one kind; overviews of a page are left out.

    Args:
        data: the file.
        rounded: as in :func:`medray.data.foreign.values.as_stored`.

    Raises:
        Quarantined: IMPORT_BROKEN, IMPORT_ONE_BIT, IMPORT_CMYK, IMPORT_COLOUR, IMPORT_DEPTH, IMPORT_ALPHA, IMPORT_TURNED,
            IMPORT_PAGES, IMPORT_TOO_LARGE, IMPORT_EMPTY, IMPORT_FLOAT, IMPORT_NOT_FINITE.
    """
    try:
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            return _picture(file, rounded)
    except _BROKEN as error:
        raise Quarantined("IMPORT_BROKEN", f"the TIFF is broken ({type(error).__name__})") from error


def _picture(file: tifffile.TiffFile, rounded: bool) -> Picture:
    every = _every(file)
    pages = _pages(every)
    first = pages[0]
    if first.bitspersample == 1:
        raise Quarantined("IMPORT_ONE_BIT", "a picture of two grey levels")
    found = [_values(page) for page in pages]
    values = found[0][0] if len(found) == 1 else np.stack([one for one, _ in found])
    notes = {note for _, some in found for note in some}
    if len(pages) < len(every) or any(page.subifds for page in pages):
        notes.add(REDUCED)
    if any(_PROFILE in page.tags for page in pages):
        notes.add(PROFILE)
    stored = as_stored(values, rounded=rounded)
    photometric = "RGB" if values.ndim - (len(pages) > 1) == 3 else "MONOCHROME2"
    if first.photometric == PHOTOMETRIC.MINISWHITE:
        photometric = "MONOCHROME1"
    if photometric != "MONOCHROME2" and stored.rescale is not None:
        raise Quarantined("IMPORT_DEPTH", "colours or inverted grey that are not unsigned values of 8 or 16 bits")
    lossy = values.nbytes / max(sum(sum(page.databytecounts) for page in pages), 1) if first.compression in _LOSSY else None
    return Picture(
        stored.values,
        photometric,
        stack=len(pages) > 1,
        rescale=stored.rescale,
        lossy_ratio=lossy,
        notes=tuple(sorted({*notes, *stored.notes})),
    )


def drawn(data: bytes) -> NDArray[Any]:
    """The values of a TIFF of one page as they are stored, for a mask: the indices of a palette, 0 and 1 of one bit.

    Raises:
        Quarantined: IMPORT_MASK_LOSSY; IMPORT_MASK_UNREADABLE where it is broken or has several pages; IMPORT_MASK_VALUES where
            0 is white in it, which programs read in different ways; or as :func:`read`.
    """
    try:
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            first, *others = _pages(_every(file), _DRAWN_DEPTHS)
            if others:
                raise Quarantined("IMPORT_MASK_UNREADABLE", "a mask of several pages")
            if first.compression in _LOSSY:
                raise Quarantined("IMPORT_MASK_LOSSY", "a mask compressed with loss, whose values are not those that were drawn")
            if first.photometric == PHOTOMETRIC.MINISWHITE:
                raise Quarantined("IMPORT_MASK_VALUES", "a mask in which 0 is white: whether 0 is background cannot be known")
            return _interleaved(first)
    except _BROKEN as error:
        raise Quarantined("IMPORT_MASK_UNREADABLE", f"the TIFF is broken ({type(error).__name__})") from error


def _every(file: tifffile.TiffFile) -> list[tifffile.TiffPage]:
    """All pages of a file. ImageJ and tifffile may keep many images behind the first page; these would be lost."""
    if len(file.pages) > MAX_PAGES:
        raise Quarantined("IMPORT_PAGES", f"{len(file.pages)} pages")
    every = [_full(page) for page in file.pages]
    if (file.is_imagej or file.is_shaped) and sum(one.size for one in file.series) > sum(page.size for page in every):
        raise Quarantined("IMPORT_PAGES", "the TIFF holds more images than it has pages")
    return every


def _pages(every: list[tifffile.TiffPage], depths: tuple[int, ...] = _DEPTHS) -> list[tifffile.TiffPage]:
    """The pages of one kind, without overviews."""
    pages = [page for page in every if not page.subfiletype & (_REDUCED | _MASK)]
    if not pages:
        raise Quarantined("IMPORT_EMPTY", "the TIFF has no pages")
    first = pages[0]
    for page in pages:
        _check(page, depths)
    if any(_kind(page) != _kind(first) for page in pages):
        raise Quarantined("IMPORT_PAGES", "pages of several sizes or kinds")
    item_bytes = first.dtype.itemsize * first.samplesperpixel if first.dtype else 8
    check_volume((len(pages), first.imagelength, first.imagewidth), item_bytes)
    return pages


def _full(page: Any) -> tifffile.TiffPage:
    """With all of its tags: later pages of a file are read with a few of them."""
    return page if isinstance(page, tifffile.TiffPage) else page.aspage()


def _kind(page: tifffile.TiffPage) -> tuple[object, ...]:
    return page.imagelength, page.imagewidth, page.samplesperpixel, page.dtype, page.photometric


def _check(page: tifffile.TiffPage, depths: tuple[int, ...]) -> None:
    check_plane(page.imagelength, page.imagewidth, page.samplesperpixel)
    if page.imagedepth != 1:
        raise Quarantined("IMPORT_PAGES", "a page that is a volume itself")
    if page.photometric == PHOTOMETRIC.SEPARATED:
        raise Quarantined("IMPORT_CMYK", "a TIFF of inks")
    if page.photometric not in _GREY + _COLOUR:
        raise Quarantined("IMPORT_COLOUR", "a TIFF of another colour space than grey, RGB, YCbCr and palette")
    if page.bitspersample not in (1, *depths) or page.dtype is None:
        raise Quarantined("IMPORT_DEPTH", f"{page.bitspersample} bits a sample")
    colours = 3 if page.photometric in (PHOTOMETRIC.RGB, PHOTOMETRIC.YCBCR) else 1
    if page.samplesperpixel not in (colours, colours + 1):
        raise Quarantined("IMPORT_COLOUR", f"{page.samplesperpixel} samples a pixel")
    tag = page.tags.get(_ORIENTATION)
    check_orientation(int(tag.value) if tag is not None else 1)
    _check_size(page)


def _check_size(page: tifffile.TiffPage) -> None:
    """Strips and tiles are all there; uncompressed ones have their length. A missing one would be read as zeros."""
    counts, size_bytes = page.databytecounts, page.parent.filehandle.size
    if not counts or any(not count or start + count > size_bytes for start, count in zip(page.dataoffsets, counts, strict=True)):
        raise Quarantined("IMPORT_BROKEN", "the TIFF ends before its pixels do")


def _values(page: tifffile.TiffPage) -> tuple[NDArray[Any], tuple[str, ...]]:
    """(rows, columns) or (rows, columns, 3) as the file has them, palettes as RGB; and notes."""
    values = _interleaved(page)
    if page.photometric == PHOTOMETRIC.PALETTE:
        return _coloured(values, page.colormap), ()
    if values.ndim == 3 and values.shape[2] in (2, 4):
        if values.dtype.kind != "u":
            raise Quarantined("IMPORT_ALPHA", "an alpha channel of signed numbers or fractions")
        return without_alpha(values, values.shape[2])
    return values, ()


def _interleaved(page: tifffile.TiffPage) -> NDArray[Any]:
    values = page.asarray()
    separate = values.ndim == 3 and page.planarconfig == tifffile.PLANARCONFIG.SEPARATE
    return np.moveaxis(values, 0, -1) if separate else values


def _coloured(indices: NDArray[Any], colours: NDArray[np.uint16] | None) -> NDArray[Any]:
    """Palette → RGB: 8 bits where the 16-bit colours are such (c * 257, or c * 256 as old writers have it)."""
    if colours is None or indices.ndim != 2 or int(indices.max()) >= colours.shape[1]:
        raise Quarantined("IMPORT_BROKEN", "a palette that is missing or too short")
    for factor in (257, 256):
        if not (colours % factor).any():
            return np.asarray((colours // factor).astype(np.uint8).T[indices])
    return np.asarray(colours.T[indices])
