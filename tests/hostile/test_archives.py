"""Hostile shards: bombs (14) and members whose names or links lead outside (15). Nothing is unpacked to disk, nothing grows."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
import zstandard
from hostile.samples import mr, p

from medray.cataloguing.ingest import ingest
from medray.data.catalog import Catalog

MAX_GROWTH_MIB = 600  # one step of a zstd stream unpacks to 128 MiB at most
SCRIPT = """
import json, resource, sys
from medray.data.catalog import Catalog
from medray.cataloguing.ingest import ingest
good, bombs, catalog = sys.argv[1:]
ingest(good, catalog)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
ingest(bombs, catalog)
grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
rows = Catalog(catalog).to_arrow().select(["shard_uri", "state", "code"]).to_pylist()
print(json.dumps([grown, [[row["shard_uri"].rsplit("/", 1)[1], row["state"], row["code"]] for row in rows]]))
"""


def zipped(*members: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method, compresslevel=9) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return buffer.getvalue()


def tarred(*members: tarfile.TarInfo | tuple[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
            else:
                header = tarfile.TarInfo(member[0])
                header.size = len(member[1])
                archive.addfile(header, io.BytesIO(member[1]))
    return buffer.getvalue()


def link(name: str, target: str, kind: bytes) -> tarfile.TarInfo:
    header = tarfile.TarInfo(name)
    header.type, header.linkname = kind, target
    return header


def overlapping_zip() -> bytes:
    """Twenty entries of the directory that share the bytes of one member (as in D. Fifield's zip bombs)."""
    data = bytearray(zipped(("a.dcm", mr())))
    end = data.rindex(b"PK\x05\x06")
    start = data.index(b"PK\x01\x02")
    entry = bytes(data[start:end])
    many = b"".join(entry.replace(b"a.dcm", b"%c.dcm" % (ord("a") + number)) for number in range(20))
    tail = bytearray(data[end:])
    tail[8:12] = (20).to_bytes(2, "little") * 2
    tail[12:16] = len(many).to_bytes(4, "little")
    return bytes(data[:start]) + many + bytes(tail)


def lying_zip() -> bytes:
    """A member that says it unpacks to 9 bytes and unpacks to 64 MiB."""
    data = bytearray(zipped(("a.dcm", bytes(64 << 20))))
    for marker, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        at = data.index(marker) + offset
        data[at : at + 4] = (9).to_bytes(4, "little")
    return bytes(data)


def zstd_bomb() -> bytes:
    """A tar of one member of 8 GiB of zeros in about 300 KiB."""
    header = tarfile.TarInfo("zeros.dcm")
    header.size = 8 << 30
    frame = zstandard.ZstdCompressor(level=3)
    block = frame.compress(bytes(128 << 20))
    return frame.compress(header.tobuf(tarfile.GNU_FORMAT)) + block * 64 + frame.compress(bytes(1024))


BOMBS = {
    "ratio.zip": (zipped(("zeros.dcm", bytes(128 << 20))), {"ARCHIVE_BOMB"}),
    "lying.zip": (lying_zip(), {"ARCHIVE_BROKEN"}),
    "overlapping.zip": (overlapping_zip(), {"ARCHIVE_BOMB"}),
    "nested.zip": (zipped(("inner.zip", zipped(("zeros.dcm", bytes(64 << 20))))), {"DICOM_NOT_DICOM"}),
    "zeros.tar.zst": (zstd_bomb(), {"ARCHIVE_BOMB", "DICOM_NOT_DICOM"}),
}


def test_14_bombs_are_quarantined_before_memory_grows(tmp_path: Path) -> None:
    good, bombs = tmp_path / "good", tmp_path / "bombs"
    good.mkdir()
    bombs.mkdir()
    (good / "good.zip").write_bytes(zipped(("mr.dcm", mr())))
    for name, (content, _) in BOMBS.items():
        (bombs / name).write_bytes(content)
    command = [sys.executable, "-c", SCRIPT, str(good), str(bombs), str(tmp_path / "catalog")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.stdout, done.stderr
    grown_mib, rows = json.loads(done.stdout)
    found: dict[str, set[str]] = {}
    for name, state, code in rows:
        if name != "good.zip":
            found.setdefault(name, set()).add(code)
            assert state == "QUARANTINED" or (name == "overlapping.zip" and state == "IMAGE"), (name, state, code)
    assert {name: codes - {""} for name, codes in found.items()} == {name: codes for name, (_, codes) in BOMBS.items()}
    assert grown_mib < MAX_GROWTH_MIB


OUTSIDE = ("../evil.dcm", "a/../../evil.dcm", "/etc/evil.dcm", "C:\\evil.dcm", "..\\evil.dcm")


@pytest.mark.parametrize("name", ["evil.tar", "evil.tar.zst", "evil.zip"])
def test_15_members_that_lead_outside_are_quarantined(name: str, tmp_path: Path) -> None:
    members = [(outside, mr()) for outside in OUTSIDE]
    good = ("good/mr.dcm", p("dicomdirtests/77654033/CR1/6154"))
    if name.endswith(".zip"):
        content = zipped(good, *members)
        refused = len(OUTSIDE)
    else:
        links = [link("soft.dcm", "/etc/passwd", tarfile.SYMTYPE), link("hard.dcm", "../../x", tarfile.LNKTYPE)]
        device = link("device.dcm", "", tarfile.CHRTYPE)
        content = tarred(good, *members, *links, device)
        content = zstandard.ZstdCompressor().compress(content) if name.endswith(".zst") else content
        refused = len(OUTSIDE) + 3
    source = tmp_path / "archive" / "deep" / "source"
    source.mkdir(parents=True)
    (source / name).write_bytes(content)
    before = sorted(tmp_path.rglob("*"))
    sums = ingest(str(source), str(tmp_path / "catalog"))
    assert (sums.images, sums.quarantined, sums.reasons) == (1, refused, {"ARCHIVE_UNSAFE_MEMBER": refused})
    made = [path for path in tmp_path.rglob("*") if path not in before and tmp_path / "catalog" not in (path, *path.parents)]
    assert made == []
    rows = Catalog(str(tmp_path / "catalog")).to_arrow().to_pylist()
    assert all(row["state"] == ("IMAGE" if row["member"] == "good/mr.dcm" else "QUARANTINED") for row in rows)
