"""Lookup tables in a data set (PS3.3 C.11.1.1, C.11.2.1.1, C.7.6.3.1.5, C.7.6.3.1.6): where they are, and what stands in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medray.data.dicom import tags
from medray.data.dicom.blocks import by_blocks
from medray.data.dicom.dataset import DataSet
from medray.data.dicom.functional import element_source
from medray.data.dicom.palette import expanded
from medray.errors import Quarantined
from medray.types import Float32


@dataclass(frozen=True, slots=True)
class Table:
    """A lookup table.

    Attributes:
        first: the value that maps to the first entry; smaller ones map there too, and larger than the last to the last.
        values: (entries,) of unsigned integers.
        bits: of an entry, as the descriptor says.
    """

    first: int
    values: NDArray[np.unsignedinteger[Any]]
    bits: int

    def look_up(self, entries: Float32, values: NDArray[Any]) -> Float32:
        """What stands in ``entries`` (as many as the table has) for each value, float32 of the values' shape."""

        def found(block: NDArray[Any]) -> Float32:
            indices = np.subtract(block, self.first, dtype=np.intp)
            return np.asarray(np.take(entries, indices, mode="clip"))

        return by_blocks(found, values)


def table(source: DataSet, descriptor: int, data: int, *, signed: bool, segmented: int | None = None) -> Table:
    """Read a lookup table: the descriptor (entries, first value, bits: PS3.3 C.11.1.1), 0 entries standing for 65,536.

    Args:
        source: the data set or item that holds it.
        descriptor, data: tags.
        signed: whether the first value is.
        segmented: tag of segmented data (PS3.3 C.7.9.2), read where ``data`` is missing or empty.

    Raises:
        Quarantined: PIXELS_LUT.
    """
    described = source.wholes(descriptor)
    if len(described) != 3 or not 8 <= described[2] <= 16:
        raise Quarantined("PIXELS_LUT", "a lookup table without a descriptor of entries, first value and 8 to 16 bits")
    entries, first, bits = described[0] or 1 << 16, described[1], described[2]
    raw, order = source.values.get(data), "<" if source.little else ">"
    if not raw and segmented is not None and (segments := source.values.get(segmented)):
        values = expanded(segments, bits, little=source.little)
        if len(values) != entries:
            raise Quarantined("PIXELS_LUT", f"segments of {len(values)} entries, {entries} expected")
    elif raw is not None and len(raw) >= 2 * entries:
        values = np.frombuffer(raw, f"{order}u2", entries).astype(np.uint16)
    elif raw is not None and len(raw) >= entries and bits == 8:  # 8-bit entries packed in pairs
        values = np.frombuffer(raw, np.uint8, entries)
    else:
        raise Quarantined("PIXELS_LUT", f"a lookup table of {len(raw or b'')} bytes for {entries} entries of {bits} bits")
    return Table(first - (1 << 16) if signed and first >= 1 << 15 else first, values, bits)


def first_lut(source: DataSet, sequence: int) -> DataSet | None:
    """The first item of a Modality or VOI LUT Sequence that holds a table, broken or not; an empty item stands for none."""
    for item in source.items.get(sequence, ()):
        if item.values.get(tags.LUT_DESCRIPTOR) or item.values.get(tags.LUT_DATA):
            return item
    return None


def first_voi_lut(dataset: DataSet, frame: int) -> DataSet | None:
    """The item of the first VOI LUT of a frame; None where there is none, and in colour, which no VOI LUT is for."""
    if not dataset.items:
        return None
    source = element_source(dataset, frame, tags.FRAME_VOI_LUT, tags.VOI_LUT_SEQUENCE)
    item = first_lut(source, tags.VOI_LUT_SEQUENCE)
    is_grey = item is not None and dataset.text(tags.PHOTOMETRIC_INTERPRETATION) in ("MONOCHROME1", "MONOCHROME2")
    return item if is_grey else None


def is_readable(item: DataSet) -> bool:
    """Whether an item of a Modality or VOI LUT Sequence is a table that can be read."""
    try:
        table(item, tags.LUT_DESCRIPTOR, tags.LUT_DATA, signed=False)
    except Quarantined:
        return False
    return True
