"""One way to every store: the same calls on local paths and on S3, and errors that say what to do."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError

from medray.data import store
from medray.data.backends import listing
from medray.errors import StoreError


@pytest.fixture(params=["local", "s3"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty place of a test's own."""
    return str(tmp_path) if request.param == "local" else str(request.getfixturevalue("s3"))


def code_of(error: pytest.ExceptionInfo[StoreError]) -> str:
    return error.value.code


def test_what_is_written_is_read(root: str) -> None:
    store.write(f"{root}/a/b.bin", b"first")
    store.write(f"{root}/a/b.bin", b"second")
    assert store.read(f"{root}/a/b.bin") == b"second"
    assert store.exists(f"{root}/a/b.bin")
    assert store.exists(f"{root}/a")
    assert not store.exists(f"{root}/a/c.bin")


def test_listing_is_recursive_sorted_and_complete(root: str) -> None:
    for name in ("z.bin", "a/2.bin", "a/1.bin", "a/deep/er.bin"):
        store.write(f"{root}/in/{name}", name.encode())
    found = store.list_objects(f"{root}/in/")
    assert [info.uri for info in found] == [f"{root}/in/{name}" for name in ("a/1.bin", "a/2.bin", "a/deep/er.bin", "z.bin")]
    assert [info.size for info in found] == [7, 7, 13, 5]
    assert store.read(found[0].uri) == b"a/1.bin"
    assert store.list_objects(f"{root}/in/z.bin") == [found[-1]]


def test_pages_are_in_the_order_of_the_uris(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "PAGE", 2)
    names = (
        ["a b", "a", "a/x/1", "a-b", "a.txt", "a/1", "a0", "ü", "z/2"]
        if "://" in root
        else ["a b", "a-b", "a.txt", "a/1", "a/x/1"]
    )
    for name in names:
        store.write(f"{root}/in/{name}", b"x" * (name != "a"))
    pages = list(store.pages(f"{root}/in"))
    assert [info.uri for page in pages for info in page] == sorted(f"{root}/in/{name}" for name in names)
    assert max(map(len, pages)) == 2


def test_a_server_that_lists_far_out_of_order_is_not_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "PAGE", 1)
    parts = [[store.ObjectInfo(uri, 1, "e")] for uri in ("s3://b/a/1", "s3://b/a-b", "s3://b/c")]
    pages = list(listing.in_order(iter(parts), "s3://b"))
    assert [page[0].uri for page in pages] == ["s3://b/a-b", "s3://b/a/1", "s3://b/c"]
    monkeypatch.setattr(listing, "HELD", 0)
    with pytest.raises(StoreError) as caught:
        list(listing.in_order(iter(parts), "s3://b"))
    assert code_of(caught) == "STORE_ORDER"


def test_other_protocols_are_served_too() -> None:
    for name in ("b", "a/1"):
        store.write(f"memory://here/{name}", name.encode())
    found = store.list_objects("memory://here")
    assert [info.uri.rsplit("/here/", 1)[1] for info in found] == ["a/1", "b"]
    assert store.read_many([info.uri for info in found], [(0, 1)] * 2) == [b"a", b"b"]
    store.delete("memory://here")


def test_what_changed_since_it_was_listed_is_not_read(root: str) -> None:
    for name in ("same", "other", "gone"):
        store.write(f"{root}/in/{name}", b"1")
    found = {info.uri.rsplit("/", 1)[1]: info for info in store.list_objects(f"{root}/in")}
    store.write(f"{root}/in/other", b"22")
    store.delete(f"{root}/in/gone")
    infos = [found["same"], found["other"], found["gone"]]
    answers = store.read_many([info.uri for info in infos], etags=[info.etag for info in infos])
    assert [answer.code if isinstance(answer, StoreError) else answer for answer in answers] == [
        b"1",
        "OBJECT_CHANGED",
        "STORE_NOT_FOUND",
    ]


def test_a_prefix_is_a_folder_and_not_a_beginning_of_names(root: str) -> None:
    store.write(f"{root}/images/1", b"1")
    store.write(f"{root}/images-old/2", b"2")
    assert [info.uri for info in store.list_objects(f"{root}/images")] == [f"{root}/images/1"]


def test_the_etag_changes_with_the_content(root: str) -> None:
    store.write(f"{root}/x", b"one")
    (before,) = store.list_objects(root)
    assert store.list_objects(root) == [before]
    store.write(f"{root}/x", b"two")
    (after,) = store.list_objects(root)
    assert (before.uri, before.size) == (after.uri, after.size)
    assert before.etag != after.etag


def test_many_reads_fail_one_by_one(root: str) -> None:
    store.write(f"{root}/x", b"0123456789")
    answers = store.read_many([f"{root}/x", f"{root}/missing", f"{root}/x"])
    assert answers[0] == answers[2] == b"0123456789"
    assert isinstance(answers[1], StoreError)
    assert answers[1].code == "STORE_NOT_FOUND"
    (single,) = store.read_many([f"{root}/missing"])
    assert isinstance(single, StoreError)
    assert store.read_many([]) == []


def test_ranges_of_objects(root: str) -> None:
    store.write(f"{root}/x", b"0123456789")
    answers = store.read_many([f"{root}/x", f"{root}/missing", f"{root}/x"], [(0, 3), (0, 3), (8, 10)])
    assert answers[0] == b"012"
    assert answers[2] == b"89"
    assert isinstance(answers[1], StoreError)


def test_what_is_not_there(root: str) -> None:
    for call in (store.read, store.list_objects):
        with pytest.raises(StoreError) as caught:
            call(f"{root}/nothing/here")
        assert code_of(caught) == "STORE_NOT_FOUND"
    assert store.names(f"{root}/nothing") == []
    store.delete(f"{root}/nothing")


def test_deleting_and_names(root: str) -> None:
    for name in ("keep/1", "drop/1", "drop/2"):
        store.write(f"{root}/t/{name}", b"x")
    assert store.names(f"{root}/t") == ["drop", "keep"]
    store.delete(f"{root}/t/drop")
    assert [info.uri for info in store.list_objects(f"{root}/t")] == [f"{root}/t/keep/1"]


def test_a_folder_goes_up_and_comes_back(root: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("folder")
    (folder / "deep").mkdir()
    (folder / "deep" / "a.txt").write_text("a")
    (folder / "manifest.json").write_text("{}")
    store.upload_folder(folder, f"{root}/up", last="manifest.json")
    with store.local_folder(f"{root}/up") as back:
        assert (back / "deep" / "a.txt").read_text() == "a"
        assert (back / "manifest.json").read_text() == "{}"


def test_an_empty_folder_holds_no_objects(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as caught:
        store.list_objects(str(tmp_path))
    assert code_of(caught) == "STORE_EMPTY"


def test_a_missing_bucket(s3: str) -> None:
    with pytest.raises(StoreError) as caught:
        store.list_objects("s3://no-such-bucket/images")
    assert code_of(caught) == "STORE_NOT_FOUND"


@pytest.fixture
def new_clients(s3: str) -> Iterator[None]:
    """fsspec keeps one client for a process; here one that reads the environment anew, and another one afterwards."""
    client = type(store.filesystem(s3)[0])
    client.clear_instance_cache()
    yield
    client.clear_instance_cache()


@pytest.mark.parametrize("call", [store.read, store.list_objects, store.exists])
@pytest.mark.usefixtures("new_clients")
def test_wrong_keys_are_refused(s3: str, monkeypatch: pytest.MonkeyPatch, call: object) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(StoreError) as caught:
        call(f"{s3}/x")  # type: ignore[operator]
    assert code_of(caught) == "STORE_DENIED"
    assert "wrong" not in str(caught.value)


def test_an_endpoint_that_does_not_answer_may_later() -> None:
    error = store.store_error(EndpointConnectionError(endpoint_url="http://127.0.0.1:1"), "s3://b/x")
    assert (error.code, error.retryable) == ("STORE_FAILED", True)


@pytest.mark.parametrize(
    ("error", "code", "retryable"),
    [
        (FileNotFoundError("x"), "STORE_NOT_FOUND", False),
        (PermissionError("Forbidden"), "STORE_DENIED", False),
        (NoCredentialsError(), "STORE_NO_CREDENTIALS", False),
        (ClientError({"Error": {"Code": "NoSuchBucket"}}, "ListObjectsV2"), "STORE_NOT_FOUND", False),
        (ClientError({"Error": {"Code": "SlowDown"}}, "GetObject"), "STORE_FAILED", True),
        (IsADirectoryError("x"), "STORE_NOT_A_FILE", False),
        (TimeoutError(), "STORE_FAILED", True),
        (OSError(28, "No space left on device"), "DISK_FULL", False),
        (OSError(110, "Connection timed out"), "STORE_FAILED", True),
    ],
)
def test_what_the_clients_raise_becomes_a_store_error(error: Exception, code: str, retryable: bool) -> None:
    with pytest.raises(StoreError) as caught, store.translated("s3://bucket/x"):
        raise error
    assert (caught.value.code, caught.value.retryable) == (code, retryable)
    assert "s3://bucket/x" in str(caught.value)


def test_an_unknown_protocol() -> None:
    with pytest.raises(StoreError) as caught:
        store.read("nosuch://x/y")
    assert code_of(caught) == "STORE_PROTOCOL"


def test_paths_become_absolute_and_lose_the_last_slash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert store.normalise("a/b/") == store.normalise(f"file://{tmp_path}/a/b") == str(tmp_path / "a" / "b")
    assert store.normalise("s3://bucket/a/") == "s3://bucket/a"
    assert store.join("s3://bucket/", "/a/", "b") == "s3://bucket/a/b"


def test_a_write_leaves_no_partial_file(tmp_path: Path) -> None:
    store.write(str(tmp_path / "x"), b"x" * 100_000)
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_links_to_files_are_objects(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "content").write_bytes(b"x")
    (tmp_path / "in" / "link").symlink_to(tmp_path / "content")
    (tmp_path / "in" / "dangling").symlink_to(tmp_path / "nothing")
    assert [Path(info.uri).name for info in store.list_objects(str(tmp_path / "in"))] == ["dangling", "link"]
    assert store.read(str(tmp_path / "in" / "link")) == b"x"


def test_a_link_to_a_pipe_or_a_folder_does_not_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a").symlink_to(tmp_path / "pipe")
    (tmp_path / "in" / "b").symlink_to(tmp_path)
    answers = store.read_many([info.uri for info in store.list_objects(str(tmp_path / "in"))])
    assert [answer.code for answer in answers if isinstance(answer, StoreError)] == ["STORE_NOT_A_FILE"] * 2


def test_folders_deeper_than_calls(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["d"] * 1200)
    for depth in range(0, 1201, 100):
        tmp_path.joinpath(*["d"] * depth).mkdir(parents=True, exist_ok=True)
    (deep / "x.dcm").write_bytes(b"x")
    (tmp_path / "d.dcm").write_bytes(b"x")
    try:
        found = [info.uri for info in store.list_objects(str(tmp_path))]
    finally:
        subprocess.run(["rm", "-rf", str(tmp_path / "d")], check=True)  # pytest's own way of removing it is too deep
    assert found == sorted([str(tmp_path / "d.dcm"), str(deep / "x.dcm")])


def test_a_link_that_leads_nowhere_is_an_object_by_itself_too(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    assert store.list_objects(str(loop)) == store.list_objects(str(tmp_path))
