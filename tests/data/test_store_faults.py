"""Trouble of the object store, made by a proxy in front of a real one: what passes is not seen, what stays is said."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from faulty_proxy import Proxy, faulty

from medray.data import archive, store
from medray.data.backends import listing
from medray.errors import StoreError

DATA = os.urandom(100_000)


@pytest.fixture
def proxy(s3_server: str, s3: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """The environment points at a proxy in front of the S3 server and asks for short patience."""
    with faulty(s3_server) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        monkeypatch.setenv("MEDRAY_STORE_RETRY_S", "3")
        monkeypatch.setenv("MEDRAY_STORE_TIMEOUT_S", "0.5")
        yield proxy


@pytest.fixture
def root(s3_server: str, s3: str) -> str:
    """A prefix with four objects."""
    for name in "abcd":
        store.write(f"{s3}/in/{name}", DATA)
    return f"{s3}/in"


@pytest.mark.parametrize("kind", ["busy", "error", "hang", "reset", "truncate"])
def test_what_passes_is_not_seen(root: str, proxy: Proxy, kind: str) -> None:
    proxy.script(kind, kind, part="list-type")
    found = store.list_objects(root)
    assert len(found) == 4
    proxy.script(kind, kind, part="in/b")
    assert store.read_many([info.uri for info in found], etags=[info.etag for info in found]) == [DATA] * 4
    proxy.script(kind, part="in/c")
    ranges = [(10, 2000)] * 4
    assert store.read_many([info.uri for info in found], ranges) == [DATA[10:2000]] * 4


@pytest.mark.parametrize(
    ("kind", "code", "retryable"),
    [
        ("busy", "STORE_BUSY", True),
        ("hang", "STORE_FAILED", True),
        ("truncate", "STORE_FAILED", True),
        ("denied", "STORE_DENIED", False),
        ("expired", "STORE_EXPIRED_TOKEN", False),
    ],
)
def test_what_stays_takes_its_own_place_only(
    root: str, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, kind: str, code: str, retryable: bool
) -> None:
    monkeypatch.setenv("MEDRAY_STORE_RETRY_S", "0.8")
    proxy.always(kind, "in/b")
    answers = store.read_many([f"{root}/{name}" for name in "abcd"])
    assert [answer == DATA for answer in answers] == [True, False, True, True]
    assert isinstance(answers[1], StoreError)
    assert (answers[1].code, answers[1].retryable) == (code, retryable)
    assert "medraytestsecret" not in str(answers[1])


def test_refusals_are_not_tried_again(root: str, proxy: Proxy) -> None:
    for kind, code in (("denied", "STORE_DENIED"), ("expired", "STORE_EXPIRED_TOKEN")):
        proxy.calm()
        proxy.always(kind)
        proxy.requests.clear()
        with pytest.raises(StoreError) as caught:
            store.list_objects(root)
        assert caught.value.code == code
        assert proxy.requests["GET"] == 1


def test_an_object_that_changed_or_went_since_it_was_listed(root: str) -> None:
    found = store.list_objects(root)
    store.write(found[1].uri, DATA[::-1])
    store.delete(found[2].uri)
    answers = store.read_many([info.uri for info in found], [(0, 10)] * 4, [info.etag for info in found])
    assert [answer.code if isinstance(answer, StoreError) else answer for answer in answers] == [
        DATA[:10],
        "OBJECT_CHANGED",
        "STORE_NOT_FOUND",
        DATA[:10],
    ]
    assert isinstance(answers[1], StoreError)
    assert answers[1].retryable


def test_no_credentials_are_said(s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    with pytest.raises(StoreError) as caught:
        store.read(f"{s3}/x")
    assert caught.value.code == "STORE_NO_CREDENTIALS"


def test_a_profile_gives_the_keys(root: str, tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]]
    path = f"{tmp_path}/credentials"
    with open(path, "w") as file:  # noqa: PTH123
        file.write(f"[hospital]\naws_access_key_id = {lines[0]}\naws_secret_access_key = {lines[1]}\n")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", path)
    monkeypatch.setenv("AWS_PROFILE", "hospital")
    assert store.read(f"{root}/a") == DATA


@pytest.mark.parametrize("value", ["soon", "0", "-1", "nan"])
def test_a_setting_that_is_no_time_is_refused(root: str, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("MEDRAY_STORE_RETRY_S", value)
    with pytest.raises(StoreError) as caught:
        store.read(f"{root}/a")
    assert caught.value.code == "STORE_SETTING"


def test_pages_are_in_order_and_whole_though_answers_break_off(s3: str, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "PAGE", 700)
    names = sorted([f"p{i:04d}/1" for i in range(2200)] + [f"p{i:04d}-2" for i in range(0, 2200, 50)])
    answers = store_all(f"{s3}/many", names)
    assert answers == len(names)
    proxy.script("truncate", part="list-type")
    proxy.script("truncate", part="continuation-token")
    pages = list(store.pages(f"{s3}/many"))
    assert [info.uri for page in pages for info in page] == [f"{s3}/many/{name}" for name in names]
    assert max(map(len, pages)) <= 700
    assert len(pages) > 3


def store_all(root: str, names: list[str]) -> int:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(16) as pool:
        return len(list(pool.map(lambda name: store.write(f"{root}/{name}", b"x"), names)))


def test_a_member_of_a_shard_that_cannot_be_fetched_takes_its_own_place_only(s3: str, proxy: Proxy) -> None:
    import io
    import tarfile

    for shard in ("one", "two"):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as file:
            header = tarfile.TarInfo("a.dcm")
            header.size = len(DATA)
            file.addfile(header, io.BytesIO(DATA))
        store.write(f"{s3}/in/{shard}.tar", out.getvalue())
    proxy.script("busy", "reset", "truncate")
    found = archive.list_objects(f"{s3}/in")
    proxy.always("denied", "two.tar")
    answers = archive.read_many([info.uri for info in found])
    assert answers[0] == DATA
    assert isinstance(answers[1], StoreError)
    assert answers[1].code == "STORE_DENIED"
