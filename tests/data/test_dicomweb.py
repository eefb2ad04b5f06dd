"""Instances of a real DICOMweb server are listed and read like files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from faulty_proxy import faulty
from orthanc import PASSWORD, USER, missing, orthanc_running, request

from medray.cataloguing.ingest import ingest
from medray.data import archive, store
from medray.data.backends import dicomweb
from medray.data.synthetic import SyntheticSpec, write_archive
from medray.errors import StoreError


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Orthanc with twelve instances of four studies."""
    if why := missing():
        pytest.skip(why)
    with orthanc_running(tmp_path_factory.mktemp("orthanc")) as url:
        spec = SyntheticSpec(patients=4, images_per_study=3, rows=32, columns=32)
        write_archive(spec, lambda name, data: request(f"{url}/instances", data))
        yield url


@pytest.fixture
def root(server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("MEDRAY_DICOMWEB_USER", USER)
    monkeypatch.setenv("MEDRAY_DICOMWEB_PASSWORD", PASSWORD)
    return server.replace("http://", "dicomweb://") + "/dicom-web"


def stored(server: str) -> dict[str, bytes]:
    """SOP Instance UID → the file that the server holds."""
    tags = {
        key: json.loads(request(f"{server}/instances/{key}/simplified-tags"))
        for key in json.loads(request(f"{server}/instances"))
    }
    return {found["SOPInstanceUID"]: request(f"{server}/instances/{key}/file") for key, found in tags.items()}


def test_every_instance_is_listed_and_its_file_is_read(root: str, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dicomweb, "PAGE", 2)
    found = store.list_objects(root)
    wanted = stored(server)
    assert {info.etag for info in found} == set(wanted)
    assert [info.uri for info in found] == sorted(info.uri for info in found)
    assert {info.size for info in found} == {-1}
    data = archive.read_many([info.uri for info in found], etags=[info.etag for info in found])
    assert data == [wanted[info.etag] for info in found]
    assert archive.read_many([found[0].uri], [(128, 132)]) == [b"DICM"]
    assert store.read(found[0].uri) == wanted[found[0].etag]


def test_a_server_is_ingested_and_a_second_run_reads_nothing(root: str, tmp_path: Path) -> None:
    first = ingest(root, str(tmp_path / "catalog"))
    assert (first.objects, first.images, first.unchanged) == (12, 12, 0)
    assert ingest(root, str(tmp_path / "catalog")).unchanged == 12


def test_a_study_a_series_or_an_instance_is_a_source(root: str) -> None:
    uri = store.list_objects(root)[0].uri
    study, series = uri.split("/series/")[0], uri.split("/instances/")[0]
    assert len(store.list_objects(study)) == 3
    assert len(store.list_objects(series)) in (1, 3)
    assert [info.uri for info in store.list_objects(uri)] == [uri]


def test_what_is_not_there(root: str) -> None:
    with pytest.raises(StoreError) as caught:
        store.list_objects(f"{root}/studies/1.2.3")
    assert caught.value.code == "STORE_NOT_FOUND"
    (answer,) = store.read_many([f"{root}/studies/1.2.3/series/4/instances/5"])
    assert isinstance(answer, StoreError)
    assert answer.code == "STORE_NOT_FOUND"


def test_a_stranger_is_refused(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDRAY_DICOMWEB_PASSWORD", "wrong")
    with pytest.raises(StoreError) as caught:
        store.list_objects(root)
    assert caught.value.code == "STORE_DENIED"
    assert "wrong" not in str(caught.value)


def test_trouble_that_passes_is_not_seen_and_trouble_that_stays_is_said(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDRAY_STORE_RETRY_S", "2.5")
    monkeypatch.setenv("MEDRAY_STORE_TIMEOUT_S", "1")
    with faulty(root.replace("dicomweb://", "http://")) as proxy:
        place = proxy.url.replace("http://", "dicomweb://") + "/dicom-web"
        proxy.script("busy", "reset", "error", "truncate")
        found = store.list_objects(place)
        assert len(found) == 12
        proxy.script("busy", "reset", "truncate")
        assert all(isinstance(data, bytes) for data in store.read_many([info.uri for info in found]))
        bad = found[3].uri.rsplit("/", 1)[1]
        proxy.always("busy", bad)
        answers = store.read_many([info.uri for info in found])
    assert [answer.code for answer in answers if isinstance(answer, StoreError)] == ["STORE_BUSY"]
    assert isinstance(answers[3], StoreError)
    assert answers[3].retryable


@pytest.mark.parametrize(
    ("body", "kind", "file"),
    [
        (
            b"--x\r\nContent-Type: application/dicom\r\n\r\nA\r\n\r\nB\r\n--x--\r\n",
            "multipart/related; boundary=x",
            b"A\r\n\r\nB",
        ),
        (b"\r\n--x y\r\n\r\nDATA\r\n--x y--", 'multipart/related; type="application/dicom"; boundary="x y"', b"DATA"),
        (b"DATA", "application/dicom", b"DATA"),
    ],
)
def test_the_part_of_an_answer(body: bytes, kind: str, file: bytes) -> None:
    assert dicomweb._file_of(body, kind) == file


@pytest.mark.parametrize("body", [b"", b"--x\r\n\r\nDATA", b"--x\r\n\r\nA\r\n--x\r\n\r\nB\r\n--x--"])
def test_an_answer_that_is_cut_or_holds_more_is_refused(body: bytes) -> None:
    with pytest.raises(OSError, match="one whole instance"):
        dicomweb._file_of(body, "multipart/related; boundary=x")
