"""Private elements: (gggg,xxee) in a block xx that a creator reserves with (gggg,00xx) (PS3.5 7.8.1)."""

from __future__ import annotations

from typing import NamedTuple

BLOCKS = range(0x10, 0x14)
"""Those that are looked into; writers take the first that is free."""


class PrivateElement(NamedTuple):
    """A private element: its creator, its group, and its number within the block."""

    creator: str
    group: int
    element: int

    def tag(self, block: int) -> int:
        """Its tag in a block."""
        return self.group << 16 | block << 8 | self.element


MOSAIC_IMAGES = PrivateElement("SIEMENS MR HEADER", 0x0019, 0x0A)
"""Number of images in a Siemens mosaic."""
CSA_IMAGE_HEADER = PrivateElement("SIEMENS CSA HEADER", 0x0029, 0x10)
UIH_SLICE_COUNT = PrivateElement("Image Private Header", 0x0065, 0x50)
UIH_SLICES = PrivateElement("Image Private Header", 0x0065, 0x51)
"""Sequence with an item for each slice of a UIH grid."""


def in_blocks(*elements: PrivateElement) -> frozenset[int]:
    """The tags that elements may have."""
    return frozenset(one.tag(block) for one in elements for block in BLOCKS)


def creators(*elements: PrivateElement) -> frozenset[int]:
    """The tags of what says who has reserved the blocks of elements."""
    return frozenset(one.group << 16 | block for one in elements for block in BLOCKS)


SEQUENCES = in_blocks(UIH_SLICES)
"""Sequences whose items are read."""

WANTED = creators(MOSAIC_IMAGES, CSA_IMAGE_HEADER, UIH_SLICE_COUNT) | in_blocks(MOSAIC_IMAGES, CSA_IMAGE_HEADER, UIH_SLICE_COUNT)
"""Elements whose values are kept."""
