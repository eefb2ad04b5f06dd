"""Small files that ask for gigabytes: refused before memory grows, in a child process whose peak is measured."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from hostile import samples as make

BOMBS: list[tuple[int, str, Callable[[], bytes], str]] = [
    (21, "deflate bomb", make.deflate_bomb, "DICOM_INFLATES"),
    (21, "hidden deflate bomb", lambda: make.deflate_bomb(b"x" * 2000), "DICOM_INFLATES"),
    (31, "SIZ 60000", lambda: make.siz(60000, 60000), "PIXELS_SIZE"),
    (31, "SIZ and header 60000", lambda: make.change(make.siz(60000, 60000), Rows=60000, Columns=60000), "PIXELS_TOO_MANY"),
    (31, "SIZ and header 20000", lambda: make.change(make.siz(20000, 20000), Rows=20000, Columns=20000), "PIXELS_TOO_MANY"),
    (33, "RLE 60000", lambda: make.change(make.p("MR_small_RLE.dcm"), Rows=60000, Columns=60000), "PIXELS_TOO_MANY"),
    (33, "RLE 20000", lambda: make.change(make.p("MR_small_RLE.dcm"), Rows=20000, Columns=20000), "PIXELS_TRUNCATED"),
    (48, "JPEG 16000", lambda: make.sof("JPGExtended.dcm", 0xC1, 16000), "PIXELS_TRUNCATED"),
    (48, "JPEG lossless 16000", lambda: make.sof("JPEG-LL.dcm", 0xC3, 16000), "PIXELS_TRUNCATED"),
    (48, "JPEG-LS 16000", lambda: make.sof("MR_small_jpeg_ls_lossless.dcm", 0xF7, 16000), "PIXELS_CODEC"),
    (48, "JPEG XL 16000", lambda: make.jxl(16000), "PIXELS_TOO_MANY"),
    (48, "JPEG XL 8000", lambda: make.jxl(8000), "PIXELS_CODEC"),
    (48, "deflated frame bomb", lambda: make.deflated_frame(1 << 29, 64), "PIXELS_LENGTH"),
    (48, "deflated frame 20000", lambda: make.deflated_frame(1 << 10, 20000), "PIXELS_TRUNCATED"),
    (48, "uncompressed frame 20000", lambda: make.alone("1.2.840.10008.1.2.1.98", bytes(8192), 20000), "PIXELS_TRUNCATED"),
    (48, "65535", lambda: make.change(make.mr(), Rows=65535, Columns=65535), "PIXELS_TOO_MANY"),
    (48, "20000", lambda: make.change(make.mr(), Rows=20000, Columns=20000), "PIXELS_TRUNCATED"),
]
BOMBS_BY_NUMBER = {number for number, *_ in BOMBS}
MAX_GROWTH_MIB = 150
MAX_SECONDS = 5.0  # of the processor: other tests may run beside this one
SCRIPT = """
import json, resource, sys, time
from medray.data.dicom import decode
from medray.errors import InputError
good, *bombs = sys.argv[1:]
decode(good)
answers = []
for bomb in bombs:
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    try:
        decode(bomb)
        code = "IMAGE"
    except InputError as error:
        code = error.code
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
    answers.append((code, grown, time.process_time() - start))
print(json.dumps(answers))
"""


def test_bombs_are_refused_before_memory_grows(tmp_path: Path) -> None:
    paths = []
    for number, name, maker, _ in BOMBS:
        path = tmp_path / f"{number} {name}"
        path.write_bytes(maker())
        paths.append(str(path))
    (tmp_path / "good").write_bytes(make.j2k())
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "good"), *paths]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    for (number, name, _, code), (found, grown_mib, seconds) in zip(BOMBS, json.loads(done.stdout), strict=True):
        assert (number, name, found) == (number, name, code)
        assert grown_mib < MAX_GROWTH_MIB, (number, name)
        assert seconds < MAX_SECONDS, (number, name)
