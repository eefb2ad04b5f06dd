"""Objects that are no usable image: how many by code, and what to say where labels or images are missing because of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import pyarrow as pa

from medray.data.catalog import Catalog
from medray.errors import LabelError


def left_out(catalog: Catalog, version: int | None = None) -> dict[str, int]:
    """How many objects of the catalog are no usable image, by code."""
    codes = catalog.to_arrow(version)["code"].to_pylist()
    return dict(sorted(Counter(code for code in codes if code).items()))


def usable_images(catalog: Catalog, version: int | None = None) -> pa.Table:
    """The images of a catalog, sorted by URI.

    Raises:
        LabelError: CATALOG_NO_IMAGES, with the codes of its objects, where none is usable.
    """
    images = catalog.images(version)
    if len(images):
        return images
    codes = left_out(catalog, version)
    message = f"none of {sum(codes.values())} objects of {catalog.uri} is a usable image: {counted(codes) or 'there is none'}"
    raise LabelError("CATALOG_NO_IMAGES", message, "see `medray quarantine list`, and what each code asks for")


def counted(codes: Mapping[str, int]) -> str:
    """``12 PIXELS_TRUNCATED, 3 DICOM_NOT_DICOM``."""
    return ", ".join(f"{count} {code}" for code, count in codes.items())


@contextmanager
def telling(find: Callable[[], Mapping[str, int]]) -> Iterator[None]:
    """Add what was left out, as ``find`` counts it, to an error that no image has a label: the labelled ones may be among it."""
    try:
        yield
    except LabelError as error:
        codes = find() if error.code == "LABELS_NO_MATCH" else {}
        if not codes:
            raise
        message = f"{error.message}; of all objects, these could not be used: {counted(codes)}"
        raise LabelError(error.code, message, f"{error.hint}, and mend what could not be used") from error
