"""Mutated files through the decoder: each must end in an image, EXCLUDED or QUARANTINED, soon and in bounded memory.

    python benchmarks/mutations.py --count 10000

Child processes (4 GiB of address space) decode the seeded mutations of ``tests/hostile/mutations.py``. Every mutation is decoded
in two processes whose fresh memory holds different bytes (glibc's ``MALLOC_PERTURB_``): pixels that differ were never written.
Exit status 1 when one ends otherwise: a signal, 10 s without an answer, another exception, an image of another shape than its
header says, a head that is refused where the file is not.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import select
import subprocess
import sys
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
HEAD_BYTES = 16 * 1024
ADDRESS_SPACE_BYTES = 4 << 30
WATCHDOG_S = 10.0
PERTURBATIONS = ("85", "170")
BAD = ("CRASH", "HANG", "EXCEPTION", "SHAPE", "INSPECT")
Outcome = dict[str, Any]


def main() -> int:
    """Run the mutations and print what came of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--pixels", action="store_true", help="mutate the code streams of compressed files only")
    parser.add_argument("--save", type=Path, help="folder for the files that end badly")
    parser.add_argument("--worker", nargs=2, type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "support")]
    if options.worker:
        work(*options.worker, options.pixels)
        return 0
    started = time.perf_counter()
    first, second = (decode_all(options, value) for value in PERTURBATIONS)
    unequal = [one for one, other in zip(first, second, strict=True) if one["digest"] != other["digest"]]
    bad = [one for one in first + second if one["code"] in BAD]
    report(first + second, bad, unequal, time.perf_counter() - started, options.pixels)
    for one in (bad + unequal) if options.save else ():
        keep(options.save, one, options.pixels)
    return 1 if bad or unequal else 0


def decode_all(options: argparse.Namespace, perturbation: str) -> list[Outcome]:
    """The outcomes of the mutations in the order of their seeds."""
    last, step = options.first + options.count, -(-options.count // options.workers)
    ranges = [(start, min(start + step, last)) for start in range(options.first, last, step)]
    with ThreadPoolExecutor(len(ranges)) as pool:
        parts = pool.map(lambda bounds: list(outcomes(*bounds, options.pixels, perturbation)), ranges)
        return [one for part in parts for one in part]


def outcomes(start: int, stop: int, of_pixels: bool, perturbation: str) -> Iterator[Outcome]:
    """One outcome for each seed; a child that dies or hangs is replaced and its seed blamed."""
    while start < stop:
        child = _child(start, stop, of_pixels, perturbation)
        while start < stop:
            line = _line(child)
            if line is None or not line:
                child.kill()
                code = "HANG" if line is None else "CRASH"
                yield {"seed": start, "code": code, "detail": str(child.wait()), "seconds": 0.0, "rss_mib": 0, "digest": code}
                start += 1
                break
            yield json.loads(line)
            start += 1
        child.kill()
        child.wait()


def _child(start: int, stop: int, of_pixels: bool, perturbation: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "MALLOC_PERTURB_": perturbation, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, __file__, "--worker", str(start), str(stop), *["--pixels"] * of_pixels]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, bufsize=0)
    child.stdout.read(1)  # type: ignore[union-attr]  # it has imported everything
    return child


def _line(child: subprocess.Popen[bytes]) -> bytes | None:
    """The next line of the child: None when none comes in time, empty when it has ended."""
    assert child.stdout is not None
    if not select.select([child.stdout], [], [], WATCHDOG_S)[0]:
        return None
    return child.stdout.readline()  # a line is written at once


def work(start: int, stop: int, of_pixels: bool) -> None:
    """In the child: one line of JSON for each seed."""
    from hostile.mutations import mutation

    outcome(mutation(start, of_pixels=of_pixels).data)  # imports everything
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE_BYTES, ADDRESS_SPACE_BYTES))
    sys.stdout.write(".")
    sys.stdout.flush()
    for seed in range(start, stop):
        data = mutation(seed, of_pixels=of_pixels).data
        began = time.perf_counter()
        code, detail, digest = outcome(data)
        seconds = time.perf_counter() - began
        rss_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        answer = {"seed": seed, "code": code, "detail": detail, "digest": digest, "seconds": seconds, "rss_mib": rss_mib}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def outcome(data: bytes) -> tuple[str, str, str]:
    """(code, detail, digest of the pixels or the code) of a file; INSPECT where its head is refused and the file is not."""
    from medray.data.dicom import decode, inspect
    from medray.errors import InputError

    glance = "ok"
    try:
        inspect(data[:HEAD_BYTES], len(data))
    except InputError as error:
        glance = error.code
    except BaseException as error:  # noqa: BLE001 - this is what is looked for
        return "EXCEPTION", f"inspect {type(error).__name__}: {error}"[:200], "EXCEPTION"
    try:
        image = decode(data)
    except InputError as error:
        return error.code, "", f"{error.code} {glance}"
    except BaseException as error:  # noqa: BLE001
        return "EXCEPTION", f"{type(error).__name__}: {error}"[:200], "EXCEPTION"
    if image.pixels.shape != (image.header.rows, image.header.columns):
        return "SHAPE", f"{image.pixels.shape}, header {image.header.rows} × {image.header.columns}", "SHAPE"
    if glance != "ok":
        return "INSPECT", glance, glance
    mask = image.valid.tobytes() if image.valid is not None else b""
    return "IMAGE", "", f"{zlib.crc32(image.pixels.tobytes() + mask):08x}"


def report(results: list[Outcome], bad: list[Outcome], unequal: list[Outcome], seconds: float, of_pixels: bool) -> None:
    """Print the counts, the worst time and the peak memory."""
    from hostile.mutations import mutation

    half = results[: len(results) // 2]
    for code, number in Counter(one["code"] for one in half).most_common():
        print(f"{number:8d}  {code}")
    slowest = max(results, key=lambda one: one["seconds"])
    seed = mutation(slowest["seed"], of_pixels=of_pixels)
    print(f"{len(half)} mutations, each in 2 processes, in {seconds:.0f} s")
    peak_mib = max(one["rss_mib"] for one in results)
    print(f"worst time {slowest['seconds']:.2f} s (seed {seed.seed}, {seed.name}), peak RSS {peak_mib} MiB")
    print(f"{len(bad)} bad endings, {len(unequal)} images of unequal pixels")
    for one in [*bad, *unequal][:40]:
        found = mutation(one["seed"], of_pixels=of_pixels)
        print(f"  seed {one['seed']}: {one['code']} {one['detail']} ({found.name}: {', '.join(found.kinds)})")


def keep(folder: Path, one: Outcome, of_pixels: bool) -> None:
    """Save the file of an outcome."""
    from hostile.mutations import mutation

    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{one['seed']}-{one['code']}.dcm").write_bytes(mutation(one["seed"], of_pixels=of_pixels).data)


if __name__ == "__main__":
    sys.exit(main())
