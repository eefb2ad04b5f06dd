"""The endpoint, over HTTP."""

from __future__ import annotations

import gzip
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.exceptions import HTTPException

URL = "http://127.0.0.1:18766"
SECRET = "s3cret-Token"


SPEC = {"port": 18766, "max_files": 4, "max_body_bytes": 1_000_000, "body_timeout_s": 1.5}


@pytest.fixture(scope="module")
def endpoint(trained: Any, ray_session: None) -> Iterator[str]:
    from medray.distributed.serve import ServeSpec, start
    from medray.distributed.serving import take_down

    take_down()
    start(trained.bundles["xgb"].uri, ServeSpec(**SPEC))
    yield trained.bundles["xgb"].fingerprint
    take_down()


@pytest.fixture(scope="module")
def dicom_file(archive: Path) -> bytes:
    return next((archive / "images").rglob("*.dcm")).read_bytes()


def post(*files: bytes, **options: Any) -> httpx.Response:
    return httpx.post(
        f"{URL}/v1/score", files=[("files", (f"{n}.dcm", data)) for n, data in enumerate(files)], timeout=60, **options
    )


def test_a_port_that_something_listens_on_is_refused(trained: Any, ray_session: None) -> None:
    """Serve would share it with another Serve of the same user, and two models would answer by turns."""
    from medray.distributed.serve import ServeSpec, start
    from medray.distributed.serving import running, take_down
    from medray.errors import ClusterError

    take_down()
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(ClusterError) as caught:
            start(trained.bundles["xgb"].uri, ServeSpec(port=other.getsockname()[1]))
    assert caught.value.code == "SERVE_PORT"
    assert running() is None


def test_of_two_that_start_at_once_one_is_refused(trained: Any, ray_session: None, free_ports: Any) -> None:
    """Else the second one's model would answer at the first one's port, and both would say that they serve."""
    from medray.distributed.serve import ServeSpec, start
    from medray.distributed.serving import running, take_down
    from medray.errors import ClusterError

    def begin(port: int) -> str | ClusterError:
        try:
            return start(trained.bundles["xgb"].uri, ServeSpec(port=port))
        except ClusterError as error:
            return error

    take_down()
    with ThreadPoolExecutor(2) as threads:
        outcomes = list(threads.map(begin, free_ports(2)))
    assert [error.code for error in outcomes if isinstance(error, ClusterError)] == ["SERVE_RUNNING"], outcomes
    found = running()
    assert found is not None
    assert found.facts is not None
    assert found.facts.deployment in outcomes
    take_down()


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


# --- the token (these replace the endpoint, so they come last) -----------------------------------------------------------------


@pytest.fixture(scope="module")
def locked(trained: Any, endpoint: str) -> str:
    """Another model takes the endpoint's place, and asks for a token; returns its fingerprint."""
    from medray.distributed.serve import ServeSpec, start

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDRAY_SERVE_TOKEN", SECRET)
        start(trained.bundles["svm"].uri, ServeSpec(**SPEC), replace=True)
    return str(trained.bundles["svm"].fingerprint)


def test_a_second_endpoint_is_refused_with_the_name_of_the_first(trained: Any, endpoint: str, free_ports: Any) -> None:
    from medray.distributed.serve import ServeSpec, start
    from medray.errors import ClusterError

    for port in (18766, *free_ports(1)):
        with pytest.raises(ClusterError) as caught:
            start(trained.bundles["svm"].uri, ServeSpec(port=port))
        assert caught.value.code == "SERVE_RUNNING"
        assert f"tiny-xgb ({trained.bundles['xgb'].uri}) at {URL}" in caught.value.message
    assert httpx.get(f"{URL}/healthz", timeout=30).json()["bundle"] == endpoint


@pytest.mark.parametrize("header", [None, "", SECRET, "Bearer", "Bearer wrong", f"Basic {SECRET}", f"Bearer {SECRET}x"])
def test_a_request_without_the_token_is_refused(locked: str, dicom_file: bytes, header: str | None) -> None:
    refused = post(dicom_file, headers={} if header is None else {"Authorization": header})
    assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert "results" not in refused.json()


def test_the_token_is_read_before_the_body(locked: str) -> None:
    assert raw(head(1000), part(b"slow")) == 401


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_token_opens_in_any_case_of_its_scheme(locked: str, dicom_file: bytes, scheme: str) -> None:
    answer = post(dicom_file, headers={"Authorization": f"{scheme} {SECRET}"})
    assert (answer.status_code, answer.json()["bundle"]) == (200, locked)


def test_what_runs_is_found(trained: Any, locked: str) -> None:
    from medray.distributed.serving import running

    found = running()
    assert found is not None
    assert found.facts is not None
    assert (found.state, found.replicas, len(found.nodes)) == ("RUNNING", 1, 1)
    assert (found.facts.model, found.facts.url, found.facts.token) == ("tiny-svm", URL, True)
    assert found.facts.bundle == trained.bundles["svm"].uri
    assert SECRET not in found.model_dump_json()


def test_an_endpoint_is_taken_down_by_the_one_that_started_it(locked: str) -> None:
    from medray.distributed.serving import running, take_down

    assert not take_down("the one that was replaced")
    assert running() is not None


def test_a_replica_that_was_told_no_token_answers_nothing(trained: Any, locked: str, dicom_file: bytes) -> None:
    from medray.distributed import serving
    from medray.distributed.access import Access
    from medray.distributed.serve import ServeSpec, application

    spec = ServeSpec(**SPEC)
    untold = application(trained.bundles["xgb"].uri, spec, Access(), serving.Facts(deployment="untold"))
    serving.deploy(untold, spec, True, threading.Event())
    for header in ({}, {"Authorization": "Bearer"}, {"Authorization": f"Bearer {SECRET}"}):
        assert post(dicom_file, headers=header).status_code == 503
        assert httpx.get(f"{URL}/healthz", headers=header, timeout=30).status_code == 503
