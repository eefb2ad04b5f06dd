"""Objects that are no usable image: how many by code, and what to say where labels or images are missing because of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.compute as pc

from medray.data.catalog import Catalog
from medray.data.duplicates import DUPLICATE
from medray.data.labels import ROW, key_column, matching_rows, row_numbers
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


def with_duplicates(labels: pa.Table, catalog: Catalog, images: pa.Table, version: int | None = None) -> pa.Table:
    """Labels by path, with what they say of duplicates said of the images that stand for these; by another key, as they are.

    Args:
        labels: of the catalog.
        images: what :func:`usable_images` gives.
    """
    if key_column(labels) != "uri":
        return labels
    if ROW not in labels.column_names:
        labels = labels.append_column(ROW, row_numbers(labels))
    objects = catalog.to_arrow(version)
    twice = objects.filter(pc.equal(objects["code"], DUPLICATE))
    stands_for = images["uri"].take(pc.index_in(twice["sop_uid"], value_set=images["sop_uid"].combine_chunks()))
    at, parts = labels.column_names.index("uri"), [labels]
    for rows in matching_rows(twice["uri"], labels["uri"], by_tail=True):
        named = pc.is_valid(rows)
        parts.append(labels.take(rows.filter(named)).set_column(at, labels.field(at), stands_for.filter(named)))
    return pa.concat_tables(parts)


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
