"""Pseudonyms where the work is done: one key in every process, which is sent to none, and no answer under two keys."""

from __future__ import annotations

import hashlib
import hmac
import os
import shutil
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pydicom
import pytest
from site_key import SECRET

from medray.cataloguing.ingest import ingest
from medray.data import store, tables
from medray.data.catalog import Catalog
from medray.data.key_file import KeyName, name_of, the_key
from medray.data.key_record import made_with
from medray.distributed.dataset import on_ray
from medray.distributed.session import ClusterSpec
from medray.errors import ConfigError, MedrayError
from medray.runs.evaluate import evaluate_source
from medray.runs.extract import ExtractConfig, extract
from medray.runs.predict import predict_source
from medray.runs.score import object_rows
from medray.runs.screen import ScreenConfig, screen
from medray.work.local import on_this_machine
from medray.work.process import RunBlocks, process
from medray.work.score import score_job
from medray.work.table import outcomes

HERE = ClusterSpec(executor="local")
Run = Callable[..., "subprocess.CompletedProcess[str]"]
pytestmark = pytest.mark.usefixtures("own")


@pytest.fixture
def bundle(trained: Any) -> str:
    return str(trained.bundles[trained.best].uri)


@pytest.fixture
def images(archive: Path, tmp_path: Path) -> Path:
    """Images of eight patients."""
    folder = tmp_path / "images"
    folder.mkdir()
    for path in sorted((archive / "images").rglob("*.dcm"))[:8]:
        shutil.copy(path, folder)
    return folder


def of(images: Path, secret: str) -> dict[str, str]:
    """File → the pseudonym of its patient."""
    ids = {path: pydicom.dcmread(path, stop_before_pixels=True).PatientID for path in images.iterdir()}
    return {str(path): hmac.new(secret.encode(), one.encode(), hashlib.sha256).hexdigest()[:16] for path, one in ids.items()}


def pseudonyms(rows: Any) -> dict[str, str]:
    return dict(zip(rows["uri"].to_pylist(), rows["patient_key"].to_pylist(), strict=True))


def code(call: Callable[[], object]) -> str:
    with pytest.raises(ConfigError) as caught:
        call()
    assert SECRET not in str(caught.value)
    return caught.value.code


def holders(*folders: Path) -> list[Path]:
    """Files that hold the secret, packed or not."""
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    found = [path for path in files if SECRET.encode() in path.read_bytes()]
    tabled = [path for path in files if path.suffix == ".parquet"]
    return found + [path for path in tabled if SECRET in f"{pq.read_table(path).to_pylist()} {pq.read_schema(path)}"]


@pytest.mark.parametrize("run", [on_this_machine(), on_this_machine(2), on_ray(2)], ids=["here", "processes", "ray"])
def test_every_process_finds_the_key_and_none_is_sent_it(
    run: RunBlocks, bundle: str, images: Path, tmp_path: Path, site: str, ray_session: None
) -> None:
    from ray._private.worker import _global_node

    rows, table = object_rows(store.list_objects(str(images))), str(tmp_path / "out" / "table")
    name = name_of(the_key(site))
    process(rows, score_job({"": bundle}, pseudonyms=name), table, run)
    found = outcomes(rows, table)
    assert pseudonyms(found) == of(images, SECRET)
    assert made_with(tables.read_table(table).schema) == name.id
    assert holders(tmp_path / "out", Path(_global_node.get_session_dir_path())) == []
    assert not any(SECRET.encode() in data for data in seen_by_others())


def seen_by_others() -> list[bytes]:
    """Arguments of every process of this machine."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes())
        except OSError:  # it has ended
            continue
    assert len(found) > 1
    return found


@pytest.mark.parametrize("run", [on_this_machine(), on_this_machine(2), on_ray(1)], ids=["here", "processes", "ray"])
def test_a_process_without_the_key_makes_no_pseudonym(
    run: RunBlocks, bundle: str, images: Path, tmp_path: Path, ray_session: None
) -> None:
    rows = object_rows(store.list_objects(str(images)))
    job = score_job({"": bundle}, pseudonyms=KeyName("0123456789abcdef", "/on/another/node.key"))
    with pytest.raises(MedrayError) as caught:
        process(rows, job, str(tmp_path / "table"), run)
    assert caught.value.code in ("PSEUDONYM_KEY_MISSING", "WORKER_FAILED")  # Ray Data may lose the cause
    assert not len(tables.read_table(str(tmp_path / "table")))


def test_the_samples_of_a_run_name_the_key(trained: Any, catalogued: str) -> None:
    samples = pq.read_schema(f"{trained.run_uri}/samples.parquet")
    assert "group" in samples.names
    assert made_with(samples) == Catalog(catalogued).made_with() is not None


def features(catalog: str, tmp_path: Path) -> ExtractConfig:
    measured = {"preprocess": {"steps": [{"op": "minmax"}]}, "features": {"families": [{"family": "intensity"}]}}
    return ExtractConfig.model_validate({"output": str(tmp_path / "out"), "catalog": catalog, "cluster": HERE, **measured})


def test_a_run_on_a_catalog_needs_no_key(images: Path, tmp_path: Path, own: Path) -> None:
    ingest(str(images), str(tmp_path / "catalog"))
    own.unlink()
    catalog = Catalog(str(tmp_path / "catalog"))
    result = extract(features(catalog.uri, tmp_path))
    found = tables.read_table(result.table_uri)
    assert pseudonyms(found) == pseudonyms(catalog.images())
    assert made_with(found.schema) == catalog.made_with()
    assert not own.exists()


def test_catalogs_of_two_keys_share_no_feature_table(images: Path, tmp_path: Path, site: str) -> None:
    for name, key_file in (("one", None), ("two", site)):
        ingest(str(images), str(tmp_path / name), key_file=key_file)
    extract(features(str(tmp_path / "one"), tmp_path))
    assert code(lambda: extract(features(str(tmp_path / "two"), tmp_path))) == "PSEUDONYM_KEYS"


def test_predictions_go_on_with_their_key_alone(bundle: str, images: Path, tmp_path: Path, site: str, own: Path) -> None:
    out, work = str(tmp_path / "out.parquet"), str(tmp_path / "work")
    predict = partial(predict_source, bundle, str(images), out, HERE, work)
    predict(key_file=site)
    rows = pq.read_table(out)
    assert pseudonyms(rows) == of(images, SECRET)
    assert made_with(rows.schema) is not None
    assert code(predict) == "PSEUDONYM_KEY_LOST"
    assert not own.exists()
    os.environ["MEDRAY_PSEUDONYM_KEY"] = "the key of another site"
    try:
        assert code(predict) == "PSEUDONYM_KEYS"
    finally:
        del os.environ["MEDRAY_PSEUDONYM_KEY"]
    assert pq.read_table(out).equals(rows)
    assert predict(key_file=site).scored == 8


def test_a_night_goes_on_with_its_key_alone(bundle: str, images: Path, tmp_path: Path, site: str) -> None:
    config = ScreenConfig(output=str(tmp_path / "out"), source=str(images), bundle=bundle, cluster=HERE)
    night = screen(config, key_file=site)
    assert set(night.worklist["patient_key"].to_pylist()) == set(of(images, SECRET).values())
    written = pq.read_table(f"{night.night_uri}/worklist.parquet")
    assert made_with(written.schema) == made_with(tables.read_table(f"{night.night_uri}/results").schema) is not None
    assert code(lambda: screen(config)) == "PSEUDONYM_KEY_LOST"
    assert screen(config, key_file=site).worklist.equals(night.worklist)


def test_patients_of_labels_and_images_are_the_same_under_any_key(
    bundle: str, archive: Path, images: Path, tmp_path: Path, site: str, own: Path
) -> None:
    evaluate = partial(evaluate_source, bundle, str(images), str(archive / "labels.csv"), HERE)
    first, second = evaluate(), evaluate(key_file=site)
    assert own.exists()
    assert dict(zip(second.rows["uri"].to_pylist(), second.rows["group"].to_pylist(), strict=True)) == of(images, SECRET)
    assert len(set(first.rows["group"].to_pylist())) == len(set(second.rows["group"].to_pylist())) == 8


def test_the_commands_take_a_key_file_and_show_no_key(
    bundle: str, archive: Path, images: Path, tmp_path: Path, site: str, medray: Run
) -> None:
    labels, out, config = str(archive / "labels.csv"), tmp_path / "cli", tmp_path / "screen.yaml"
    config.write_text(f"output: {out}\nsource: {images}\nbundle: {bundle}\n")
    commands = [
        ["predict", bundle, str(images), "--out", str(out / "answers.csv")],
        ["evaluate", bundle, "--src", str(images), "--labels", labels],
        ["screen", "--config", str(config), "--executor", "local"],
    ]
    for command in commands:
        done = medray(*command, "--pseudonym-key-file", site)
        assert done.returncode == 0, done.stderr
        assert SECRET not in done.stdout + done.stderr
    assert holders(out) == []
    shown = (out / "screen" / "night" / "worklist.csv").read_text()
    assert all(one in shown for one in of(images, SECRET).values())
