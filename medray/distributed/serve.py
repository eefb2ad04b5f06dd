"""The Serve endpoint: ``POST /v1/score`` with DICOM files, ``GET /healthz``. Replicas call ``Scorer.predict``."""

import asyncio
import secrets
import threading
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import Field
from ray import serve
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from medray.bundles.bundle import open_bundle
from medray.bundles.scorer import Prediction
from medray.distributed import serving
from medray.distributed.access import Access, stated_token
from medray.distributed.serving import EVERY_INTERFACE, LOOPBACK, Facts
from medray.errors import ClusterError
from medray.spec import Spec
from medray.types import State


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


def start(
    bundle_uri: str,
    spec: ServeSpec,
    fingerprint: str | None = None,
    *,
    replace: bool = False,
    stop: threading.Event | None = None,
) -> str:
    """Deploy the endpoint on the running Ray session and return once it answers, or ``stop`` is set.

    Args:
        fingerprint: of the bundle that was checked; no other is opened.

    Returns:
        The name of this deployment, for :func:`medray.distributed.serving.take_down`.

    Raises:
        ClusterError: SERVE_OPEN for an address others can reach without a token; SERVE_RUNNING, SERVE_PORT, SERVE_FAILED.
        ConfigError: SERVE_TOKEN.
        BundleError: the bundle cannot be opened.
    """
    access = Access.of(stated_token())
    _check_open(spec, access)
    fingerprint = open_bundle(bundle_uri, fingerprint=fingerprint).fingerprint
    everywhere = access.locked and spec.host in (*LOOPBACK, *EVERY_INTERFACE)
    facts = Facts(
        deployment=secrets.token_hex(8),
        bundle=bundle_uri,
        bundle_fingerprint=fingerprint,
        host=spec.host,
        port=spec.port,
        everywhere=everywhere,
        request_timeout_s=spec.request_timeout_s,
    )
    with serving.one_at_a_time(), ExitStack() as undo:
        serving.make_way(spec, everywhere, replace)
        undo.callback(serving.take_down, facts.deployment)
        serving.deploy(application(bundle_uri, spec, access, facts), spec, everywhere, stop or threading.Event())
        undo.pop_all()
    return facts.deployment


def _check_open(spec: ServeSpec, access: Access) -> None:
    """Without a token the endpoint listens where only this machine reaches it; each node of a cluster has its own loopback."""
    hint = "set MEDRAY_SERVE_TOKEN, or serve on 127.0.0.1 of this machine alone"
    if access.locked:
        return
    if spec.host not in LOOPBACK:
        raise ClusterError("SERVE_OPEN", f"{spec.host} can be reached by others", hint)
    if not serving.alone():
        raise ClusterError("SERVE_OPEN", "the cluster has other machines, whose users could reach the endpoint", hint)


def application(bundle_uri: str, spec: ServeSpec, access: Access, facts: Facts) -> Any:
    """The Serve application of a bundle; ``facts`` is what is known of it before it runs.

    A replica that finds a bundle of another fingerprint there does not start.
    """
    api = FastAPI(title="medray", docs_url=None, redoc_url=None, openapi_url=None)

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
            self._bundle = open_bundle(bundle_uri, fingerprint=facts.bundle_fingerprint or None)
            self._access = access if access.locked else Access.of(stated_token())  # a node may ask for one of its own
            self._bodies = Budget(max(spec.max_held_bytes, spec.max_body_bytes))

        @api.get("/healthz")
        async def healthz(self) -> dict[str, str]:
            check_told(self._access)
            return {"status": "ok", **self._identity()}

        @api.post("/v1/score")
        async def score(self, request: Request) -> JSONResponse:
            authorise(self._access, request.headers)
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

        async def facts(self) -> dict[str, Any]:
            """For other processes of the cluster, not over HTTP."""
            model, fingerprint = self._bundle.manifest.name, self._bundle.fingerprint
            return {**facts.model_dump(), "model": model, "bundle_fingerprint": fingerprint, "token": self._access.locked}

        def _identity(self) -> dict[str, str]:
            return {"bundle": self._bundle.fingerprint, "model": self._bundle.manifest.name}

    return Endpoint.bind()  # type: ignore[attr-defined]


def check_told(access: Access) -> None:
    """A replica that was not told whom to admit answers nothing.

    Raises:
        HTTPException: 503.
    """
    if access.locked and not access.digest:
        raise HTTPException(503, "the endpoint was deployed without its token")


def authorise(access: Access, headers: Mapping[str, str]) -> None:
    """Let a request pass, or not.

    Raises:
        HTTPException: 401, it carries no bearer token or another one; 503, as :func:`check_told`.
    """
    check_told(access)
    if not access.admits(headers.get("authorization", "")):
        raise HTTPException(401, "a bearer token is needed", headers={"WWW-Authenticate": "Bearer"})


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
