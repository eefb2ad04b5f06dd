"""The bearer token of the endpoint: where it comes from, and whom it admits."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medray.distributed.access import Access, stated_token
from medray.errors import ConfigError

SECRET = "s3cret-Token.~+/=="


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR"])
def test_a_bearer_token_passes_in_any_case_of_its_scheme(scheme: str) -> None:
    assert Access.of(SECRET).admits(f"{scheme} {SECRET}")
    assert Access.of(SECRET).admits(f"{scheme}  {SECRET} ")


@pytest.mark.parametrize(
    "header",
    [
        *("", " ", "Bearer", "Bearer ", SECRET, f" {SECRET}", f"Basic {SECRET}", f"Token {SECRET}", f"BearerX {SECRET}"),
        *(f"Bearer {SECRET[:-1]}", f"Bearer {SECRET}x", f"Bearer {SECRET.upper()}", f"Bearer Bearer {SECRET}"),
        *(f"Bearer\t{SECRET}", f"Bearer {SECRET} {SECRET}", f"Bearer {SECRET},", "Bearer \udcff", f"Bearer {SECRET}\x00"),
    ],
)
def test_nothing_else_passes(header: str) -> None:
    assert not Access.of(SECRET).admits(header)


@given(st.text())
def test_no_text_passes_by_chance(header: str) -> None:
    assert not Access.of(SECRET).admits(header)
    assert not Access().admits(header)


def test_what_travels_is_not_the_token_and_differs_each_time() -> None:
    one, other = Access.of(SECRET), Access.of(SECRET)
    assert SECRET not in one.model_dump_json()
    assert one.salt != other.salt
    assert one.digest != other.digest
    assert not one.admits(f"Bearer {one.digest}"), "who reads the hash cannot send it"
    assert not one.admits(f"Bearer {one.salt}")


def test_an_access_that_was_told_nothing_admits_nobody() -> None:
    assert Access().locked
    assert not Access().admits("")
    assert not Access().admits("Bearer ")
    assert not Access(salt="00" * 16).admits("Bearer ")
    assert Access.of("").admits(""), "no token at all is said by open=True, never by what is missing"


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A file for the token, that MEDRAY_SERVE_TOKEN_FILE names."""
    monkeypatch.delenv("MEDRAY_SERVE_TOKEN", raising=False)
    monkeypatch.setenv("MEDRAY_SERVE_TOKEN_FILE", str(tmp_path / "token"))
    return tmp_path / "token"


def test_the_token_of_a_file_is_taken_without_its_line_end(told: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told.write_text(f"{SECRET}\n")
    assert stated_token() == SECRET
    monkeypatch.setenv("MEDRAY_SERVE_TOKEN", "another")
    assert stated_token() == SECRET
    monkeypatch.delenv("MEDRAY_SERVE_TOKEN_FILE")
    assert stated_token() == "another"
    monkeypatch.delenv("MEDRAY_SERVE_TOKEN")
    assert stated_token() == ""


def refused() -> str:
    with pytest.raises(ConfigError) as caught:
        stated_token()
    assert caught.value.code == "SERVE_TOKEN"
    return str(caught.value)


@pytest.mark.parametrize("content", [b"", b"\n", b" \t\r\n ", b"two words", b"two\nlines\n", b"\xff\xfe", "schlüssel".encode()])
def test_a_file_without_a_token_is_an_error_and_no_open_door(told: Path, content: bytes) -> None:
    told.write_bytes(content)
    assert "schl" not in refused()


def test_a_file_that_cannot_be_read_is_an_error(told: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "No such file" in refused()
    told.mkdir()
    assert "directory" in refused()
    monkeypatch.setenv("MEDRAY_SERVE_TOKEN_FILE", "")
    assert "names no file" in refused()


@pytest.mark.parametrize("value", ["", " ", "\n"])
def test_an_empty_variable_is_an_error(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.delenv("MEDRAY_SERVE_TOKEN_FILE", raising=False)
    monkeypatch.setenv("MEDRAY_SERVE_TOKEN", value)
    assert "gives no token" in refused()
