"""Members of shards go the way of loose objects, and the trouble of a store ends as rows that add up."""

from __future__ import annotations

import io
import json
import os
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from faulty_proxy import faulty

from medray.bundles.input_spec import InputSpec
from medray.cataloguing.ingest import ingest
from medray.data import archive as archives
from medray.data import store
from medray.data.labels import join_labels
from medray.errors import Quarantined
from medray.imaging.preprocess import PreprocessSpec
from medray.runs.score import object_rows
from medray.tasks.binary import Binary
from medray.work.prepare import PrepareJob
from medray.work.shard import ShardWriter

SPEC = InputSpec(
    preprocess=PreprocessSpec.model_validate({"steps": [{"op": "percentile"}, {"op": "resize", "rows": 16, "columns": 16}]})
)


def images(archive: Path, count: int) -> list[Path]:
    return sorted((archive / "images").rglob("*.dcm"))[:count]


def write_shards(files: list[Path]) -> dict[str, bytes]:
    """A tar with an evil name, a zip, and a tar that is cut."""
    zipped = io.BytesIO()
    tar = tar_bytes([*((f"deep/{path.name}", path) for path in files[:4]), ("../evil.dcm", files[0])])
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as out:
        for path in files[4:7]:
            out.write(path, f"zipped/{path.name}")
    cut = tar_bytes([("whole.dcm", files[7]), ("cut.dcm", files[8])])
    cut = cut[: 512 + -(-files[7].stat().st_size // 512) * 512 + 1024]
    return {"a.tar": tar, "b.zip": zipped.getvalue(), "c.tar": cut, "d.dcm": files[9].read_bytes()}


def tar_bytes(members: list[tuple[str, Path]]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as file:
        for name, path in members:
            header = tarfile.TarInfo(name)
            header.size = path.stat().st_size
            file.addfile(header, io.BytesIO(path.read_bytes()))
    return out.getvalue()


WANTED = {"SCORED": 9, "ARCHIVE_UNSAFE_MEMBER": 1, "ARCHIVE_BROKEN": 2}


def counted(rows: list[dict[str, object]]) -> dict[str, int]:
    names = [str(row["code"] or row["state"]) for row in rows]
    return {name: names.count(name) for name in names}


def outcomes(source: str, table_uri: str) -> list[dict[str, object]]:
    """What an actor of a job makes of every object of a source."""
    rows = object_rows(archives.list_objects(source))
    block = rows.append_column("shard", pa.array(["part-0"] * len(rows)))
    ShardWriter(PrepareJob(SPEC), table_uri)(block)
    (shard,) = (name for name in store.names(table_uri) if name.endswith(".parquet"))
    found: list[dict[str, object]] = pa.parquet.read_table(f"{table_uri}/{shard}").to_pylist()
    assert len(found) == len(rows)
    return found


@pytest.mark.parametrize("place", ["local", "s3"])
def test_members_are_scored_and_odd_ones_are_quarantined(
    archive: Path, tmp_path: Path, request: pytest.FixtureRequest, place: str
) -> None:
    root = str(tmp_path) if place == "local" else str(request.getfixturevalue("s3"))
    for name, data in write_shards(images(archive, 10)).items():
        store.write(f"{root}/in/{name}", data)
    rows = outcomes(f"{root}/in", str(tmp_path / "table"))
    assert counted(rows) == WANTED
    assert {row["state"] for row in rows} == {"SCORED", "QUARANTINED"}
    catalog = str(tmp_path / "catalog")
    summary = ingest(f"{root}/in", catalog)
    assert (summary.objects, summary.images, summary.quarantined) == (12, 9, 3)
    again = ingest(f"{root}/in", catalog)
    assert again.unchanged == 12


def test_labels_find_members_by_their_name(archive: Path, tmp_path: Path) -> None:
    files = images(archive, 10)
    for name, data in write_shards(files).items():
        store.write(str(tmp_path / name), data)
    uris = [info.uri for info in archives.list_objects(str(tmp_path))]
    instances = pa.table({"uri": uris, "patient_key": uris, "study_uid": uris})
    labels = pa.table({"uri": [f"deep/{files[1].name}", files[2].name, f"zipped/{files[5].name}"], "finding": ["1", "0", "1"]})
    joined = join_labels(instances, labels, Binary(target="finding"))
    assert [uri.split("/")[-1] for uri in joined["uri"].to_pylist()] == [files[1].name, files[2].name, files[5].name]
    assert joined["target"].to_pylist() == [1, 0, 1]


def test_an_unreliable_store_gives_the_same_catalog_and_failures_add_up(
    archive: Path, tmp_path: Path, s3_server: str, s3: str, medray: Callable[..., object]
) -> None:
    for path in images(archive, 12):
        store.write(f"{s3}/in/{path.name}", path.read_bytes())
    catalog, names = str(tmp_path / "catalog"), [path.name for path in images(archive, 12)]
    with faulty(s3_server) as proxy:
        env = {"AWS_ENDPOINT_URL": proxy.url, "MEDRAY_STORE_RETRY_S": "1", "MEDRAY_STORE_TIMEOUT_S": "0.5"}
        proxy.script("busy", "truncate", "reset", part=names[3])
        proxy.script("error", "reset", part="list-type")
        proxy.always("busy", names[5])
        proxy.always("denied", names[6])
        counts = run(medray, f"{s3}/in", catalog, env)
        assert (counts["objects"], counts["images"], counts["failed"]) == (12, 10, 2)
        assert counts["reasons"] == {"STORE_BUSY": 1, "STORE_DENIED": 1}
        proxy.calm()
        counts = run(medray, f"{s3}/in", catalog, env)
    assert (counts["objects"], counts["images"], counts["failed"]) == (12, 12, 0)


def run(medray: Callable[..., object], source: str, catalog: str, env: dict[str, str]) -> dict[str, object]:
    done = medray("ingest", source, "--catalog", catalog, "--json", env=env, timeout_s=120)
    assert done.stdout, done.stderr  # type: ignore[attr-defined]
    found: dict[str, object] = json.loads(done.stdout)  # type: ignore[attr-defined]
    return found


def test_a_name_that_no_table_can_hold_is_quarantined_and_not_tried_again(archive: Path, tmp_path: Path) -> None:
    (good,) = images(archive, 1)
    (tmp_path / "good.dcm").write_bytes(good.read_bytes())
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/bad\xff.dcm")).write_bytes(good.read_bytes())
    rows = object_rows(archives.list_objects(str(tmp_path)))
    bad, whole = archives.read_many(rows["uri"].to_pylist(), etags=rows["etag"].to_pylist())
    assert isinstance(bad, Quarantined)
    assert bad.code == "OBJECT_NAME"
    assert whole == good.read_bytes()
