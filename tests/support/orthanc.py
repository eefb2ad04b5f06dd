"""A real DICOMweb server on loopback: Debian's Orthanc with its DICOMweb plugin."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from seaweed import free_ports

USER, PASSWORD = "medray", "medraypw"
PLUGINS = [
    "/usr/share/orthanc/plugins/libOrthancDicomWeb.so",
    "/usr/lib/orthanc/libOrthancDicomWeb.so",
]


def missing() -> str:
    """Why there can be no server on this machine, or an empty string."""
    if not shutil.which("Orthanc"):
        return "Orthanc is not installed"
    return "" if any(Path(path).exists() for path in PLUGINS) else "orthanc-dicomweb is not installed"


@contextmanager
def orthanc_running(folder: Path) -> Iterator[str]:
    """A server with its data in ``folder``; yields its URL without the trailing slash."""
    http_port, dicom_port = free_ports(2)
    (folder / "orthanc.json").write_text(
        json.dumps(
            {
                "StorageDirectory": str(folder / "db"),
                "IndexDirectory": str(folder / "db"),
                "HttpPort": http_port,
                "DicomPort": dicom_port,
                "RemoteAccessAllowed": False,
                "AuthenticationEnabled": True,
                "RegisteredUsers": {USER: PASSWORD},
                "Plugins": [next(path for path in PLUGINS if Path(path).exists())],
                "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
                "OverwriteInstances": True,
            }
        )
    )
    with (folder / "orthanc.log").open("w") as log:
        environment = {**os.environ, "TCP_NODELAY": "1"}
        server = subprocess.Popen(
            ["Orthanc", str(folder / "orthanc.json")], stdout=log, stderr=subprocess.STDOUT, env=environment
        )
    url = f"http://127.0.0.1:{http_port}"
    try:
        _wait(url, server, folder / "orthanc.log")
        yield url
    finally:
        server.kill()
        server.wait()


def request(url: str, data: bytes | None = None, method: str | None = None) -> bytes:
    """One request with the user's name."""
    secret = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    call = urllib.request.Request(url, data, {"Authorization": f"Basic {secret}"}, method=method)
    with urllib.request.urlopen(call, timeout=20) as answer:
        return bytes(answer.read())


def _wait(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            request(f"{url}/system")
            return
        except (urllib.error.URLError, OSError):
            if time.monotonic() > deadline or server.poll() is not None:
                raise RuntimeError(f"Orthanc did not start: {log.read_text()[-2000:]}") from None
            time.sleep(0.1)
