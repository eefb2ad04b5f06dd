"""What a job of training prepared, read back."""

from __future__ import annotations

import pyarrow as pa

from medray.types import Float32
from medray.work.cache import CacheSpec
from medray.work.prepare import PrepareJob
from medray.work.samples import opened


def prepared(table_uri: str, rows: pa.Table, job: PrepareJob) -> Float32:
    """The samples of the rows, float32 (n, …), sorted by URI."""
    with opened(table_uri, rows.sort_by("uri"), job.record, CacheSpec()) as (chunks, places):
        return job.record.numbers(chunks.read(places))
