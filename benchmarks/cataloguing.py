"""Cataloguing from S3: a first and a second run over many small objects, with the memory of the first over time.

Fills a SeaweedFS server on loopback (on the same cores) with synthetic CT objects of about 5 KB. Part of
`python benchmarks/ingest.py`.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom
from pydicom.uid import generate_uid

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "support"))

from seaweed import s3_environment, s3_running  # noqa: E402

from medray.cli.processes import descendants  # noqa: E402

SOURCE, CATALOG = "s3://imaging/archive", "s3://imaging/catalog"
PER_SERIES, PER_STUDY = 100, 400


def template() -> tuple[bytes, tuple[str, str, str]]:
    """A CT object of 40 × 40 pixels with the header of pydicom's CT_small, and its SOP, Series and Study Instance UIDs."""
    dataset = pydicom.dcmread(Path(pydicom.__file__).parent / "data" / "test_files" / "CT_small.dcm")
    dataset.Rows = dataset.Columns = 40
    dataset.PixelData = dataset.PixelData[: 2 * 40 * 40]
    sop, series, study = (generate_uid(entropy_srcs=[name]) for name in ("sop", "series", "study"))
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = sop
    dataset.SeriesInstanceUID, dataset.StudyInstanceUID = series, study
    stream = io.BytesIO()
    dataset.save_as(stream)
    return stream.getvalue(), (sop, series, study)


def objects(count: int) -> Iterator[tuple[str, bytes]]:
    """Key and content of each object: the template with UIDs of equal length patched in."""
    data, uids = template()
    for number in range(count):
        study, series = number // PER_STUDY, number // PER_SERIES
        content = data
        for uid, value in zip(uids, (number, series, study), strict=True):
            content = content.replace(uid.encode(), f"{uid[:-9]}{value:09d}".encode())
        yield f"archive/{study:06d}/{series:06d}/{number:09d}.dcm", content


async def fill(count: int) -> None:
    """Put the objects into the bucket, 64 at a time."""
    import obstore

    store = obstore.store.S3Store("imaging", client_options={"allow_http": True}, virtual_hosted_style_request=False)
    todo = objects(count)

    async def put() -> None:
        for key, content in todo:
            await obstore.put_async(store, key, content, use_multipart=False)

    await asyncio.gather(*(put() for _ in range(64)))


def ingest() -> tuple[dict[str, Any], float, list[float]]:
    """Run ``medray ingest``; returns its sums, seconds, and resident MiB every half second."""
    command = [str(Path(sys.executable).parent / "medray"), "ingest", SOURCE, "--catalog", CATALOG, "--json"]
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    resident: list[float] = []
    watching = threading.Thread(target=_watch, args=(process, resident))
    watching.start()
    said, errors = process.communicate()
    took = time.perf_counter() - started
    watching.join()
    if process.returncode:
        raise SystemExit(errors)
    return json.loads(said), took, resident


def _watch(process: subprocess.Popen[str], resident: list[float]) -> None:
    page_mib = os.sysconf("SC_PAGE_SIZE") / 2**20
    while process.poll() is None:
        try:
            pages = (Path(f"/proc/{one}/statm").read_text().split()[1] for one in (process.pid, *descendants(process.pid)))
            resident.append(sum(map(int, pages)) * page_mib)
        except (OSError, IndexError):
            return
        time.sleep(0.5)


def catalogued(count: int) -> dict[str, Any]:
    """Fill the server, run ingest twice; figures."""
    started = time.perf_counter()
    asyncio.run(fill(count))
    filled_s = time.perf_counter() - started
    first, first_s, resident = ingest()
    second, second_s, _ = ingest()
    assert (first["objects"], first["images"], first["unchanged"]) == (count, count, 0), first
    assert (second["objects"], second["unchanged"]) == (count, count), second
    quarters = [resident[min(len(resident) - 1, len(resident) * part // 4)] for part in (1, 2, 3, 4)]
    return {
        "objects": count,
        "fill_objects_per_s": count / filled_s,
        "first_s": first_s,
        "first_objects_per_s": count / first_s,
        "second_s": second_s,
        "second_times_faster": first_s / second_s,
        "peak_rss_mib": max(resident),
        "rss_mib_at_quarters": quarters,
    }


def catalogue_table(count: int) -> None:
    """Print what cataloguing ``count`` objects took; starts and fills a server of its own."""
    with tempfile.TemporaryDirectory() as folder, s3_running(Path(folder)) as endpoint:
        os.environ.update(s3_environment(endpoint))
        found = catalogued(count)
    quarters = ", ".join(f"{value:.0f}" for value in found["rss_mib_at_quarters"])
    print(f"| {count:,} objects of 5 KB from loopback S3 | |\n|---|---|")
    print(f"| first run | {found['first_s']:.1f} s, {found['first_objects_per_s']:,.0f} objects/s (asked: 1,500) |")
    print(f"| second run, nothing changed | {found['second_s']:.1f} s, {found['second_times_faster']:.0f} × faster (asked: 20) |")
    print(f"| resident memory of the first at 25, 50, 75, 100 % | {quarters} MiB |")
    print(f"| its peak | {found['peak_rss_mib']:.0f} MiB |")
