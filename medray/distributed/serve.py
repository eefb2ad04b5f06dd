"""The Serve endpoint: ``POST /v1/score`` with DICOM files, ``GET /healthz``. Replicas call ``Scorer.predict``."""

import asyncio
import hmac
import logging
import os
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import Field
from ray import serve
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from medray.bundles.bundle import open_bundle
from medray.bundles.scorer import Prediction
from medray.errors import ClusterError
from medray.spec import Spec
from medray.types import State

LOOPBACK = ("127.0.0.1", "localhost", "::1")


class ServeSpec(Spec):
    """Where the endpoint listens and what it accepts."""

    host: str = "127.0.0.1"
    port: int = Field(8000, ge=1, le=65535)
    replicas: int = Field(1, ge=1)
    batch: int = Field(16, ge=1, le=256, description="images scored together")
    max_files: int = Field(64, ge=1, description="files in one request")
    max_body_bytes: int = Field(256 << 20, ge=1, description="size of one request")
    max_held_bytes: int = Field(1 << 30, ge=1, description="bodies that a replica holds at one time")
    body_timeout_s: float = Field(30.0, gt=0, description="in which the whole body must arrive")
    request_timeout_s: float = Field(60.0, gt=0)


def token() -> str:
    """The bearer token that requests must carry: MEDRAY_SERVE_TOKEN, or what the file MEDRAY_SERVE_TOKEN_FILE holds, or ""."""
    if path := os.environ.get("MEDRAY_SERVE_TOKEN_FILE"):
        return Path(path).read_text().strip()
    return os.environ.get("MEDRAY_SERVE_TOKEN", "")


def start(bundle_uri: str, spec: ServeSpec) -> None:
    """Deploy the endpoint on the running Ray session and return once it answers.

    Raises:
        ClusterError: SERVE_OPEN for an address others can reach without a token; SERVE_FAILED.
        BundleError: the bundle cannot be opened.
    """
    if spec.host not in LOOPBACK and not token():
        raise ClusterError(
            "SERVE_OPEN", f"{spec.host} can be reached by others", "set MEDRAY_SERVE_TOKEN, or listen on 127.0.0.1"
        )
    fingerprint = open_bundle(bundle_uri).fingerprint
    logging.getLogger("ray.serve").setLevel(logging.ERROR)
    options = {"host": spec.host, "port": spec.port, "request_timeout_s": spec.request_timeout_s}
    try:
        serve.start(http_options=options, logging_config={"log_level": "ERROR", "enable_access_log": False})
        serve.run(application(bundle_uri, fingerprint, spec), name="medray", route_prefix="/")
    except RuntimeError as error:
        raise ClusterError("SERVE_FAILED", f"the endpoint did not start: {error}", "run again with --debug") from error


def application(bundle_uri: str, fingerprint: str, spec: ServeSpec) -> Any:
    """The Serve application of a bundle; a replica that finds one of another fingerprint there does not start."""
    api = FastAPI(title="medray", docs_url=None, redoc_url=None)

    @serve.deployment(
        num_replicas=spec.replicas,
        max_ongoing_requests=2 * max(spec.batch, spec.max_files),
        max_queued_requests=256,
        health_check_period_s=5,
        graceful_shutdown_timeout_s=10,
    )
    @serve.ingress(api)
    class Endpoint:
        def __init__(self) -> None:
            self._bundle = open_bundle(bundle_uri, fingerprint=fingerprint)
            self._token = token()
            self._bodies = Budget(max(spec.max_held_bytes, spec.max_body_bytes))

        @api.get("/healthz")
        async def healthz(self) -> dict[str, str]:
            return {"status": "ok", **self._identity()}

        @api.post("/v1/score")
        async def score(self, request: Request) -> JSONResponse:
            self._authorise(request)
            length_bytes = body_length(request.headers, spec.max_body_bytes)
            started = time.perf_counter()
            with self._bodies.taken(length_bytes):
                items = await _files(request, spec)
                answers = await asyncio.gather(*(self._predict(data) for _, data in items))
            columns = self._bundle.manifest.task.answer_columns
            results = [{"file": name, **_as_json(answer, columns)} for (name, _), answer in zip(items, answers, strict=True)]
            scored = any(answer.state == State.SCORED for answer in answers)
            body = {**self._identity(), "seconds": round(time.perf_counter() - started, 4), "results": results}
            return JSONResponse(body, status_code=200 if scored else 422)

        @serve.batch(max_batch_size=spec.batch, batch_wait_timeout_s=0.01)
        async def _predict(self, items: list[bytes]) -> list[Prediction]:
            return await asyncio.to_thread(self._bundle.predict, items)

        def _identity(self) -> dict[str, str]:
            return {"bundle": self._bundle.fingerprint, "model": self._bundle.manifest.name}

        def _authorise(self, request: Request) -> None:
            given = request.headers.get("authorization", "").removeprefix("Bearer ")
            if self._token and not hmac.compare_digest(given.encode(), self._token.encode()):
                raise HTTPException(401, "a bearer token is needed")

    return Endpoint.bind()  # type: ignore[attr-defined]


class Budget:
    """Bytes of request bodies that may be held at one time; for one event loop."""

    def __init__(self, limit_bytes: int) -> None:
        self._free_bytes = limit_bytes

    @contextmanager
    def taken(self, size_bytes: int) -> Iterator[None]:
        """Hold so many bytes.

        Raises:
            HTTPException: 503, the others hold too many.
        """
        if size_bytes > self._free_bytes:
            raise HTTPException(503, "too much is being scored", headers={"Retry-After": "5"})
        self._free_bytes -= size_bytes
        try:
            yield
        finally:
            self._free_bytes += size_bytes


def body_length(headers: Mapping[str, str], limit_bytes: int) -> int:
    """The length of a body that may be read; the rest is refused by its headers alone, with nothing read.

    The server reads no more of a body than its Content-Length says, so what is checked here is what is held.

    Raises:
        HTTPException: 411 no length, or chunks instead; 413 too long; 415 compressed, or not multipart/form-data.
    """
    length = headers.get("content-length", "")
    if not (length.isascii() and length.isdigit()) or "transfer-encoding" in headers:
        raise HTTPException(411, "a Content-Length is needed")
    if len(length) > 15 or int(length) > limit_bytes:
        raise HTTPException(413, f"at most {limit_bytes} bytes a request")
    if headers.get("content-encoding", "identity") != "identity":
        raise HTTPException(415, "send the request uncompressed")
    if not headers.get("content-type", "").startswith("multipart/form-data"):
        raise HTTPException(415, "send DICOM files as multipart/form-data")
    return int(length)


async def _files(request: Request, spec: ServeSpec) -> list[tuple[str, bytes]]:
    """(number in the request, content) of each file; names are the client's and never echoed."""
    try:
        async with asyncio.timeout(spec.body_timeout_s), request.form(max_files=spec.max_files, max_fields=0) as form:
            parts = [part for _, part in form.multi_items() if not isinstance(part, str)]
            items = [(str(number), await part.read()) for number, part in enumerate(parts)]
    except TimeoutError as error:
        raise HTTPException(408, f"the body did not arrive in {spec.body_timeout_s:g} s") from error
    except ClientDisconnect as error:
        raise HTTPException(400, "the body ended before its Content-Length") from error
    if not items:
        raise HTTPException(400, "no file in the request")
    return items


def _as_json(found: Prediction, columns: Sequence[str]) -> dict[str, Any]:
    """The outcome of a file as plain data; a mask is a PNG file in base64."""
    answer = {name: _plain(found.answer.get(name)) for name in columns}
    rest = {name: getattr(found, name) for name in ("sop_uid", "code", "message", "flags")}
    return {"state": found.state.value, **answer, **rest}


def _plain(value: Any) -> Any:
    return b64encode(value).decode() if isinstance(value, bytes) else value
