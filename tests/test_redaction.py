"""Credentials inside URLs are never shown, and such URLs are refused as places of data."""

from __future__ import annotations

import logging
import pickle
import re
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from medray.cli import run
from medray.data import store
from medray.data.backends.troubles import store_error
from medray.errors import MedrayError, StoreError, refuse_password, shown
from medray.redaction import redacted

SECRET = st.text("abcXYZ019+/=%!$-_.~:@", min_size=1, max_size=30)


@given(scheme=st.sampled_from(["s3", "https", "dicomweb", "gs"]), user=st.text("AKIAxyz09", max_size=9), secret=SECRET)
def test_a_password_is_hidden_whatever_is_in_it(scheme: str, user: str, secret: str) -> None:
    assume(not re.match(r"\d{1,5}/", secret))  # host:port/
    url = f"{scheme}://{user}:{secret}k/7@host.example/a/b.dcm"
    assert redacted(f"cannot open {url}: refused") == f"cannot open {scheme}://***@host.example/a/b.dcm: refused"


@pytest.mark.parametrize(
    "url",
    [
        "s3://bucket/a:b@c.dcm",
        "http://127.0.0.1:9000/a@b",
        "http://[::1]:9000/a@b",
        "abfs://container@account.dfs.core.windows.net/x",
        "abfs://container@account.dfs.core.windows.net:443/a@b",
        "s3://bucket/x?versionId=1",
        "/tmp/a:b@c",
    ],
)
def test_what_is_no_secret_stays(url: str) -> None:
    assert redacted(f"see {url}, or user:name@example.org") == f"see {url}, or user:name@example.org"
    assert url in store.normalise(url)


@pytest.mark.parametrize("user", ["me:hu@sh", "me:@hush", "me@site.org:hush", "me@site.org:hu+sh", "me:hush@"])
def test_an_at_sign_in_a_password_or_a_user_hides_nothing_less(user: str) -> None:
    assert redacted(f"see https://{user}@pacs.example/a.dcm.") == "see https://***@pacs.example/a.dcm."
    assert redacted(f"see https://{user}@pacs.example/a@b.dcm.").startswith("see https://***@")
    with pytest.raises(StoreError, match="STORE_PASSWORD"):
        refuse_password(f"https://{user}@pacs.example/a")


def test_tokens_and_signatures_are_hidden() -> None:
    assert redacted("https://ghp_x@host/y") == "https://***@host/y"
    assert redacted("https://h/x?X-Amz-Signature=0a&part=1&sig=zz9%3D") == "https://h/x?X-Amz-Signature=***&part=1&sig=***"
    assert redacted("gs://b/x?X-Goog-Signature=0a&client_secret=b") == "gs://b/x?X-Goog-Signature=***&client_secret=***"


def test_what_is_cut_short_is_hidden_before(tmp_path: Path) -> None:
    """Half a password is not known for one."""
    url = f"https://me:hush{'x' * 300}@pacs.example"
    assert "hush" not in shown(f"see {url}")
    assert "hush" not in str(store_error(OSError(f"no answer from {url}"), "s3://bucket/a"))


def test_no_error_holds_a_secret() -> None:
    error = StoreError("STORE_FAILED", "no answer from https://me:hush@pacs.example/dicom", "look at http://me:hush@h/")
    for text in (
        str(error),
        repr(error),
        error.message,
        error.hint,
        *map(str, error.args),
        repr(pickle.loads(pickle.dumps(error))),
    ):
        assert "hush" not in text
    assert "https://***@pacs.example/dicom" in str(error)


@pytest.mark.parametrize("url", ["s3://AKIA1:hu/sh+x@bucket/archive", "https://AKIA1sh+x@host/archive"])
@pytest.mark.parametrize(
    "arguments",
    [
        ["ingest", "{url}/images", "--catalog", "/tmp/none"],
        ["catalog", "summary", "{url}"],
        ["predict", "/tmp/bundle", "{url}", "--out", "/tmp/x.csv"],
        ["train", "none.yaml", "--set", "catalog={url}"],
        ["no-such-command", "{url}"],
    ],
)
def test_a_command_refuses_a_url_with_a_password(url: str, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([word.format(url=url) for word in arguments]) == 1
    said = "".join(capsys.readouterr())
    assert said.startswith("medray: STORE_PASSWORD: ")
    assert "sh+x" not in said
    assert "AKIA1" not in said


def test_a_configuration_with_a_password_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = "preprocess: {steps: [{op: percentile}]}\nfeatures: {families: [{family: intensity}]}\n"
    places = f"output: {tmp_path}/out\ncatalog: 's3://AKIA1:hush@bucket/catalog'\n"
    (tmp_path / "extract.yaml").write_text(spec + places)
    assert run(["extract", "--config", str(tmp_path / "extract.yaml")]) == 1
    said = "".join(capsys.readouterr())
    assert "STORE_PASSWORD" in said
    assert "hush" not in said
    assert not any(b"hush" in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".yaml")


def test_progress_and_logs_hide_it_too(capsys: pytest.CaptureFixture[str]) -> None:
    from medray.cli.console import reporting

    with reporting() as reporter:
        logging.getLogger("medray").warning("read from https://me:hush@pacs.example")
        reporter.progress("list https://me:hush@pacs.example", 1, 1)
    said = capsys.readouterr().err
    assert "hush" not in said
    assert said.count("https://***@pacs.example") == 2


def test_every_kind_of_error_is_redacted() -> None:
    kinds = [MedrayError]
    for kind in kinds:
        kinds += kind.__subclasses__()
        assert "hush" not in repr(kind("X", "at https://me:hush@h/"))
    assert len(kinds) > 8
