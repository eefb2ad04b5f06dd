"""The endpoint, over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

URL = "http://127.0.0.1:18766"
TOKEN = {"Authorization": "Bearer secret"}


@pytest.fixture(scope="module")
def endpoint(trained: Any) -> Iterator[str]:
    from ray import serve

    from medray.distributed.serve import ServeSpec, start

    patch = pytest.MonkeyPatch()
    serve.shutdown()
    start(trained.bundles["xgb"].uri, ServeSpec(port=18766, max_files=4, max_body_bytes=200_000))
    yield trained.bundles["xgb"].fingerprint
    patch.undo()
    serve.shutdown()


@pytest.fixture(scope="module")
def dicom_file(archive: Path) -> bytes:
    return next((archive / "images").rglob("*.dcm")).read_bytes()


def post(*files: bytes, **options: Any) -> httpx.Response:
    return httpx.post(
        f"{URL}/v1/score", files=[("files", (f"{n}.dcm", data)) for n, data in enumerate(files)], timeout=60, **options
    )


def test_healthz_names_the_bundle(endpoint: str) -> None:
    assert httpx.get(f"{URL}/healthz", timeout=30).json() == {"status": "ok", "bundle": endpoint, "model": "tiny-xgb"}


def test_a_bad_file_takes_its_own_state_and_no_neighbour(endpoint: str, dicom_file: bytes) -> None:
    response = post(dicom_file, b"not DICOM", dicom_file)
    states = [item["state"] for item in response.json()["results"]]
    assert (response.status_code, states) == (200, ["SCORED", "QUARANTINED", "SCORED"])
    first, bad, last = response.json()["results"]
    assert first["probability"] == last["probability"]
    assert bad["code"] == "DICOM_NOT_DICOM"
    assert bad["probability"] is None


def test_nothing_scored_is_422(endpoint: str) -> None:
    response = post(b"junk")
    assert response.status_code == 422
    assert response.json()["results"][0]["state"] == "QUARANTINED"


def test_wrong_requests_are_refused(endpoint: str, dicom_file: bytes) -> None:
    assert post(*[dicom_file] * 5).status_code == 400
    assert post(b"0" * 300_000).status_code == 413
    assert httpx.post(f"{URL}/v1/score", content=b"x", timeout=30).status_code == 415
    chunks = httpx.post(f"{URL}/v1/score", content=iter([b"x"]), headers={"content-type": "multipart/form-data"}, timeout=30)
    assert chunks.status_code == 411
    assert httpx.get(f"{URL}/v1/score", timeout=30).status_code == 405


def test_an_address_others_reach_needs_a_token(trained: Any) -> None:
    from medray.distributed.serve import ServeSpec, start
    from medray.errors import ClusterError

    with pytest.raises(ClusterError) as caught:
        start(trained.bundles["xgb"].uri, ServeSpec(host="0.0.0.0"))
    assert caught.value.code == "SERVE_OPEN"
