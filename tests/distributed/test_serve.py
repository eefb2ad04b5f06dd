"""The endpoint, over HTTP."""

from __future__ import annotations

import gzip
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.exceptions import HTTPException

URL = "http://127.0.0.1:18766"
TOKEN = {"Authorization": "Bearer secret"}


@pytest.fixture(scope="module")
def endpoint(trained: Any) -> Iterator[str]:
    from ray import serve

    from medray.distributed.serve import ServeSpec, start

    patch = pytest.MonkeyPatch()
    serve.shutdown()
    start(trained.bundles["xgb"].uri, ServeSpec(port=18766, max_files=4, max_body_bytes=1_000_000, body_timeout_s=1.5))
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
    assert post(b"0" * 1_200_000).status_code == 413
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


# --- hostile requests (case 80 of the list of bad inputs) ----------------------------------------------------------------------


def raw(*pieces: bytes, pause_s: float = 0.0, timeout_s: float = 20.0) -> int:
    """The status of a request that is sent as it is; 0 where the connection is closed without an answer."""
    with socket.create_connection(("127.0.0.1", 18766), timeout=timeout_s) as connection:
        try:
            for piece in pieces:
                connection.sendall(piece)
                time.sleep(pause_s)
            answer = connection.recv(64)
        except ConnectionError:
            return 0
    return int(answer.split()[1]) if answer else 0


def head(length: object, *more: str) -> bytes:
    lines = ["POST /v1/score HTTP/1.1", "Host: x", "Content-Type: multipart/form-data; boundary=b", f"Content-Length: {length}"]
    return "\r\n".join([*lines, *more, "", ""]).encode()


def part(data: bytes) -> bytes:
    return b'--b\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\n' + data + b"\r\n"


def test_80_a_body_that_does_not_arrive_is_given_up(endpoint: str) -> None:
    started = time.monotonic()
    assert raw(head(1000), part(b"slow")) == 408
    assert 1 < time.monotonic() - started < 10
    assert raw(head(1000, "X-Request-Timeout-Seconds: 3600"), part(b"slow")) == 408


def test_80_a_trickle_is_given_up(endpoint: str) -> None:
    assert raw(head(100_000), part(b"")[:-2], *[b"x"] * 40, pause_s=0.05) == 408


@pytest.mark.parametrize("length", ["-1", "1e3", "٣", "", "99999999999999999999999999", "10, 20"])
def test_80_a_false_content_length_is_refused(endpoint: str, length: str) -> None:
    assert raw(head(length), part(b"x")) in (400, 411, 413, 0)


def test_80_a_content_length_that_is_too_short_is_refused(endpoint: str, dicom_file: bytes) -> None:
    body = part(dicom_file) + b"--b--\r\n"
    assert raw(head(len(body) // 2), body) in (400, 422)


def test_80_ten_thousand_parts_are_refused(endpoint: str) -> None:
    body = part(b"") * 10_000 + b"--b--\r\n"
    assert raw(head(len(body)), body) == 400
    fields = b'--b\r\nContent-Disposition: form-data; name="f"\r\n\r\nx\r\n' * 10 + b"--b--\r\n"
    assert raw(head(len(fields)), fields) == 400


def test_80_a_compressed_body_is_refused(endpoint: str, dicom_file: bytes) -> None:
    body = gzip.compress(part(bytes(10 << 20)) + b"--b--\r\n")
    assert raw(head(len(body), "Content-Encoding: gzip"), body) == 415


def test_80_chunks_beside_a_length_are_refused(endpoint: str) -> None:
    assert raw(head(10, "Transfer-Encoding: chunked"), b"5\r\nhello\r\n0\r\n\r\n") in (400, 411)


def test_80_bodies_are_held_up_to_a_limit() -> None:
    from medray.distributed.serve import Budget

    budget = Budget(100)
    with budget.taken(60):
        with pytest.raises(HTTPException) as caught, budget.taken(50):
            pass
        assert caught.value.status_code == 503
    with budget.taken(100):
        pass


def test_80_the_endpoint_still_scores(endpoint: str, dicom_file: bytes) -> None:
    assert post(dicom_file).json()["results"][0]["state"] == "SCORED"
