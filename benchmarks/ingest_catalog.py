"""Cataloguing from S3: a first and a second run over many small objects, with the memory of the first over time; headers per core.

    python benchmarks/ingest_catalog.py [--objects 100000]

Starts a SeaweedFS server on loopback (on the same cores) and fills it with synthetic CT objects of about 5 KB.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pydicom
from pydicom.uid import generate_uid

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from seaweed import s3_environment, s3_running  # noqa: E402

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
            resident.append(int(Path(f"/proc/{process.pid}/statm").read_text().split()[1]) * page_mib)
        except (OSError, IndexError):
            return
        time.sleep(0.5)


def per_second(call: Callable[[bytes], object], heads: list[bytes], seconds: float = 3.0) -> float:
    """How many of the heads one core takes in a second."""
    done, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        for head in heads:
            call(head)
        done += len(heads)
    return done / (time.perf_counter() - started)


def headers(count: int = 500) -> dict[str, float]:
    """Headers per second and core: ours to a catalog record, and pydicom's parse alone."""
    from medray.data.dicom import inspect

    heads = [content for _, content in objects(count)]
    return {
        "medray": per_second(lambda head: inspect(head, len(head)), heads),
        "pydicom": per_second(lambda head: pydicom.dcmread(io.BytesIO(head), stop_before_pixels=True), heads),
    }


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


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--objects", type=int, default=100_000)
    arguments = parser.parse_args()
    figures: dict[str, Any] = {"headers_per_s_per_core": headers()}
    with tempfile.TemporaryDirectory() as folder, s3_running(Path(folder)) as endpoint:
        os.environ.update(s3_environment(endpoint))
        figures |= catalogued(arguments.objects)
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
