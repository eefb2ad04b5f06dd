"""Private elements of manufacturers (PS3.5 7.8.1): where they lie in a data set."""

from __future__ import annotations

from medray.data.dicom import tags
from medray.data.dicom.dataset import DataSet
from medray.data.dicom.private_tags import BLOCKS, PrivateElement


def private_tag(dataset: DataSet, element: PrivateElement) -> int | None:
    """The tag of a private element in the block that its creator has reserved.

    Where no block of the group is reserved, since a de-identifier took the creators away and left their elements, it is the
    first block. None where others have reserved what there is.
    """
    creators = {block: found for block in BLOCKS if (found := dataset.text(element.group << 16 | block))}
    reserved = next((block for block, found in creators.items() if found == element.creator), None if creators else BLOCKS[0])
    return None if reserved is None else element.tag(reserved)


def rows_are_flipped(dataset: DataSet) -> bool:
    """Whether GE's research sequence epi_pepolar wrote the image with its rows perhaps upside down.

    User data 12, (0019,xxB3), says of which images: 1 all, 2 and 3 every second volume (as dcm2niix has it).
    """
    ge = dataset.text(tags.GE_CREATOR) == "GEMS_ACQU_01" and "epi_pepolar" in dataset.text(tags.GE_SEQUENCE)
    return ge and dataset.decimal(tags.GE_USER_DATA) in (1, 2, 3)
