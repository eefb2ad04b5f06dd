"""Catalog → the stacks of slices of its series, and what is wrong with them."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.dataset

from medray.data.catalog import IMAGE, open_catalog
from medray.data.plane import FIELDS
from medray.data.stack_table import stack_table
from medray.data.tables import readable


def series_table(catalog_uri: str, series_uid: str | None = None) -> pa.Table:
    """One row for each stack of the catalog's series (see :data:`medray.data.stack_table.SCHEMA`), or of one series.

    Raises:
        StoreError: CATALOG_NOT_FOUND, TABLE_FORMAT, TABLE_BROKEN, …
    """
    wanted = pa.dataset.field("state") == IMAGE
    if series_uid is not None:
        wanted &= pa.dataset.field("series_uid") == series_uid
    catalog = open_catalog(catalog_uri)
    with readable(catalog.instances_uri):
        found = catalog.dataset(needed=FIELDS).to_table(columns=list(FIELDS), filter=wanted)
    return stack_table(found)
