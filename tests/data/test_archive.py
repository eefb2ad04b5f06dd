"""Shards: every member is found and read by ranges, every odd one has a row, and nothing is taken in silence."""

from __future__ import annotations

import io
import os
import random
import struct
import subprocess
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from medray.data import archive, store
from medray.data.archive import Member
from medray.data.shards import address, zstd
from medray.data.shards.address import Address
from medray.data.store import ObjectInfo
from medray.errors import Quarantined

LONG = "study/" + "long-name-" * 20 + "/ü 1.dcm"
CONTENTS = {
    "a.dcm": os.urandom(3000),
    "deep/er/b #1%.dcm": bytes(200_000),
    "deep/empty.dcm": b"",
    LONG: os.urandom(70_000),
    "last.dcm": b"x" * 1024 + os.urandom(513),
}


def tar_bytes(contents: Iterable[tuple[str, bytes]] = tuple(CONTENTS.items()), form: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as file:
        for name, data in contents:
            header = tarfile.TarInfo(name)
            header.size = len(data)
            file.addfile(header, io.BytesIO(data))
    return out.getvalue()


def zip_bytes(contents: Iterable[tuple[str, bytes]] = tuple(CONTENTS.items()), method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as file:
        for name, data in contents:
            file.writestr(name, data)
    return out.getvalue()


def frames(data: bytes, size: int = 50_000) -> bytes:
    """Several independent frames."""
    return b"".join(zstandard.compress(data[start : start + size]) for start in range(0, len(data), size))


MAKERS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "pax": ("s.tar", tar_bytes),
    "gnu": ("s.tar", lambda: tar_bytes(form=tarfile.GNU_FORMAT)),
    "zst": ("s.tar.zst", lambda: zstandard.compress(tar_bytes())),
    "frames": ("s.tzst", lambda: frames(tar_bytes())),
    "deflate": ("s.zip", zip_bytes),
    "stored": ("S.ZIP", lambda: zip_bytes(method=zipfile.ZIP_STORED)),
    "comment": ("s.zip", lambda: b"prefix" + zip_bytes()),
}


@pytest.fixture(params=["local", "s3"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path) if request.param == "local" else str(request.getfixturevalue("s3"))


def put(root: str, name: str, data: bytes) -> ObjectInfo:
    store.write(f"{root}/in/{name}", data)
    return next(info for info in store.list_objects(f"{root}/in") if info.uri.endswith(name))


def shard(root: str, kind: str) -> ObjectInfo:
    name, make = MAKERS[kind]
    return put(root, name, make())


def listed(root: str, name: str, data: bytes) -> list[Member]:
    return list(archive.members(put(root, name, data)))


def codes(found: list[Member]) -> list[str]:
    return [item.error.code if item.error else "" for item in found]


def read_again(found: list[Member]) -> list[str]:
    """What reading the addresses says: a code, or "" where there are bytes."""
    answers = archive.read_many([item.info.uri for item in found])
    return ["" if isinstance(answer, bytes) else answer.code for answer in answers]


@pytest.mark.parametrize("kind", MAKERS)
def test_every_member_is_listed_and_read(root: str, kind: str) -> None:
    info = shard(root, kind)
    found = list(archive.members(info))
    assert {item.name: item.info.size for item in found} == {name: len(data) for name, data in CONTENTS.items()}
    assert [item.info.uri for item in found] == sorted({item.info.uri for item in found})
    assert {item.info.etag for item in found} == {info.etag}
    assert {item.info.uri.split("#")[0] for item in found} == {info.uri}
    uris, etags = [item.info.uri for item in found], [info.etag] * len(found)
    wanted = [CONTENTS[item.name] for item in found]
    assert archive.read_many(uris, etags=etags) == wanted
    assert archive.read_many(uris[::-1]) == wanted[::-1]
    assert archive.read_many(uris, [(0, 1500)] * len(found), etags) == [data[:1500] for data in wanted]
    assert archive.read_many(uris, [(100_000, 10**9)] * len(found), etags) == [data[100_000:] for data in wanted]
    assert archive.read(uris[0]) == wanted[0]


def test_loose_objects_and_members_are_listed_together(root: str) -> None:
    put(root, "a/1.tar", tar_bytes())
    put(root, "b.dcm", b"loose")
    found = archive.list_objects(f"{root}/in")
    assert len(found) == len(CONTENTS) + 1
    assert found == sorted(found, key=lambda info: info.uri)
    assert sorted(map(len, archive.read_many([info.uri for info in found]))) == sorted([5, *map(len, CONTENTS.values())])


@pytest.mark.parametrize("kind", ["pax", "zst", "deflate"])
def test_a_shard_that_changed_or_vanished_is_noticed(root: str, kind: str) -> None:
    info = shard(root, kind)
    uris = [item.info.uri for item in archive.members(info)]
    store.write(info.uri, MAKERS[kind][1]() + b"\0" * 512)
    assert {str(getattr(answer, "code", "")) for answer in archive.read_many(uris, etags=[info.etag] * len(uris))} == {
        "OBJECT_CHANGED"
    }
    store.delete(info.uri)
    assert {str(getattr(answer, "code", "")) for answer in archive.read_many(uris)} == {"STORE_NOT_FOUND"}


@pytest.mark.parametrize("name", ["../up.dcm", "/etc/passwd", "a/../../b", "C:\\x.dcm", "..\\x", "..", "x/.."])
@pytest.mark.parametrize("make", [tar_bytes, zip_bytes])
def test_a_name_that_points_outside_has_a_row_and_is_not_read(
    tmp_path: Path, name: str, make: Callable[[Iterable[tuple[str, bytes]]], bytes]
) -> None:
    kind = "x.tar" if make is tar_bytes else "x.zip"
    found = listed(str(tmp_path), kind, make([("good", b"1"), (name, b"22")]))
    assert codes(found) == ["", "ARCHIVE_UNSAFE_MEMBER"] == read_again(found)
    assert found[1].name == name
    assert "/../" not in found[1].info.uri
    assert not found[1].info.uri.endswith("/..")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused_and_folders_are_no_members(tmp_path: Path, kind: bytes) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as file:
        for name, type_ in (("folder", tarfile.DIRTYPE), ("odd", kind)):
            header = tarfile.TarInfo(name)
            header.type, header.linkname = type_, "/etc/passwd"
            file.addfile(header)
        header = tarfile.TarInfo("good")
        header.size = 4
        file.addfile(header, io.BytesIO(b"good"))
    found = listed(str(tmp_path), "x.tar", out.getvalue())
    assert codes(found) == ["ARCHIVE_UNSAFE_MEMBER", ""] == read_again(found)


def test_a_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        link = zipfile.ZipInfo("link")
        link.external_attr = 0o120777 << 16
        file.writestr(link, "/etc/passwd")
        file.mkdir("folder")
    assert codes(listed(str(tmp_path), "x.zip", out.getvalue())) == ["ARCHIVE_UNSAFE_MEMBER"]


BROKEN_TARS = {
    "cut in a member": (lambda data: data[: len(data) - 12_000], 3),
    "without its end": (lambda data: data[: 512 * 7], 1),
    "damaged header": (lambda data: data[: 512 * 7] + b"\xff" * 512 + data[512 * 8 :], 1),
    "not a tar": (lambda data: b"no tar" * 1000, 0),
    "empty": (lambda data: b"", 0),
    "short": (lambda data: data[:300], 0),
}


@pytest.mark.parametrize("kind", BROKEN_TARS)
@pytest.mark.parametrize("packed", [False, True])
def test_members_before_the_damage_stay_and_the_shard_has_a_row(tmp_path: Path, kind: str, packed: bool) -> None:
    damage, good = BROKEN_TARS[kind]
    data = damage(tar_bytes())
    found = listed(str(tmp_path), "x.tar.zst" if packed else "x.tar", zstandard.compress(data) if packed else data)
    assert found[-1].info.uri == found[0].info.uri.split("#")[0]
    assert codes(found)[-1] == "ARCHIVE_BROKEN" == read_again(found)[-1]
    cut = ["ARCHIVE_BROKEN"] * (kind == "cut in a member")
    assert read_again(found)[:-1] == [""] * good + cut


def test_archives_put_one_after_the_other_lose_nothing(tmp_path: Path) -> None:
    found = listed(str(tmp_path), "x.tar", tar_bytes([("a", b"1")]) + tar_bytes([("b", b"2")]))
    assert [item.name for item in found] == ["a", "b"]
    assert codes(found) == ["", ""]


def test_a_size_below_zero_does_not_go_in_circles(tmp_path: Path) -> None:
    header = tarfile.TarInfo("a")
    block = bytearray(header.tobuf(tarfile.GNU_FORMAT))
    block[124:136] = b"\xff" * 10 + b"\xfc\x00"
    total = sum(block[:148]) + 8 * 32 + sum(block[156:])
    block[148:156] = b"%06o\0 " % total
    assert codes(listed(str(tmp_path), "x.tar", bytes(block) + bytes(1024)))[-1] == "ARCHIVE_BROKEN"


def test_a_header_that_states_gigabytes_of_name_is_not_read(tmp_path: Path) -> None:
    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 8 << 30
    data = header.tobuf(tarfile.GNU_FORMAT) + bytes(4096)
    assert codes(listed(str(tmp_path), "x.tar", data)) == ["ARCHIVE_BROKEN"]


def test_a_header_of_digits_does_not_take_for_ever(tmp_path: Path) -> None:
    header = tarfile.TarInfo("pax")
    header.type, header.size = tarfile.XHDTYPE, 1 << 20
    data = header.tobuf(tarfile.USTAR_FORMAT) + b"1" * header.size + bytes(1024)
    started = time.monotonic()
    assert codes(listed(str(tmp_path), "x.tar", data)) == ["ARCHIVE_BROKEN"]
    assert time.monotonic() - started < 5


def test_a_zst_that_needs_gigabytes_of_memory_is_refused(tmp_path: Path) -> None:
    settings = zstandard.ZstdCompressionParameters(window_log=30, strategy=1, hash_log=6, chain_log=6)
    packer = zstandard.ZstdCompressor(compression_params=settings).compressobj()
    data = packer.compress(tar_bytes()) + packer.flush()
    assert codes(listed(str(tmp_path), "x.tar.zst", data)) == ["ARCHIVE_BROKEN"]


def test_a_damaged_zst_keeps_what_was_before(tmp_path: Path) -> None:
    data = frames(tar_bytes(), 2048)
    found = listed(str(tmp_path), "x.tar.zst", data[: len(data) // 2] + b"\0" * 100)
    assert codes(found)[-1] == "ARCHIVE_BROKEN"
    assert found[0].name == "a.dcm"
    assert archive.read(found[0].info.uri) == CONTENTS["a.dcm"]


def test_a_zst_that_unpacks_without_end_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medray.data.shards.zstd.SMALL_BYTES", 1 << 20)
    bomb = zstandard.ZstdCompressor().compressobj()
    packed = b"".join(
        [bomb.compress(tar_bytes([("a", b"1")])), *(bomb.compress(bytes(1 << 20)) for _ in range(12)), bomb.flush()]
    )
    found = listed(str(tmp_path), "x.tar.zst", packed)
    assert codes(found)[-1] in ("ARCHIVE_BOMB", "ARCHIVE_BROKEN")


def patched(data: bytes, signature: bytes, offset: int, form: str, value: int) -> bytes:
    """Write a field of every local or central zip header."""
    out, at = bytearray(data), data.find(signature)
    while at >= 0:
        struct.pack_into(form, out, at + offset, value)
        at = data.find(signature, at + 4)
    return bytes(out)


LOCAL, CENTRAL = b"PK\x03\x04", b"PK\x01\x02"
ODD_ZIPS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "encrypted": (lambda data: patched(data, CENTRAL, 8, "<H", 1), "ARCHIVE_ENCRYPTED"),
    "bzip2": (lambda data: patched(data, CENTRAL, 10, "<H", 12), "ARCHIVE_METHOD"),
    "bomb": (lambda data: patched(data, CENTRAL, 24, "<I", 0xFFFF_FF00), "ARCHIVE_BOMB"),
    "longer than stated": (lambda data: patched(data, CENTRAL, 24, "<I", 40), ""),
    "bad checksum": (lambda data: patched(data, CENTRAL, 16, "<I", 7), ""),
    "no local header": (lambda data: data.replace(LOCAL, b"PK\x09\x09"), ""),
}


@pytest.mark.parametrize("kind", ODD_ZIPS)
def test_members_of_odd_zips(tmp_path: Path, kind: str) -> None:
    change, code = ODD_ZIPS[kind]
    found = listed(str(tmp_path), "x.zip", change(zip_bytes([("a", bytes(1000)), ("b", bytes(range(200)))])))
    assert codes(found) == [code, code]
    assert read_again(found) == [code or "ARCHIVE_BROKEN"] * 2


def test_members_that_share_bytes_are_a_bomb(tmp_path: Path) -> None:
    data = zip_bytes([("a", os.urandom(500)), ("b", os.urandom(500))])
    at = data.find(CENTRAL, data.find(CENTRAL) + 4)
    found = listed(str(tmp_path), "x.zip", data[: at + 42] + bytes(4) + data[at + 46 :])
    assert "ARCHIVE_BOMB" in codes(found)
    assert len({item.info.uri for item in found}) == 2


@pytest.mark.parametrize("data", [b"", b"PK", zip_bytes()[:-30], zip_bytes()[3000:], b"x" * 70_000])
def test_a_broken_zip_has_a_row(tmp_path: Path, data: bytes) -> None:
    found = listed(str(tmp_path), "x.zip", data)
    assert codes(found)[-1] == "ARCHIVE_BROKEN" or set(read_again(found)) != {""}


def test_zip64_is_read(tmp_path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file, file.open("big", "w", force_zip64=True) as member:
        member.write(CONTENTS["a.dcm"])
    found = listed(str(tmp_path), "x.zip", out.getvalue())
    assert archive.read(found[0].info.uri) == CONTENTS["a.dcm"]


def test_small_members_are_fetched_together(s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    info = put(s3, "x.tar", tar_bytes((f"{i:04d}", os.urandom(2000)) for i in range(500)))
    asked: list[int] = []
    real = store.read_many
    monkeypatch.setattr(store, "read_many", lambda uris, *rest: asked.append(len(uris)) or real(uris, *rest))
    found = list(archive.members(info))
    heads = archive.read_many([item.info.uri for item in found], [(0, 1000)] * 500, [info.etag] * 500)
    assert [len(head) for head in heads] == [1000] * 500
    assert sum(asked) < 12


def test_reading_a_zst_in_order_is_one_pass_and_going_back_a_little_is_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = put(str(tmp_path), "x.tar.zst", zstandard.compress(tar_bytes((f"{i:04d}", os.urandom(9000)) for i in range(400))))
    found = [item.info for item in archive.members(info)]
    opened: list[ObjectInfo] = []
    real = zstd.RangedFile
    monkeypatch.setattr(zstd, "RangedFile", lambda info: opened.append(info) or real(info))
    for start in range(0, 400, 50):
        uris = [item.uri for item in found[start : start + 50]]
        assert {len(head) for head in archive.read_many(uris, [(0, 100)] * 50)} == {100}
        assert {len(tail) for tail in archive.read_many(uris, [(8900, 9000)] * 50)} == {100}
    assert len(opened) == 2


def test_an_archive_inside_a_shard_is_a_member(tmp_path: Path) -> None:
    inner = zip_bytes()
    found = listed(str(tmp_path), "x.tar", tar_bytes([("inner.zip", inner)]))
    assert [item.name for item in found] == ["inner.zip"]
    assert archive.read(found[0].info.uri) == inner


names = st.text(st.characters(exclude_categories=["Cs"])) | st.binary().map(lambda raw: raw.decode("utf-8", "surrogateescape"))
sizes = st.integers(0, address.LAST_BYTE)


@given(
    st.builds(
        Address,
        st.sampled_from(["/a/b.tar", "s3://bucket/x y.zip", "memory://ü.tar.zst", "/odd#bytes=1/x.tar"]),
        sizes,
        sizes,
        names,
        st.sampled_from(["", "zstd", "stored", "deflate"]),
        st.none() | sizes,
        st.none() | st.integers(0, 2**32 - 1),
        st.none() | st.tuples(sizes, sizes),
        st.sampled_from(["", "ARCHIVE_BROKEN"]),
    )
)
def test_an_address_says_what_it_was_made_of(found: Address) -> None:
    text = str(found)
    assert address.parse(text) == found
    assert text.encode()
    assert text.isprintable() or not found.name.isprintable()
    assert not {"", ".", ".."} & set(text.removeprefix(found.shard).split("/")[1:]) or not found.name


@given(st.text())
def test_any_text_is_an_address_or_none(text: str) -> None:
    found = address.parse(text)
    assert found is None or address.parse(str(found)) == found


def mutated(data: bytes, seed: int) -> bytes:
    """Bits, lengths and whole stretches of a good shard changed."""
    draw, out = random.Random(seed), bytearray(data)
    for _ in range(draw.randint(1, 8)):
        at = draw.randrange(len(out))
        kind = draw.randrange(4)
        if kind == 0:
            out[at] = draw.randrange(256)
        elif kind == 1:
            out[at : at + 4] = draw.choice([b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff", b"\x80\0\0\0"])
        elif kind == 2:
            del out[at : at + draw.randint(1, min(600, len(out) - 1))]
        else:
            out[at:at] = draw.randbytes(draw.randint(1, 300))
    return bytes(out)


@pytest.mark.parametrize("kind", ["pax", "gnu", "frames", "deflate"])
def test_a_damaged_shard_ends_in_rows_that_can_be_read_or_are_quarantined(tmp_path: Path, kind: str) -> None:
    name, make = MAKERS[kind]
    good = make()
    for seed in range(150):
        found = listed(str(tmp_path), name, mutated(good, seed))
        uris = [item.info.uri for item in found]
        assert len(set(uris)) == len(uris), seed
        answers = archive.read_many(uris, etags=[item.info.etag for item in found])
        assert all(isinstance(answer, bytes | Quarantined) for answer in answers), seed


# --- what GNU tar makes --------------------------------------------------------------------------------------------------------

SPARSE = {
    "gnu": ["-S", "--format=gnu"],
    "pax 0.0": ["-S", "--format=posix", "--sparse-version=0.0"],
    "pax 0.1": ["-S", "--format=posix", "--sparse-version=0.1"],
    "pax 1.0": ["-S", "--format=posix", "--sparse-version=1.0"],
}


def holes(path: Path, parts: int, size: int = 8192) -> None:
    """A file of so many parts with holes between them; more than four parts need further headers in the old format."""
    with path.open("wb") as file:
        for number in range(parts):
            file.seek(number * 5 * size)
            file.write(os.urandom(size))
        file.truncate((parts * 5 + 1) * size)


needs_gnu_tar = pytest.mark.skipif(
    "GNU tar" not in subprocess.run(["tar", "--version"], capture_output=True, text=True).stdout, reason="tar is not GNU tar"
)


def gnu_tar(folder: Path, *options: str) -> bytes:
    shard = folder / "s.tar"
    command = ["tar", *options, "--sort=name", "-cf", str(shard), "-C", str(folder), "in"]
    subprocess.run(command, check=True)
    return shard.read_bytes()


@needs_gnu_tar
@pytest.mark.parametrize("options", SPARSE.values(), ids=SPARSE)
@pytest.mark.parametrize("name", ["s.tar", "s.tar.zst"])
@pytest.mark.parametrize("parts", [1, 3, 100])
def test_a_sparse_member_is_refused_and_the_others_are_read(tmp_path: Path, options: list[str], name: str, parts: int) -> None:
    """Its size in the header is that with the holes, which the archive does not hold."""
    inside = tmp_path / "made" / "in"
    inside.mkdir(parents=True)
    contents = {"a.dcm": os.urandom(3000), "c.dcm": os.urandom(700), LONG.split("/")[1] + "d.dcm": os.urandom(90_000)}
    for member, data in contents.items():
        (inside / member).write_bytes(data)
    for member in ("b.dcm", "z.dcm"):
        holes(inside / member, parts)
    made = gnu_tar(inside.parent, *options)
    info = put(str(tmp_path), name, frames(made) if name.endswith("zst") else made)
    found = list(archive.members(info))
    expected = {f"in/{member}": "" for member in contents} | {"in/b.dcm": "ARCHIVE_METHOD", "in/z.dcm": "ARCHIVE_METHOD"}
    assert dict(zip([item.name for item in found], codes(found), strict=True)) == expected
    assert read_again(found) == codes(found)
    good = [item for item in found if item.error is None]
    assert archive.read_many([item.info.uri for item in good]) == [contents[item.name[3:]] for item in good]
    assert [item.info.uri for item in found] == sorted(item.info.uri for item in found)
    assert sum(item.info.size for item in found) < len(made)


@needs_gnu_tar
@pytest.mark.parametrize("options", SPARSE.values(), ids=SPARSE)
def test_a_shard_that_is_cut_in_a_sparse_member_is_broken(tmp_path: Path, options: list[str]) -> None:
    inside = tmp_path / "made" / "in"
    inside.mkdir(parents=True)
    (inside / "a.dcm").write_bytes(b"1234")
    holes(inside / "b.dcm", 100)
    made = gnu_tar(inside.parent, *options)
    for length in (len(made) // 2, 5000):
        found = listed(str(tmp_path), f"{length}.tar", made[:length])
        assert [item.name for item in found][:1] == ["in/a.dcm"]
        assert codes(found)[0] == ""
        assert codes(found)[-1] == "ARCHIVE_BROKEN"
        assert set(codes(found)[1:]) <= {"ARCHIVE_BROKEN", "ARCHIVE_METHOD"}


@needs_gnu_tar
@pytest.mark.parametrize("form", ["v7", "ustar", "gnu", "posix"])
def test_every_format_of_gnu_tar_is_read(tmp_path: Path, form: str) -> None:
    inside = tmp_path / "made" / "in" / ("n" * 50)
    inside.mkdir(parents=True)
    names = ["a.dcm", "b.dcm", "m" * (30 if form in ("v7", "ustar") else 200) + ".dcm"]
    contents = {name: os.urandom(1000 + len(name)) for name in names}
    for name, data in contents.items():
        (inside / name).write_bytes(data)
    (inside / "hard.dcm").hardlink_to(inside / "a.dcm")
    (inside / "soft.dcm").symlink_to("a.dcm")
    made = gnu_tar(tmp_path / "made", f"--format={form}")
    found = listed(str(tmp_path), "s.tar", made)
    read = {item.name.rsplit("/", 1)[1]: archive.read(item.info.uri) for item in found if item.error is None}
    assert read == contents
    refused = {item.name.rsplit("/", 1)[1] for item in found if item.error is not None}
    assert (refused, set(codes(found))) == ({"hard.dcm", "soft.dcm"}, {"", "ARCHIVE_UNSAFE_MEMBER"})


def test_a_map_of_holes_without_end_is_broken_and_costs_nothing(tmp_path: Path) -> None:
    """The old format chains its maps; PAX 1.0 says how long its own is, which is not read."""
    header = tarfile.TarInfo("b.dcm")
    header.type, header.size = tarfile.GNUTYPE_SPARSE, 512
    block = bytearray(header.tobuf(tarfile.GNU_FORMAT))
    block[482] = 1  # further maps follow
    block[148:156] = b"%06o\0 " % (sum(block[:148]) + sum(block[156:]) + 8 * 32)
    assert codes(listed(str(tmp_path), "chain.tar", bytes(block) + (bytes(504) + b"\x01" + bytes(7)) * 100)) == ["ARCHIVE_BROKEN"]
    plain = tarfile.TarInfo("GNUSparseFile.1/b.dcm")
    plain.size = 1024
    plain.pax_headers = {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.name": "b.dcm",
        "GNU.sparse.realsize": "9" * 12,
    }
    last = tarfile.TarInfo("c.dcm")
    last.size = 3
    data = plain.tobuf(tarfile.PAX_FORMAT) + b"9" * 15 + b"\n" + bytes(1024 - 16)
    found = listed(str(tmp_path), "map.tar", data + last.tobuf() + b"abc".ljust(512, b"\0") + bytes(1024))
    assert [item.name for item in found] == ["b.dcm", "c.dcm"]
    assert codes(found) == ["ARCHIVE_METHOD", ""]
