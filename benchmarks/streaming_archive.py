"""The archive of the pipeline's benchmark: slices like CT, on local disk and in S3 on loopback."""

from __future__ import annotations

import io
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa

from medray.data import store

SIDE, FILES = 364, 500
CACHE = Path(tempfile.gettempdir()) / "medray-pipeline"


def base_files() -> list[Path]:
    """Slices like CT, 16 bits, uncompressed, 266 KB each; made once."""
    folder = CACHE / f"ct-{SIDE}-{FILES}"
    if not folder.is_dir():
        unfinished = folder.with_suffix(".partial")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        for number in range(FILES):
            (unfinished / f"{number:06d}.dcm").write_bytes(slice_file(number))
        unfinished.rename(folder)
    return sorted(folder.glob("*.dcm"))


def slice_file(number: int) -> bytes:
    """A DICOM file with its own UID and noise, behind the header of a real CT."""
    import pydicom
    from pydicom.data import get_testdata_file
    from pydicom.uid import generate_uid

    rng = np.random.default_rng(number)
    row, column = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    body = (column**2 / 0.7 + row**2 / 0.5 < 1) * (1000 + 60 * np.sin(9 * column + number) * np.cos(7 * row))
    lung = ((column + 0.35) ** 2 + row**2 < 0.05) * -700
    pixels = np.clip(body + lung + rng.normal(0, 12, body.shape), 0, 4095).astype(np.uint16)
    found = pydicom.dcmread(str(get_testdata_file("CT_small.dcm")))
    for keyword in ("SmallestImagePixelValue", "LargestImagePixelValue", "PixelPaddingValue"):
        if keyword in found:
            delattr(found, keyword)
    found.SOPInstanceUID = found.file_meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["medray", str(number)])
    found.Rows, found.Columns = pixels.shape
    found.PixelRepresentation, found.BitsStored, found.HighBit = 0, 12, 11
    found.WindowCenter, found.WindowWidth = 40, 1500
    found.PixelData = pixels.tobytes()
    buffer = io.BytesIO()
    found.save_as(buffer)
    return buffer.getvalue()


def local_rows(count: int) -> pa.Table:
    """Rows of ``count`` files, which are links to the 500."""
    files, links = base_files(), CACHE / "links"
    links.mkdir(exist_ok=True)
    paths = [links / f"{number:07d}.dcm" for number in range(count)]
    for number, path in enumerate(paths):
        if not path.exists():
            path.hardlink_to(files[number % FILES])
    stats = [path.stat() for path in files]
    sizes, etags = [info.st_size for info in stats], [str(info.st_mtime) for info in stats]
    columns = {"etag": [etags[n % FILES] for n in range(count)], "size_bytes": [sizes[n % FILES] for n in range(count)]}
    return pa.table({"uri": [str(path) for path in paths], **columns})


@contextmanager
def s3_rows(count: int) -> Iterator[tuple[str, pa.Table]]:
    """A SeaweedFS server on loopback with ``count`` objects; yields its endpoint and their rows."""
    from multiprocessing.pool import ThreadPool

    from seaweed import s3_environment, s3_running

    place, contents = CACHE / "weed", [path.read_bytes() for path in base_files()]
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    with s3_running(place) as endpoint:
        os.environ.update(s3_environment(endpoint))
        with ThreadPool(8) as threads:
            threads.map(lambda n: store.write(f"s3://imaging/ct/{n:06d}.dcm", contents[n % FILES]), range(count))
        infos = store.list_objects("s3://imaging/ct")
        columns = {name: [getattr(info, name) for info in infos] for name in ("uri", "etag", "size")}
        yield endpoint, pa.table(columns).rename_columns(["uri", "etag", "size_bytes"])
    shutil.rmtree(place, ignore_errors=True)
