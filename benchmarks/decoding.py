"""Headers and decoded images a second on one core, beside plain pydicom + pylibjpeg and beside the bare codec, in the same run.

Each figure is the best of rounds in which the candidates take turns, in CPU time of this process, so that other jobs weigh on
all alike. The image is a 512 × 512 slice-like phantom behind the header of a real CT: 12 bits in 16 for the lossless syntaxes, 8
bits for JPEG baseline. Part of `python benchmarks/ingest.py`.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom import uid
from pydicom.dataset import FileDataset
from pydicom.encaps import encapsulate
from pydicom.pixels.processing import apply_modality_lut

from medray.data.dicom import decode, inspect, open_whole
from medray.data.dicom.dataset import image_pixel
from medray.data.dicom.pixels import stored_values

FILES = Path(pydicom.__file__).parent / "data" / "test_files"
SIZE = 512
HEAD_BYTES = 16 * 1024
Decode = Callable[[bytes], NDArray[Any]]


@dataclass(frozen=True)
class Codec:
    """One transfer syntax: how to make its code stream, the bare codec, and what the issue asks for against pydicom."""

    name: str
    syntax: uid.UID
    bits: int
    encode: Callable[[NDArray[Any]], bytes] | None
    bare: Decode
    target: float


def phantom(bits: int) -> NDArray[Any]:
    """uint8 or uint16 (512, 512): smooth anatomy-like shapes and quantum noise, as a CT slice has."""
    rng = np.random.default_rng(1)
    y, x = np.mgrid[-1 : 1 : SIZE * 1j, -1 : 1 : SIZE * 1j]
    body = (x**2 / 0.7 + y**2 / 0.5 < 1) * (1000 + 60 * np.sin(9 * x) * np.cos(7 * y))
    organs = sum(
        ((x - a) ** 2 + (y - b) ** 2 < r * r) * v
        for a, b, r, v in [(-0.3, 0, 0.2, 80), (0.35, 0.1, 0.15, -700), (0, 0.4, 0.1, 900)]
    )
    image = np.clip(body + organs + rng.normal(0, 8, body.shape), 0, 4095)
    return (image / 2 ** (12 - bits)).astype(np.uint8 if bits == 8 else np.uint16)


def j2k(pixels: NDArray[Any]) -> bytes:
    return imagecodecs.jpeg2k_encode(pixels, codecformat="j2k", reversible=True, level=0, bitspersample=12)


def ljpeg(pixels: NDArray[Any]) -> bytes:
    return imagecodecs.ljpeg_encode(pixels, bitspersample=12)


def htj2k(pixels: NDArray[Any]) -> bytes:
    return imagecodecs.htj2k_encode(pixels, reversible=True)


CODECS = [
    Codec("explicit little endian", uid.ExplicitVRLittleEndian, 12, None, lambda raw: np.frombuffer(raw, np.uint16).copy(), 10),
    Codec("RLE", uid.RLELossless, 12, None, lambda raw: imagecodecs.dicomrle_decode(raw, np.dtype("<u2")), 2.5),
    Codec("JPEG baseline", uid.JPEGBaseline8Bit, 8, partial(imagecodecs.jpeg8_encode, level=90), imagecodecs.jpeg8_decode, 6),
    Codec(
        "JPEG lossless",
        uid.JPEGLosslessSV1,
        12,
        ljpeg,
        imagecodecs.jpeg8_decode,
        3.5,
    ),
    Codec("JPEG-LS", uid.JPEGLSLossless, 12, imagecodecs.jpegls_encode, imagecodecs.jpegls_decode, 5),
    Codec("JPEG 2000 lossless", uid.JPEG2000Lossless, 12, j2k, partial(imagecodecs.jpeg2k_decode, numthreads=1), 1),
    Codec("HTJ2K lossless", uid.HTJ2KLossless, 12, htj2k, imagecodecs.htj2k_decode, 3),
]


def instance(codec: Codec, pixels: NDArray[Any] | None = None) -> tuple[bytes, bytes]:
    """A file in a transfer syntax (of the phantom, unless told otherwise), and the code stream of its one frame."""
    pixels = phantom(codec.bits) if pixels is None else pixels
    found: FileDataset = pydicom.dcmread(FILES / "CT_small.dcm")
    for keyword in ("SmallestImagePixelValue", "LargestImagePixelValue", "PixelPaddingValue"):
        if keyword in found:
            delattr(found, keyword)
    found.Rows, found.Columns = pixels.shape
    found.PixelRepresentation = 0
    found.BitsAllocated = 8 if codec.bits == 8 else 16
    found.BitsStored, found.HighBit = codec.bits, codec.bits - 1
    found.file_meta.TransferSyntaxUID = codec.syntax
    raw = pixels.tobytes()
    if codec.syntax == uid.RLELossless:
        found.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
        found.PixelData = raw
        found.compress(uid.RLELossless, generate_instance_uid=False)
        stream = next(pydicom.encaps.generate_frames(found.PixelData, number_of_frames=1))
    else:
        stream = raw if codec.encode is None else codec.encode(pixels)
        found.PixelData = raw if codec.encode is None else encapsulate([stream])
        found["PixelData"].VR = "OW" if codec.encode is None else "OB"
    buffer = io.BytesIO()
    found.save_as(buffer)
    return buffer.getvalue(), stream


def by_medray(data: bytes) -> NDArray[Any]:
    """Stored values, after all checks of the header."""
    file = open_whole(data)
    return stored_values(file, image_pixel(file))


def by_pydicom(data: bytes) -> NDArray[Any]:
    """Stored values as everybody reads them; pydicom takes pylibjpeg where it is installed."""
    return pydicom.dcmread(io.BytesIO(data)).pixel_array


def to_hounsfield(data: bytes) -> NDArray[np.float32]:
    """What an ``Image`` holds, by pydicom."""
    found = pydicom.dcmread(io.BytesIO(data))
    return apply_modality_lut(found.pixel_array, found).astype(np.float32)


def rates(candidates: dict[str, Callable[[], object]], seconds: float) -> dict[str, float]:
    """Calls a second of each candidate: the best of rounds in which they take turns."""
    best = dict.fromkeys(candidates, float("inf"))
    until = time.perf_counter() + seconds * len(candidates)
    while time.perf_counter() < until:
        for name, call in candidates.items():
            call()
            count, started = 0, time.process_time()
            while (spent := time.process_time() - started) < 0.05:
                call()
                count += 1
            best[name] = min(best[name], spent / count)
    return {name: 1 / value for name, value in best.items()}


def decoding_table(seconds: float) -> None:
    """Print images a second for each transfer syntax."""
    headings = ("stored values of", "medray", "pydicom + pylibjpeg", "bare codec", "× pydicom (asked)", "× bare codec")
    print("|", " | ".join((*headings, "`Image`, medray", "pydicom", "×")), "|")
    print("|" + 9 * "---|")
    for codec in CODECS:
        data, stream = instance(codec)
        assert codec.bits == 8 or np.array_equal(by_medray(data), by_pydicom(data))
        calls = {
            "medray": partial(by_medray, data),
            "pydicom": partial(by_pydicom, data),
            "bare": partial(codec.bare, stream),
            "image": partial(decode, data),
            "pydicom image": partial(to_hounsfield, data),
        }
        ours, theirs, bare, image, their_image = rates(calls, seconds).values()
        asked = f"{ours / theirs:.1f} ({codec.target:g})"
        print(f"| {codec.name} | {ours:,.0f} | {theirs:,.0f} | {bare:,.0f} | {asked} | {ours / bare:.2f}", end=" | ")
        print(f"{image:,.0f} | {their_image:,.0f} | {image / their_image:.1f} |")


def header_table(seconds: float) -> None:
    """Print headers a second: parsed, checked and turned into a record, beside pydicom's reading of the same bytes."""
    print("| header of | elements | medray | pydicom | × |\n|---|---|---|---|---|")
    for name in ("CT_small.dcm", "MR_small.dcm", "dicomdirtests/77654033/CR1/6154", "693_J2KI.dcm"):
        data = (FILES / name).read_bytes()
        head, size = data[:HEAD_BYTES], max(len(data), HEAD_BYTES + 1)
        calls = {
            "medray": lambda head=head, size=size: inspect(head, size),
            "pydicom": lambda head=head: pydicom.dcmread(io.BytesIO(head), stop_before_pixels=True),
        }
        found = rates(calls, seconds)
        ours, theirs, count = found["medray"], found["pydicom"], len(pydicom.dcmread(FILES / name, stop_before_pixels=True))
        print(f"| {name} | {count} | {ours:,.0f} | {theirs:,.0f} | {ours / theirs:.1f} |")
