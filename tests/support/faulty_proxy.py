"""A proxy in front of an HTTP server (the S3 server of the tests, Orthanc) that makes trouble on demand.

    with faulty(endpoint) as proxy:
        proxy.script("busy", "busy")           # the next two requests get 503 SlowDown, then all is well
        proxy.always("reset", "/bad.dcm")      # every request whose path contains this is cut off
        proxy.latency_s = 0.02                 # before each answer

Kinds: busy (503), error (500), hang (no answer), reset, truncate (half of the body, then the connection closes), denied (403),
expired (400 ExpiredToken). Requests are passed on unchanged, Host included, because S3 signatures cover it.
"""

from __future__ import annotations

import http.client
import socket
import socketserver
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import unquote, urlsplit

ANSWERS = {
    "busy": (503, "SlowDown"),
    "error": (500, "InternalError"),
    "denied": (403, "AccessDenied"),
    "expired": (400, "ExpiredToken"),
}


class Proxy:
    """What the proxy does with the requests to come."""

    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        self.host, self.port = str(parts.hostname), int(parts.port or 80)
        self.latency_s = 0.0
        self.requests: Counter[str] = Counter()
        self.url = ""
        self._lock = threading.Lock()
        self._once: list[tuple[str, str]] = []
        self._always: list[tuple[str, str]] = []

    def script(self, *kinds: str, part: str = "", method: str = "GET") -> None:
        """Faults of the next requests, one each, whose path and query contain ``part``."""
        with self._lock:
            self._once += [(kind, f"{method} {part}") for kind in kinds]

    def always(self, kind: str, part: str = "", method: str = "GET") -> None:
        """The fault of every request whose path and query contain ``part``."""
        with self._lock:
            self._always.append((kind, f"{method} {part}"))

    def calm(self) -> None:
        """No more faults."""
        with self._lock:
            self._once, self._always, self.latency_s = [], [], 0.0

    def fault(self, method: str, path: str) -> str:
        """The fault of a request, or an empty string."""
        with self._lock:
            self.requests[method] += 1
            for position, (kind, key) in enumerate(self._once):
                if _meant(key, method, path):
                    del self._once[position]
                    return kind
            return next((kind for kind, key in self._always if _meant(key, method, path)), "")


def _meant(key: str, method: str, path: str) -> bool:
    wanted, _, part = key.partition(" ")
    return wanted == method and part in unquote(path)


class _Handler(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Server

    def handle(self) -> None:
        proxy = self.server.proxy
        upstream = http.client.HTTPConnection(proxy.host, proxy.port, timeout=60)
        try:
            while self._one(proxy, upstream):
                self.wfile.flush()
        except (OSError, http.client.HTTPException):
            pass
        finally:
            upstream.close()

    def _one(self, proxy: Proxy, upstream: http.client.HTTPConnection) -> bool:
        request = self.rfile.readline().decode("latin-1").split()
        if len(request) != 3:
            return False
        method, path, _ = request
        headers = http.client.parse_headers(self.rfile)
        kind = proxy.fault(method, path)
        time.sleep(proxy.latency_s)
        if kind == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            return False
        if kind == "hang":
            self.server.released.wait(20)
            return False
        if headers.get("Expect"):
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.wfile.flush()
            del headers["Expect"]
        body = self.rfile.read(int(headers.get("Content-Length") or 0))
        if kind in ANSWERS:
            return self._refuse(*ANSWERS[kind])
        upstream.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            upstream.putheader(name, value)
        upstream.endheaders(body or None)
        answer = upstream.getresponse()
        data = answer.read()
        length = int(answer.headers.get("Content-Length") or len(data)) if method == "HEAD" else len(data)
        skipped = {"content-length", "transfer-encoding", "connection"}
        lines = [f"{name}: {value}" for name, value in answer.headers.items() if name.lower() not in skipped]
        self._head(answer.status, answer.reason, [*lines, f"Content-Length: {length}"])
        self.wfile.write(data[: len(data) // 2] if kind == "truncate" else data)
        return kind != "truncate"

    def _refuse(self, status: int, code: str) -> bool:
        data = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>made by the proxy</Message></Error>".encode()
        self._head(status, code, ["Content-Type: application/xml", f"Content-Length: {len(data)}"])
        self.wfile.write(data)
        return True

    def _head(self, status: int, reason: str, lines: list[str]) -> None:
        self.wfile.write("\r\n".join([f"HTTP/1.1 {status} {reason}", *lines, "", ""]).encode("latin-1"))


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, proxy: Proxy) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.proxy, self.released = proxy, threading.Event()


@contextmanager
def faulty(target: str) -> Iterator[Proxy]:
    """A proxy in front of ``target`` on a free port; its address is ``proxy.url``."""
    proxy = Proxy(target)
    server = _Server(proxy)
    proxy.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        server.released.set()
        server.shutdown()
        server.server_close()
