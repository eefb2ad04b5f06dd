"""What a machine has run out of is named, wherever it shows: in this process, in processes of it, in a store's client."""

from __future__ import annotations

import errno
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import yaml

from medray.data import store
from medray.data.backends.troubles import store_error
from medray.errors import StoreError
from medray.exhaustion import exhausted

Run = Callable[..., "CompletedProcess[str]"]
SMALL_BYTES = 20 << 10


@contextmanager
def small_files() -> Iterator[None]:
    """No file may grow beyond some KiB, in this process and those that it starts: not while pytest writes its own to one."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (SMALL_BYTES, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_named_with_its_place(number: int) -> None:
    found = exhausted(OSError(number, "full", "/archive/out"))
    assert found is not None
    assert (found.code, "/archive/out" in found.message) == ("DISK_FULL", True)


@pytest.mark.parametrize(
    "text",
    [
        "Generic LocalFileSystem error: Unable to copy data to file: No space left on device (os error 28)",
        "[Errno 28] Error writing bytes to file. Detail: [errno 28] No space left on device",
    ],
)
def test_a_full_disk_is_known_by_the_texts_of_libraries(text: str) -> None:
    error = store_error(RuntimeError(text), "/archive/table")
    assert (error.code, "/archive/table" in error.message, error.retryable) == ("DISK_FULL", True, False)


def test_other_troubles_are_none() -> None:
    assert exhausted(OSError(errno.ECONNRESET, "reset")) is None
    assert exhausted(ValueError("28 images, error 28")) is None


def test_a_write_to_a_full_disk(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as caught, small_files():
        store.write(str(tmp_path / "big"), bytes(2 * SMALL_BYTES))
    assert caught.value.code == "DISK_FULL"
    assert not (tmp_path / "big").exists()


@pytest.mark.parametrize("processes", [1, 2])
def test_a_disk_that_fills_in_a_local_run(processes: int, catalogued: str, tmp_path: Path, medray: Run) -> None:
    spec = {
        "preprocess": {"steps": [{"op": "percentile"}]},
        "features": {"families": [{"family": "radiomics", "bin_width": 0.1}]},
        "output": str(tmp_path / "out"),
        "catalog": catalogued,
        "resources": {"actors": processes},
    }
    (tmp_path / "extract.yaml").write_text(yaml.safe_dump(spec))
    with small_files():
        done = medray("extract", "--config", str(tmp_path / "extract.yaml"), "--executor", "local")
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("medray: ")]
    assert line.startswith("medray: DISK_FULL: a file may not become that large at ")
    assert str(tmp_path) in line
    assert "Traceback" not in done.stderr
