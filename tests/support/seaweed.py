"""A real S3 server on loopback: SeaweedFS from its package, with keys, for tests and benchmarks."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

KEY, SECRET = "medraytestkey", "medraytestsecret"
BUCKET = "imaging"


def free_ports(count: int) -> list[int]:
    """Ports that nothing listens on."""
    sockets = [socket.socket() for _ in range(count)]
    for item in sockets:
        item.bind(("127.0.0.1", 0))
    ports = [item.getsockname()[1] for item in sockets]
    for item in sockets:
        item.close()
    return ports


def s3_environment(endpoint: str) -> dict[str, str]:
    """The variables that a user sets for an S3-compatible store."""
    return {"AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": "us-east-1"}


@contextmanager
def s3_running(folder: Path) -> Iterator[str]:
    """A server with its data in ``folder`` and the bucket ``imaging``; yields the endpoint URL."""
    weed = shutil.which("weed") or str(Path(sys.executable).parent / "weed")
    s3_port, *ports = free_ports(8)
    with (folder / "weed.log").open("w") as log:
        server = subprocess.Popen([weed, *_options(folder, s3_port, ports)], stdout=log, stderr=subprocess.STDOUT)
    endpoint = f"http://127.0.0.1:{s3_port}"
    try:
        _wait_for_bucket(endpoint, folder / "weed.log")
        yield endpoint
    finally:
        server.kill()  # loses nothing that was acknowledged, and is quicker than SIGTERM
        server.wait()


def _options(folder: Path, s3_port: int, ports: list[int]) -> list[str]:
    actions = ["Admin", "Read", "List", "Write"]
    identity = {"name": "medray", "credentials": [{"accessKey": KEY, "secretKey": SECRET}], "actions": actions}
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    names = (
        "master.port",
        "master.port.grpc",
        "volume.port",
        "volume.port.grpc",
        "filer.port",
        "filer.port.grpc",
        "s3.port.grpc",
    )
    values: dict[str, object] = {
        "dir": folder,
        "ip": "127.0.0.1",
        "ip.bind": "127.0.0.1",
        "master.telemetry": "false",
        "master.electionTimeout": "1s",
        "master.volumeSizeLimitMB": 256,
        "volume.max": 50,
        "filer": "true",
        "filer.localSocket": folder / "filer.sock",
        "s3": "true",
        "s3.port": s3_port,
        "s3.port.iceberg": 0,
        "s3.port.lance": 0,
        "s3.localSocket": folder / "s3.sock",
        "s3.config": folder / "s3.json",
    }
    values |= dict(zip(names, ports, strict=True))
    return ["-logtostderr=true", "server", *(f"-{name}={value}" for name, value in values.items())]


def _wait_for_bucket(endpoint: str, log: Path) -> None:
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.session import Session

    config = Config(connect_timeout=2, read_timeout=5, retries={"max_attempts": 0})
    client = Session().create_client(
        "s3", region_name="us-east-1", endpoint_url=endpoint, aws_access_key_id=KEY, aws_secret_access_key=SECRET, config=config
    )
    deadline = time.monotonic() + 60
    while True:
        try:
            if BUCKET not in [item["Name"] for item in client.list_buckets()["Buckets"]]:
                client.create_bucket(Bucket=BUCKET)
            client.put_object(Bucket=BUCKET, Key="ready", Body=b"")
            client.delete_object(Bucket=BUCKET, Key="ready")
            return
        except (BotoCoreError, ClientError):
            if time.monotonic() > deadline:
                raise RuntimeError(f"SeaweedFS did not start: {log.read_text()[-2000:]}") from None
            time.sleep(0.2)
