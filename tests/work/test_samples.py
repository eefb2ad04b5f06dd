"""Samples in chunk files: the same whatever they lie in, on this node or in a store that fails; never another sample."""

from __future__ import annotations

import logging
import os
import resource
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from faulty_proxy import Proxy, faulty
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sample_table import SampleTable, written

from medray.data import store, tables
from medray.errors import ModelError, StoreError
from medray.work.cache import CacheSpec
from medray.work.samples import ChunkedSamples, opened

COUNT, PER_FILE = 300, 32
X = np.random.default_rng(0).random((COUNT, 16, 16)).astype(np.float32)


@pytest.fixture(params=["local", "s3"])
def table(request: pytest.FixtureRequest, tmp_path: Path) -> SampleTable:
    root = str(tmp_path) if request.param == "local" else str(request.getfixturevalue("s3"))
    return written(f"{root}/table", X, PER_FILE)


@pytest.fixture
def in_store(s3: str) -> SampleTable:
    return written(f"{s3}/table", X, PER_FILE)


@pytest.fixture
def proxy(s3_server: str, in_store: SampleTable) -> Iterator[Proxy]:
    """A proxy in front of the S3 server (see :func:`through`)."""
    with faulty(s3_server) as proxy:
        yield proxy


@pytest.fixture
def through(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Have the environment point at the proxy and ask for short patience.

    Tables are opened before: their client keeps the interpreter, and so this process's proxy, from answering it.
    """

    def point() -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        monkeypatch.setenv("MEDRAY_STORE_RETRY_S", "1")
        monkeypatch.setenv("MEDRAY_STORE_TIMEOUT_S", "0.5")

    return point


@pytest.fixture
def cache(tmp_path: Path) -> CacheSpec:
    return CacheSpec(folder=str(tmp_path / "cache"), max_gib=1)


@contextmanager
def samples_of(table: SampleTable, cache: CacheSpec) -> Iterator[ChunkedSamples]:
    numbers = np.arange(len(table.x))
    with opened(table.uri, table.rows, table.record, cache) as (chunks, places):
        yield ChunkedSamples(chunks, table.record, places, numbers, numbers)


def cached(folder: Path) -> list[Path]:
    return sorted(folder.glob("*/*.samples"))


def wait_for(true: Callable[[], object], seconds: float = 20) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.02)


def fill(table: SampleTable, cache: CacheSpec, count: int = 10) -> list[Path]:
    """Have the cache filled; returns its files."""
    with samples_of(table, cache):
        wait_for(lambda: len(cached(cache.root)) == count)
    return cached(cache.root)


def test_samples_by_number_in_batches_and_all_at_once(table: SampleTable, cache: CacheSpec) -> None:
    with samples_of(table, cache) as samples:
        assert (len(samples), samples.shape) == (COUNT, (16, 16))
        order = np.random.default_rng(1).permutation(COUNT)
        parts = np.split(order, range(7, COUNT, 7))
        for part, (x, y) in zip(parts, samples.batches(parts), strict=True):
            np.testing.assert_array_equal(x, X[part])
            np.testing.assert_array_equal(y, part)
        whole = samples.table(X.nbytes, "svm")
        np.testing.assert_array_equal(whole.x, X)
        with pytest.raises(ModelError, match=r"MODEL_TABLE_TOO_LARGE: svm takes a table of .* GiB, 300 samples of 256 features"):
            samples.table(X.nbytes - 1, "svm")
        assert samples.batch(np.array([], np.int64)).x.shape == (0, 16, 16)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float16"])
def test_every_stored_type(dtype: str, tmp_path: Path, cache: CacheSpec) -> None:
    levels = np.arange(50 * 9).reshape(50, 3, 3) % 200
    table = written(str(tmp_path / "table"), levels.astype(np.float32), 16, dtype)
    with samples_of(table, cache) as samples:
        found = samples.batch(np.arange(50)).x
    scale = {"uint8": 255, "uint16": 65535}.get(dtype, 1)
    np.testing.assert_array_equal(found, levels.astype(np.float32) / np.float32(scale))


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, 59), max_size=40), st.integers(1, 70))
def test_files_of_any_size_give_the_same(tmp_path: Path, cache: CacheSpec, wanted: list[int], per_file: int) -> None:
    uri = str(tmp_path / f"table-{per_file}")
    shutil.rmtree(uri, ignore_errors=True)
    table = written(uri, X[:60], per_file)
    with samples_of(table, cache) as samples:
        np.testing.assert_array_equal(samples.batch(np.array(wanted, np.int64)).x, X[wanted])


def test_a_store_is_read_once(in_store: SampleTable, proxy: Proxy, through: Callable[[], None], cache: CacheSpec) -> None:
    files = fill(in_store, cache)
    assert sum(path.stat().st_size for path in files) == X.nbytes
    assert cache.root.stat().st_mode & 0o077 == 0, "others may read images of patients"
    with samples_of(in_store, cache) as samples:
        through()
        np.testing.assert_array_equal(samples.batch(np.arange(COUNT)).x, X)
        assert not proxy.requests


@pytest.mark.parametrize("harm", ["cut", "empty", "changed", "another"])
def test_a_cached_file_that_is_not_what_was_written_is_not_used(
    in_store: SampleTable, cache: CacheSpec, harm: str, caplog: pytest.LogCaptureFixture
) -> None:
    files = fill(in_store, cache)
    with samples_of(in_store, cache) as samples:
        np.testing.assert_array_equal(samples.batch(np.arange(10)).x, X[:10])  # it is mapped by now
        sound = files[0].read_bytes()
        wait_for(lambda: "medray-cache" not in {thread.name for thread in threading.enumerate()})  # it would mend the file
        damage(files[0], harm)
        with caplog.at_level(logging.WARNING, "medray"):
            np.testing.assert_array_equal(samples.batch(np.arange(COUNT)).x, X)
        assert "is not what was written: its samples are read from the store" in caplog.text
    fill(in_store, cache)
    assert files[0].read_bytes() == sound


def damage(path: Path, harm: str) -> None:
    data = path.read_bytes()
    if harm == "cut":
        os.truncate(path, len(data) // 2)
    elif harm == "empty":
        os.truncate(path, 0)
    elif harm == "changed":
        with path.open("r+b") as file:
            file.seek(4000)
            file.write(b"x")
    else:
        other = path.parent.with_name("other")
        other.write_bytes(data[::-1])
        other.replace(path)


@pytest.mark.parametrize(
    ("harm", "code"), [("cut", "SAMPLE_CHANGED"), ("changed", "SAMPLE_CHANGED"), ("gone", "STORE_NOT_FOUND")]
)
def test_a_table_that_is_not_what_was_written_stops_the_fit(tmp_path: Path, cache: CacheSpec, harm: str, code: str) -> None:
    table = written(str(tmp_path / "table"), X, PER_FILE)
    first = sorted((tmp_path / "table").glob("*.samples"))[0]
    with samples_of(table, cache) as samples:
        if harm == "gone":
            first.unlink()
        else:
            damage(first, harm)
        with pytest.raises(StoreError, match=code):
            samples.batch(np.arange(COUNT))
        np.testing.assert_array_equal(samples.batch(np.arange(PER_FILE, COUNT)).x, X[PER_FILE:])


def test_a_store_that_dies_is_an_error_unless_its_samples_are_here(
    in_store: SampleTable, proxy: Proxy, through: Callable[[], None], cache: CacheSpec
) -> None:
    fill(in_store, cache)
    none = CacheSpec(folder=str(Path(cache.root) / "none"), max_gib=0)
    with samples_of(in_store, cache) as samples, samples_of(in_store, none) as remote:
        through()
        np.testing.assert_array_equal(remote.batch(np.arange(20)).x, X[:20])
        proxy.always("reset")
        np.testing.assert_array_equal(samples.batch(np.arange(COUNT)).x, X)
        with pytest.raises(StoreError) as caught:
            list(remote.batches([np.arange(20), np.arange(20, 40)]))
        assert caught.value.retryable
        proxy.calm()
        np.testing.assert_array_equal(remote.batch(np.arange(COUNT)).x, X)


def test_a_bound_keeps_some_and_the_others_are_read_from_the_store(
    in_store: SampleTable, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache = CacheSpec(folder=str(tmp_path / "cache"), max_gib=(3 * PER_FILE * 1024 + 100) / 2**30)
    with caplog.at_level(logging.INFO, "medray"):
        assert len(fill(in_store, cache, 3)) == 3
    assert "GiB of samples; the others stay in the store" in caplog.text
    with samples_of(in_store, cache) as samples:
        np.testing.assert_array_equal(samples.batch(np.arange(COUNT)).x, X)
    assert len(cached(cache.root)) == 3


def test_a_lower_bound_takes_files_away(in_store: SampleTable, cache: CacheSpec) -> None:
    fill(in_store, cache)
    lower = cache.model_copy(update={"max_gib": (4 * PER_FILE * 1024) / 2**30})
    with samples_of(in_store, lower) as samples:
        wait_for(lambda: len(cached(cache.root)) == 4)
        np.testing.assert_array_equal(samples.batch(np.arange(COUNT)).x, X)


def test_a_set_in_use_stays_and_one_that_nobody_uses_makes_room(s3: str, tmp_path: Path) -> None:
    first, second = (written(f"{s3}/{name}", X, PER_FILE) for name in ("first", "second"))
    cache = CacheSpec(folder=str(tmp_path / "cache"), max_gib=1.5 * X.nbytes / 2**30)
    foreign = cache.root / ("0" * 32) / "something of the user's"
    foreign.parent.mkdir(parents=True)
    foreign.write_text("")
    with samples_of(first, cache) as kept:
        wait_for(lambda: len(cached(cache.root)) == 10)
        with samples_of(second, cache) as others:
            wait_for(lambda: len(cached(cache.root)) == 14)
            np.testing.assert_array_equal(others.batch(np.arange(COUNT)).x, X)
        np.testing.assert_array_equal(kept.batch(np.arange(COUNT)).x, X)
    held = sum(path.stat().st_size for path in cached(cache.root))
    assert held <= 1.5 * X.nbytes
    with samples_of(second, cache):
        wait_for(lambda: len(cached(cache.root)) == 10)
    assert len({path.parent for path in cached(cache.root)}) == 1
    assert foreign.exists()


SCRIPT = textwrap.dedent("""
    import sys, time
    import numpy as np
    from sample_table import SampleTable
    from test_samples import COUNT, X, samples_of
    from medray.work.cache import CacheSpec
    from medray.work.record import Record
    import pyarrow as pa

    uri, folder, seconds = sys.argv[1:]
    rows = pa.table({"uri": [f"image-{i:07d}" for i in range(COUNT)], "etag": ["1"] * COUNT})
    table = SampleTable(uri, rows, Record("float32", (16, 16)), X)
    with samples_of(table, CacheSpec(folder=folder, max_gib=1)) as samples:
        until = time.monotonic() + float(seconds)
        while True:
            order = np.random.default_rng(0).permutation(COUNT)
            assert np.array_equal(samples.batch(order).x, X[order])
            if time.monotonic() > until:
                break
    print("sound")
""")


def another(table: SampleTable, cache: CacheSpec, seconds: float, limit: int | None = None) -> subprocess.Popen[str]:
    """A training of its own process, which may write files of ``limit`` bytes at most."""
    path = os.pathsep.join(["tests/support", "tests/work"])
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, table.uri, str(cache.root), str(seconds)],
        env={**os.environ, "PYTHONPATH": path},
        preexec_fn=limit and (lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_trainings_that_share_a_cache(in_store: SampleTable, proxy: Proxy, through: Callable[[], None], cache: CacheSpec) -> None:
    through()
    proxy.latency_s = 0.05
    both = [another(in_store, cache, 3) for _ in range(2)]
    answers = [training.communicate(timeout=60) for training in both]
    assert [training.returncode for training in both] == [0, 0], answers
    assert len(cached(cache.root)) == 10
    assert not list(cache.root.glob("*/*.partial"))


def test_a_training_that_is_killed_while_it_fetches_is_followed_by_another(
    in_store: SampleTable, proxy: Proxy, through: Callable[[], None], cache: CacheSpec
) -> None:
    through()
    proxy.latency_s = 0.3
    first = another(in_store, cache, 60)
    wait_for(lambda: cached(cache.root))
    second = another(in_store, cache, 1)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    left = cached(cache.root)[0]
    left.with_name("part-0000032.samples.partial").write_bytes(b"half")
    proxy.calm()
    out, err = second.communicate(timeout=60)
    assert out == "sound\n", err
    assert len(cached(cache.root)) == 10
    assert not list(cache.root.glob("*/*.partial"))


def test_a_disk_that_is_full_is_gone_without(in_store: SampleTable, cache: CacheSpec) -> None:
    training = another(in_store, cache, 1, limit=PER_FILE * 1024 - 1)
    out, err = training.communicate(timeout=60)
    assert out == "sound\n", err
    assert "samples are not kept on this node (File too large): they are read from the store" in err
    assert not cached(cache.root)
    assert not list(cache.root.glob("*/*.partial"))


def test_a_folder_that_cannot_be_written_is_gone_without(
    in_store: SampleTable, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    with (
        caplog.at_level(logging.WARNING, "medray"),
        samples_of(in_store, CacheSpec(folder=str(tmp_path / "file" / "cache"))) as samples,
    ):
        np.testing.assert_array_equal(samples.batch(np.arange(COUNT)).x, X)
    assert "samples are not kept on this node (Not a directory)" in caplog.text


def test_a_sample_that_two_runs_prepared_is_one(tmp_path: Path, cache: CacheSpec) -> None:
    """Two runs that start at the same time may register one input twice."""
    table = written(str(tmp_path / "table"), X[:40], 8)
    other = written(str(tmp_path / "other"), X[:20], 5)
    for path in (tmp_path / "other").glob("part-*"):
        shutil.copy(path, tmp_path / "table" / path.name.replace("part-", "part-b"))
    shards = sorted((tmp_path / "table").glob("part-b*.parquet"))
    schema = pq.read_schema(shards[0])
    for path in shards:
        rows = pq.read_table(path)
        named = pc.replace_substring(rows["chunk"], "part-", "part-b")
        pq.write_table(rows.set_column(rows.column_names.index("chunk"), schema.field("chunk"), named), path)
    found = [(path.name, path.stat().st_size, tables.count_only(pq.read_metadata(path).num_rows)) for path in shards]
    tables.swap(tables.open_table(table.uri), found, [])
    assert tables.read_table(table.uri).num_rows > len(table.x) + len(other.x)
    with samples_of(table, cache) as samples:
        np.testing.assert_array_equal(samples.batch(np.arange(40)).x, X[:40])


def test_images_without_a_sample_stop_the_fit(tmp_path: Path, cache: CacheSpec) -> None:
    table = written(str(tmp_path / "table"), X[:40], 8)
    more = pa.table({"uri": ["image-9999999"], "etag": ["1"]})
    lacking = SampleTable(table.uri, pa.concat_tables([table.rows, more]), table.record, X[:41])
    with pytest.raises(StoreError, match=r"SAMPLES_MISSING: .* has samples of 40 of 41 images"), samples_of(lacking, cache):
        pass


def test_a_folder_that_others_can_write_to_is_not_used(
    in_store: SampleTable, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o777)
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    for name in ("shared", "link"):
        with samples_of(in_store, CacheSpec(folder=str(tmp_path / name), max_gib=1)) as samples:
            np.testing.assert_array_equal(samples.batch(np.arange(COUNT)).x, X)
        assert f"{name} is not this user's alone" in caplog.text
        assert not list((tmp_path / name).iterdir())


def test_a_whole_table_is_read_with_a_request_for_each_file(
    in_store: SampleTable, proxy: Proxy, through: Callable[[], None], cache: CacheSpec
) -> None:
    with samples_of(in_store, CacheSpec(max_gib=0)) as samples:
        through()
        np.testing.assert_array_equal(samples.table(X.nbytes, "svm").x, X)
    assert sum(proxy.requests.values()) == 10


def test_a_file_beside_the_table_that_is_no_samples_is_not_fetched(in_store: SampleTable, cache: CacheSpec) -> None:
    store.write(f"{in_store.uri}/notes.txt", b"x")
    assert len(fill(in_store, cache)) == 10
