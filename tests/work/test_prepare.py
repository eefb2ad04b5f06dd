"""Preparing samples is stopped anywhere and goes on to the same bytes."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from prepared import prepared

from medray.bundles.input_spec import InputSpec
from medray.data import store
from medray.imaging.preprocess import PreprocessSpec
from medray.runs.score import object_rows
from medray.work.local import on_this_machine
from medray.work.prepare import PrepareJob
from medray.work.process import process

STEPS = {"steps": [{"op": "percentile"}, {"op": "non_local_means"}, {"op": "resize", "rows": 48, "columns": 40}]}
JOB = PrepareJob(InputSpec(preprocess=PreprocessSpec.model_validate(STEPS), stored="uint8"))
SCRIPT = textwrap.dedent("""
    import sys
    from test_prepare import JOB, object_rows, on_this_machine, process, store

    if __name__ == "__main__":
        process(object_rows(store.list_objects(sys.argv[1])), JOB, sys.argv[2], on_this_machine(2))
""")


def contents(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("part-*")}


@pytest.mark.parametrize("after", [1, 12])
def test_a_worker_that_is_killed_while_it_writes_leaves_nothing_behind(archive: Path, tmp_path: Path, after: int) -> None:
    images = str(archive / "images")
    rows = object_rows(store.list_objects(images))
    process(rows, JOB, str(tmp_path / "whole"), on_this_machine())
    (tmp_path / "run.py").write_text(SCRIPT)
    killed = tmp_path / "killed"
    path = os.pathsep.join(["tests/support", "tests/work", os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, str(tmp_path / "run.py"), images, str(killed)]
    run = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path}, start_new_session=True)
    while len(list(killed.glob("*.samples"))) < after:
        assert run.poll() is None, "it was done before it was killed"
        time.sleep(0.002)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    assert len(contents(killed)) < len(contents(tmp_path / "whole"))
    process(rows, JOB, str(killed), on_this_machine())
    assert contents(killed) == contents(tmp_path / "whole")
    found = prepared(str(killed), rows, JOB)
    assert (prepared(str(tmp_path / "whole"), rows, JOB) == found).all()
    assert found.shape == (len(rows), 48, 40)
