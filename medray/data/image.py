"""Parsed file → image, by pydicom: stands in until the decoder of its own is there."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pydicom
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut

from medray.data import codecs
from medray.data.dataset import DicomFile
from medray.errors import Quarantined
from medray.types import Header, Image

_LUMINANCE = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601-7, section 2.5.1


def image_of(file: DicomFile, header: Header, frame: int) -> Image:
    codecs.register()
    dataset = pydicom.dcmread(io.BytesIO(file.data))
    syntax = dataset.file_meta.TransferSyntaxUID
    plugin = codecs.PLUGIN if codecs.is_available(syntax) else ""
    stored, _ = get_decoder(syntax).as_array(dataset, decoding_plugin=plugin, index=frame)
    shape = (header.rows, header.columns) + ((3,) if header.samples > 1 else ())
    if stored.shape != shape:
        raise Quarantined("PIXELS_SIZE", f"decodes to {stored.shape}, the header says {shape}")
    valid = None
    padding = dataset.get("PixelPaddingValue")
    if padding is not None and stored.ndim == 2 and header.photometric != "PALETTE COLOR":
        low, high = sorted((int(padding), int(dataset.get("PixelPaddingRangeLimit", padding))))
        inside = (stored >= low) & (stored <= high)
        valid = ~inside if inside.any() else None
    if header.photometric == "PALETTE COLOR":
        stored = apply_color_lut(stored, dataset)[..., :3]
    if stored.ndim == 3:
        pixels = stored.astype(np.float32) @ _LUMINANCE
    else:
        if header.photometric == "MONOCHROME1":
            last = -1 if header.signed else (1 << header.bits_stored) - 1
            stored = (last - stored.astype(np.int64)).astype(stored.dtype)
        pixels = np.asarray(apply_modality_lut(stored, dataset), dtype=np.float32)
    if not np.isfinite(pixels).all():
        raise Quarantined("PIXELS_NOT_FINITE", "the modality LUT gives values that are not finite")
    return Image(pixels, valid, replace(header))
