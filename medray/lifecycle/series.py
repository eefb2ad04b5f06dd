"""Catalog → what its series hold: stacks of slices, and what is wrong with them."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute

from medray.data.catalog import Catalog
from medray.data.stack_table import stack_table


def series_table(catalog_uri: str, series_uid: str | None = None) -> pa.Table:
    """One row for each stack of the catalog's series (see :data:`medray.data.stack_table.SCHEMA`), or of one series.

    Raises:
        StoreError: CATALOG_NOT_FOUND.
    """
    rows = Catalog(catalog_uri).images()
    return stack_table(rows if series_uid is None else rows.filter(pa.compute.equal(rows["series_uid"], series_uid)))
