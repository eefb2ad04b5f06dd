"""What made a table is in its key: changed code meets no stale data, and what has no part in it throws nothing away."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

import medray
from medray.source import APART, source_fingerprint
from medray.work.outcome import ONLY_MASKS, ONLY_VOLUMES

PACKAGE = Path(medray.__file__).parent
KEYS = """
import json
from medray.bundles.input_spec import InputSpec
from medray.runs.extract import ExtractConfig, extract_job
from medray.runs.fitting import table_uri
from medray.tasks.binary import Binary

task = Binary(target="malignant")
preprocess = {"steps": [{"op": "percentile"}, {"op": "resize", "rows": 64, "columns": 64}]}
features = {"families": [{"family": "lbp"}]}
image = InputSpec.model_validate({"preprocess": preprocess})
table = InputSpec.model_validate({"preprocess": preprocess, "features": features})
settings = {"output": "out", "catalog": "catalog", "preprocess": preprocess, "features": features}
volumes = {**settings, "of": "volumes", "preprocess": {"steps": []}, "features": {"families": [{"family": "radiomics"}]}}
extracted = [extract_job(ExtractConfig.model_validate(one)).fingerprint for one in (settings, volumes)]
print(json.dumps([table_uri("out", image, task), table_uri("out", table, task), *extracted]))
"""
IMAGE, TABLE, EXTRACT, VOLUMES = range(4)


@pytest.fixture
def package(tmp_path: Path) -> Path:
    return shutil.copytree(PACKAGE, tmp_path / "copy" / "medray", ignore=shutil.ignore_patterns("__pycache__"))


def printed(script: str, place: str) -> str:
    """What a script prints with a PYTHONPATH."""
    environment = {**os.environ, "PYTHONPATH": place, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-P", "-c", script]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout


def keys(package: Path) -> list[str]:
    return json.loads(printed(KEYS, str(package.parent)))


def edit(file: Path, change: Callable[[str], str]) -> None:
    before = file.read_text()
    file.write_text(change(before))
    assert file.read_text() != before


def append(code: str) -> Callable[[str], str]:
    return lambda text: f"{text}\n\n{code}\n"


def reworded(text: str) -> str:
    return re.sub(r'^( *)"""(?=\w)', r'\1"""Other words. ', text, flags=re.MULTILINE) + "\n# a comment\n"


def test_a_changed_op_and_a_changed_feature_meet_no_stale_data(package: Path) -> None:
    before = keys(package)
    edit(package / "imaging/ops/resize.py", append("CHANGED = 1"))
    resized = keys(package)
    assert [a == b for a, b in zip(before, resized, strict=True)] == [False, False, False, True]
    edit(package / "features/lbp.py", append("CHANGED = 1"))
    measured = keys(package)
    assert [a == b for a, b in zip(resized, measured, strict=True)] == [True, False, False, True]
    edit(package / "data/dicom/luts.py", append("CHANGED = 1"))
    assert not set(keys(package)) & set(measured)


def test_words_and_code_without_a_part_in_it_throw_nothing_away(package: Path) -> None:
    before = keys(package)
    for used in ("imaging/ops/resize.py", "features/lbp.py"):
        edit(package / used, reworded)
    edit(package / "imaging/table.py", append('OPS = {**OPS, "new": clahe}'))
    for other in (
        "imaging/ops/clahe.py",
        "features/hog.py",
        "remedies.py",
        "models/xgb.py",
        "cataloguing/ingest.py",
        "data/store.py",
    ):
        edit(package / other, append("CHANGED = 1"))
    assert keys(package) == before
    edit(package / "data/volume.py", append("CHANGED = 1"))
    assert [a == b for a, b in zip(before, keys(package), strict=True)] == [True, True, True, False]


def test_a_package_in_a_zip_file_has_the_same_fingerprint(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "medray.zip", "w") as archive:
        for file in PACKAGE.rglob("*.py"):
            archive.write(file, Path("medray") / file.relative_to(PACKAGE))
    script = "from medray.source import source_fingerprint; print(source_fingerprint('medray.data.dicom'))"
    assert printed(script, str(tmp_path / "medray.zip")).strip() == source_fingerprint("medray.data.dicom")


def test_the_order_of_modules_does_not_matter() -> None:
    first = source_fingerprint("medray.imaging.ops.resize", "medray.features.lbp")
    assert source_fingerprint("medray.features.lbp", "medray.imaging.ops.resize") == first
    assert first != source_fingerprint("medray.features.lbp")


def test_the_version_of_a_library_counts_where_it_is_imported(tmp_path: Path) -> None:
    metadata = tmp_path / "opencv_python_headless-9.9.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text("Metadata-Version: 2.1\nName: opencv-python-headless\nVersion: 9.9\n")
    names = ("medray.imaging.ops.resize", "medray.data.pseudonym")
    script = f"from medray.source import source_fingerprint; print(*map(source_fingerprint, {names}))"
    place = os.pathsep.join([str(tmp_path), str(PACKAGE.parent)])
    assert [a == source_fingerprint(b) for a, b in zip(printed(script, place).split(), names, strict=True)] == [False, True]


def test_unknown_modules_are_refused() -> None:
    with pytest.raises(ModuleNotFoundError, match="medray has no module medray"):
        source_fingerprint("medray.imaging.ops.nothing")


@pytest.mark.parametrize("name", sorted({*APART, *ONLY_MASKS, *ONLY_VOLUMES}))
def test_what_is_set_apart_exists(name: str) -> None:
    assert source_fingerprint(name)
