"""How much memory decoding a large image takes above the image itself: at most 1 GiB is allowed, or the image is refused.

    python benchmarks/decoder_memory.py [--sizes 8192,16000]

Prints a Markdown table for RESULTS.md. Each decode runs in a process of its own; its peak is the kernel's (VmHWM).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from decoding import CODECS, instance

MAX_ABOVE_MIB = 1024
DECODE = """
import sys
from pathlib import Path
from medray.data.dicom import decode
from medray.errors import InputError

def peak_kib():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])

decode(sys.argv[1])
data = Path(sys.argv[2]).read_bytes()
before = peak_kib()
try:
    image_kib = decode(data).pixels.nbytes // 1024
    print(image_kib // 1024, (peak_kib() - before - image_kib) // 1024)
except InputError as error:
    print(error.code, (peak_kib() - before) // 1024)
"""


def large(size: int) -> np.ndarray:
    """uint16 (size, size): a ramp with noise, 12 bits."""
    ramp = (np.add.outer(np.arange(size), np.arange(size)) % 3000).astype(np.uint16)
    return ramp + np.random.default_rng(0).integers(0, 16, ramp.shape, dtype=np.uint16)


def main() -> None:
    """Print what each syntax takes at each size; exit 1 where one takes more than is allowed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="8192,16000", help="sides of the images in pixels")
    sizes = [int(size) for size in parser.parse_args().sizes.split(",")]
    worst = 0
    print("| transfer syntax | side | image, MiB, or why it is refused | above it, MiB |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        small, path = Path(folder) / "small.dcm", Path(folder) / "large.dcm"
        for codec in CODECS:
            if codec.bits == 8 or codec.name == "RLE":  # pydicom's RLE encoder takes minutes
                continue
            small.write_bytes(instance(codec)[0])
            for size in sizes:
                path.write_bytes(instance(codec, large(size))[0])
                done = subprocess.run([sys.executable, "-c", DECODE, small, path], stdout=subprocess.PIPE, check=True, text=True)
                image, above = done.stdout.split()
                worst = max(worst, int(above))
                print(f"| {codec.name} | {size:,} | {image} | {above} |", flush=True)
    if worst > MAX_ABOVE_MIB:
        raise SystemExit(f"{worst} MiB above the image; at most {MAX_ABOVE_MIB} are allowed")


if __name__ == "__main__":
    main()
