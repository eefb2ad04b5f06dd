"""A part of the mutation run (``benchmarks/mutations.py``), and that a mutation is its seed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hostile.mutations import COMPRESSED, GOOD, KINDS, mutation

from medray.data.dicom import decode
from medray.data.dicom.syntaxes import COMPRESSED as COMPRESSED_SYNTAXES
from medray.data.dicom.syntaxes import JPEG_LOSSLESS, NATIVE

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "mutations.py"


@pytest.mark.slow
@pytest.mark.parametrize(("pixels", "count"), [([], 600), (["--pixels"], 600)], ids=["anywhere", "code streams"])
def test_every_mutation_ends_in_an_image_or_a_code(pixels: list[str], count: int) -> None:
    command = [sys.executable, str(BENCHMARK), "--count", str(count), *pixels]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{count} mutations" in done.stdout
    assert "0 bad endings, 0 images of unequal pixels" in done.stdout


def test_a_mutation_is_its_seed() -> None:
    made = [mutation(seed) for seed in range(400)]
    assert made[7] == mutation(7)
    assert len({one.data for one in made}) > 350
    assert {kind for one in made for kind in one.kinds} == set(KINDS)


def test_good_files_are_images_of_every_syntax() -> None:
    from hostile.mutations import good

    syntaxes = {decode(good(name)).header.transfer_syntax for name in GOOD}
    codecs = {COMPRESSED_SYNTAXES[syntax] for syntax in syntaxes - NATIVE}
    assert codecs == set(COMPRESSED_SYNTAXES.values())
    assert len(NATIVE - syntaxes) == 0
    assert {decode(good(name)).header.transfer_syntax for name in COMPRESSED} & JPEG_LOSSLESS
