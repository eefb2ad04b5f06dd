"""Which values and sequences of a data set are kept: more of a segmentation than of an image."""

from __future__ import annotations

from dataclasses import dataclass

from medray.data.dicom import tags


@dataclass(frozen=True, eq=False, slots=True)
class Selection:
    """What a walk keeps.

    Attributes:
        values: elements whose values are kept.
        sequences: those whose items are read.
    """

    values: frozenset[int]
    sequences: frozenset[int]


IMAGES = Selection(tags.WANTED, tags.SEQUENCES)
SEGMENTATIONS = Selection(
    tags.WANTED
    | {
        tags.REFERENCED_SOP_INSTANCE,
        tags.REFERENCED_FRAME_NUMBER,
        tags.SEGMENT_NUMBER,
        tags.MAX_FRACTIONAL_VALUE,
        tags.CODING_SCHEME,
    },
    tags.SEQUENCES
    | {
        tags.REFERENCED_SERIES,
        tags.REFERENCED_INSTANCES,
        tags.SOURCE_IMAGES,
        tags.DERIVATION_IMAGES,
        tags.SEGMENTS,
        tags.SEGMENTED_PROPERTY,
    },
)
"""Images do without what only masks are asked for: a sequence of references costs a header its time."""
