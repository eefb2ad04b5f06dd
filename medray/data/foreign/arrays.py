"""NumPy files: .npy, and .npz of one array a name, as MedMNIST has them; read plane by plane; pickled objects are refused."""

from __future__ import annotations

import io
import re
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from medray.data.foreign.picture import Picture, check_plane, check_volume
from medray.data.foreign.values import as_stored
from medray.errors import Quarantined

SIGNATURE, ZIP_SIGNATURE = b"\x93NUMPY", b"PK\x03\x04"
_MEMBER = re.compile(r"(train|val|test)_(images|labels)")
_MAX_LABEL_BYTES = 1 << 30
_PIECE_BYTES = 8 << 20
_SMALL_BYTES, _MAX_RATIO = 1 << 29, 200  # a larger array that packs better than that shows nothing
_BROKEN = (
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    SyntaxError,
    tokenize.TokenError,
    struct.error,
)


@dataclass(frozen=True)
class Entry:
    """One array of a file, or one item of it.

    Attributes:
        name: ``""`` of a .npy, the array's name, or ``"train_images/12"``.
        values: (rows, columns), (rows, columns, 3) or (frames, rows, columns); the error instead.
        labels: columns of the label table that the file gives: ``split``, ``label`` or ``label_0``, ….
    """

    name: str
    values: NDArray[Any] | Quarantined
    labels: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except _BROKEN as error:
        raise Quarantined("IMPORT_BROKEN", f"the NumPy file is broken, or holds objects ({type(error).__name__})") from error


def entries(file: IO[bytes]) -> Iterator[Entry]:
    """Every image of a .npz or .npy, in its order.

    ``train_images``, ``val_images`` and ``test_images`` are rows of images (images, rows, columns[, 3]) or volumes (images,
    frames, rows, columns); ``…_labels`` are the labels of each. Any other array is one image or one volume.

    Raises:
        Quarantined: IMPORT_BROKEN; IMPORT_ARRAY_LABELS where labels and images differ in number.
    """
    with _readable():
        if file.read(len(SIGNATURE)) == SIGNATURE:
            file.seek(0)
            yield from _whole("", file)
            return
        file.seek(0)
        with zipfile.ZipFile(file) as packed:
            for name in packed.namelist():
                if name.endswith(".npy"):
                    yield from _member(packed, name.removesuffix(".npy"))


def _member(packed: zipfile.ZipFile, name: str) -> Iterator[Entry]:
    known = _MEMBER.fullmatch(name)
    if known and known[2] == "labels":
        if f"{known[1]}_images.npy" not in packed.namelist():
            yield Entry(name, Quarantined("IMPORT_ARRAY_LABELS", f"{name} without {known[1]}_images"))
        return
    info = packed.getinfo(f"{name}.npy")
    if info.file_size > _SMALL_BYTES and info.file_size > _MAX_RATIO * info.compress_size:
        yield Entry(name, Quarantined("IMPORT_TOO_LARGE", f"an array of {info.compress_size} bytes unpacks to {info.file_size}"))
        return
    with packed.open(info) as file:
        if known and known[2] == "images":
            labels = _labels(packed, known[1])
            yield from _rows(name, file, {"split": known[1]}, labels)
        else:
            yield from _whole(name, file)


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = npy.read_magic(file)
    reader = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, fortran, dtype = reader(file)
    if dtype.hasobject or dtype.names:
        raise ValueError("objects")
    return shape, fortran, dtype


def _labels(packed: zipfile.ZipFile, split: str) -> NDArray[Any] | None:
    if f"{split}_labels.npy" not in packed.namelist():
        return None
    with packed.open(f"{split}_labels.npy") as file:
        shape, fortran, dtype = _header(file)
        if dtype.itemsize * int(np.prod(shape, dtype=object)) > _MAX_LABEL_BYTES:
            raise Quarantined("IMPORT_TOO_LARGE", f"labels of {shape}")
        values = _take(file, shape, dtype, "F" if fortran else "C")
    return values.reshape(len(values), -1) if values.ndim else values.reshape(1, 1)


def _rows(name: str, file: IO[bytes], said: Mapping[str, str], labels: NDArray[Any] | None) -> Iterator[Entry]:
    shape, fortran, dtype = _header(file)
    if labels is not None and len(labels) != (shape[0] if shape else 0):
        raise Quarantined("IMPORT_ARRAY_LABELS", f"{len(labels)} labels of {shape[0] if shape else 0} images in {name}")
    if len(shape) not in (3, 4) or fortran:
        raise Quarantined("IMPORT_ARRAY", f"{name} has the shape {shape}" + ", columns first" * fortran)
    check_volume((1, *shape[1:]) if len(shape) == 3 or shape[3] <= 4 else shape[1:], dtype.itemsize)
    for number in range(shape[0]):
        given = {} if labels is None else _label(labels[number])
        yield Entry(f"{name}/{number}", _take(file, shape[1:], dtype, "C"), {**said, **given})


def _label(values: NDArray[Any]) -> dict[str, str]:
    texts = [str(value) for value in values.tolist()]
    return {"label": texts[0]} if len(texts) == 1 else {f"label_{at}": text for at, text in enumerate(texts)}


def _whole(name: str, file: IO[bytes]) -> Iterator[Entry]:
    shape, fortran, dtype = _header(file)
    if len(shape) not in (2, 3):
        yield Entry(name, Quarantined("IMPORT_ARRAY", f"an array of {len(shape)} dimensions"))
        return
    check_volume((1, *shape) if len(shape) == 2 or shape[2] <= 4 else shape, dtype.itemsize)
    yield Entry(name, _take(file, shape, dtype, "F" if fortran else "C"))


def _take(file: IO[bytes], shape: tuple[int, ...], dtype: np.dtype[Any], order: Any) -> NDArray[Any]:
    """The next values of a stream, in pieces: a header alone makes nothing large of a short file."""
    left, parts = dtype.itemsize * int(np.prod(shape, dtype=object)), []
    while left > 0:
        part = file.read(min(left, _PIECE_BYTES))
        if not part:
            raise EOFError
        parts.append(part)
        left -= len(part)
    return np.frombuffer(b"".join(parts), dtype).reshape(shape, order=order)


def picture(values: NDArray[Any], *, rounded: bool = False) -> Picture:
    """The picture of an array: (rows, columns), colour (rows, columns, 3) of unsigned integers, or frames first.

    Raises:
        Quarantined: IMPORT_ONE_BIT, IMPORT_ALPHA, IMPORT_TOO_LARGE, IMPORT_EMPTY, or as
            :func:`medray.data.foreign.values.as_stored`.
    """
    if values.dtype.kind == "b":
        raise Quarantined("IMPORT_ONE_BIT", "an array of true and false")
    colours = values.ndim > 2 and values.shape[-1] in (3, 4) and values.dtype.kind == "u" and values.dtype.itemsize <= 2
    if colours and values.shape[-1] == 4:
        raise Quarantined("IMPORT_ALPHA", "an array whose last axis has four values, as with an alpha channel")
    if values.ndim > 2 and not colours and values.shape[-1] in (2, 3, 4):
        raise Quarantined(
            "IMPORT_DEPTH", f"an array of {values.shape} {values.dtype}: colours are three unsigned values of 8 or 16 bits"
        )
    if values.ndim > 2 and values.shape[-1] == 1:
        values = values[..., 0]
    stack = values.ndim - colours == 3
    check_plane(*(int(side) for side in values.shape[int(stack) : int(stack) + 2]))
    native = np.ascontiguousarray(values, values.dtype.newbyteorder("="))
    stored = as_stored(native, rounded=rounded)
    return Picture(stored.values, "RGB" if colours else "MONOCHROME2", stack, rescale=stored.rescale, notes=stored.notes)


def read(data: bytes, *, rounded: bool = False) -> Picture:
    """The picture of a file of one array.

    Raises:
        Quarantined: IMPORT_ARRAY where there are several, or as :func:`entries` and :func:`picture` do.
    """
    return picture(one(data), rounded=rounded)


def one(data: bytes) -> NDArray[Any]:
    """The values of a file of one array.

    Raises:
        Quarantined: IMPORT_ARRAY where there are several, or as :func:`entries` does.
    """
    found = list(entries(io.BytesIO(data)))
    if len(found) != 1:
        raise Quarantined("IMPORT_ARRAY", f"a file of {len(found)} arrays, where one is expected")
    values = found[0].values
    if isinstance(values, Quarantined):
        raise values
    return values
