"""DICOM bytes → header or image. Every failure leaves as a typed error: :class:`Excluded` or :class:`Quarantined`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydicom.uid import MediaStorageDirectoryStorage

from medray.data.dicom import tags
from medray.data.dicom.checks import check_pixel_length, classify
from medray.data.dicom.dataset import DicomFile
from medray.data.dicom.header import header_of
from medray.data.dicom.image import image_of
from medray.data.dicom.parse import file_meta, parse
from medray.errors import Excluded, InputError, Quarantined
from medray.types import Header, Image


@contextmanager
def boundary() -> Iterator[None]:
    """Codecs and pydicom raise StopIteration, RecursionError, MemoryError, … on hostile files: here all become typed errors."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        raise Quarantined("DICOM_UNREADABLE", f"cannot be decoded ({type(error).__name__})") from error


def open_file(head: bytes, size_bytes: int) -> DicomFile | None:
    """Parse a file and let only images pass.

    Args:
        head: the first bytes of the file.
        size_bytes: size of the whole file.

    Returns:
        The file up to its pixel data, or None when ``head`` ends before that and more of the file is needed.

    Raises:
        Excluded: a valid object that is not an image; the error holds its header.
        Quarantined: not DICOM, broken, or contradictory.
    """
    with boundary():
        try:
            file = parse(head, size_bytes)
        except Quarantined:
            if _is_directory(head, size_bytes):
                raise Excluded("OBJECT_DICOMDIR", "a DICOMDIR: an index of files, not an image") from None
            raise
        if file is not None:
            try:
                classify(file)
            except Excluded as error:
                error.header = header_of(file)
                raise
            check_pixel_length(file, size_bytes)
        return file


def open_whole(data: bytes) -> DicomFile:
    """Parse a complete file and refuse what is not an image.

    Raises:
        Excluded, Quarantined: as :func:`open_file`; DICOM_TRUNCATED where the file ends before its pixel data.
    """
    file = open_file(data, len(data))
    if file is None:
        raise Quarantined("DICOM_TRUNCATED", "the file ends before its pixel data")
    return file


def _is_directory(head: bytes, size_bytes: int) -> bool:
    return head[128:132] == b"DICM" and (
        file_meta(head, size_bytes)[0].text(tags.MEDIA_STORAGE_SOP_CLASS) == MediaStorageDirectoryStorage
    )


def inspect(head: bytes, size_bytes: int) -> Header | None:
    """The header of an image from the first bytes of its file, without its pixels.

    Args:
        head: the first bytes of the file.
        size_bytes: size of the whole file.

    Returns:
        The header, or None when ``head`` ends before the pixel data starts and more of the file is needed.

    Raises:
        Excluded: a valid object that is not an image.
        Quarantined: not DICOM, broken, or contradictory.
    """
    file = open_file(head, size_bytes)
    if file is None:
        return None
    with boundary():
        return header_of(file)


def decode(source: bytes | str | Path, frame: int | None = None, *, colour: bool = False) -> Image:
    """Decode one 2-D DICOM image, or one frame of a multi-frame image without decoding the others.

    Modality LUT applied (PS3.3 C.11.1), colour as luminance (BT.601) unless it is asked for, MONOCHROME1 mirrored so that
    larger is brighter (with its VOI window), pixel padding (PS3.3 C.7.5.1.1.2) marked invalid.

    Args:
        source: the bytes of a DICOM file, or the path of a local one.
        frame: number of the frame, counted from 0; None for an image that has one frame.
        colour: whether an image stored in colour keeps it: RGB, any YBR and PALETTE COLOR become red, green and blue.

    Returns:
        The image; pixels are float32 (rows, columns) in the units of the modality LUT. With ``colour`` those of an image stored
        in colour are (3, rows, columns), from 0 to 2**bits - 1 as its luminance is, and ``channels`` is 3; a grey one stays grey.

    Raises:
        Excluded: a valid object that is not an image (SR, SEG, …); IMAGE_MULTI_FRAME where ``frame`` is None.
        Quarantined: not DICOM, truncated, contradictory, or not decodable.
        IndexError: the image has no such frame.
    """
    file = open_whole(source if isinstance(source, bytes) else Path(source).read_bytes())
    with boundary():
        header = header_of(file, max(frame or 0, 0))
    if frame is None and header.frames > 1:
        raise Excluded("IMAGE_MULTI_FRAME", f"{header.frames} frames, where one image is expected")
    if frame is not None and not 0 <= frame < header.frames:
        raise IndexError(f"frame {frame} of {header.frames}")
    with boundary():
        return image_of(file, header, frame or 0, colour=colour)
