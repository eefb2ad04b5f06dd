"""Files of other formats than DICOM, and what a validator says of the DICOM that is made of them."""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
import zlib
from pathlib import Path
from typing import Any

import imagecodecs
import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
import tifffile
from numpy.typing import NDArray
from PIL import Image as Pillow

Array = NDArray[Any]


def random(*shape: int, bits: int = 8, seed: int = 0) -> Array:
    """Values over the whole range."""
    return np.random.default_rng(seed).integers(0, 1 << bits, shape).astype(np.uint8 if bits <= 8 else np.uint16)


def png(pixels: Array) -> bytes:
    return bytes(imagecodecs.png_encode(pixels))


def png_of_chunks(rows: int, columns: int, bits: int, colour: int, lines: bytes, *more: tuple[bytes, bytes]) -> bytes:
    """A PNG made by hand: any depth, any chunk."""
    header = struct.pack(">IIBBBBB", columns, rows, bits, colour, 0, 0, 0)
    parts = [(b"IHDR", header), *more, (b"IDAT", zlib.compress(lines)), (b"IEND", b"")]
    chunks = (struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def pillow(image: Pillow.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def jpeg(pixels: Array, **options: Any) -> bytes:
    return bytes(imagecodecs.jpeg8_encode(pixels, level=90, **options))


def with_exif(data: bytes, orientation: int, order: str = "<") -> bytes:
    """A JPEG with an Exif block."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    block = mark + struct.pack(f"{order}IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    payload = b"Exif\0\0" + block
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(payload) + 2) + payload + data[2:]


def tiff(pixels: Array, **options: Any) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, **options)
    return buffer.getvalue()


def npz(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def npy(values: Array) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values)
    return buffer.getvalue()


def nifti(voxels: Array, affine: Array, **header: Any) -> bytes:
    image = nibabel.Nifti1Image(voxels, affine)
    for name, value in header.items():
        image.header[name] = value
    return bytes(image.to_bytes())


def itk(voxels: Array, path: Path, direction: Array | None = None) -> bytes:
    """What SimpleITK writes: by the ending of the path NRRD or MetaImage; voxels (frames, rows, columns)."""
    image = sitk.GetImageFromArray(voxels)
    if image.GetDimension() == 3:
        image.SetSpacing((0.5, 0.6, 2.0))
        image.SetOrigin((1.0, -2.0, 30.5))
        if direction is not None:
            image.SetDirection(direction.ravel().tolist())
    sitk.WriteImage(image, str(path), True)
    return path.read_bytes()


def errors_of(data: bytes, folder: Path) -> list[str]:
    """The errors that dciodvfy finds in a DICOM file."""
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy (Debian dicom3tools) is not installed")
    path = folder / "checked.dcm"
    path.write_bytes(data)
    said = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
    lines = (said.stdout + said.stderr).splitlines()
    assert any("Image" in line or "Segmentation" in line for line in lines), lines
    return [line for line in lines if line.startswith("Error")]
