"""Bundles that were edited, re-sealed, or signed by somebody else: what was recorded, and whose key it is, decides."""

from __future__ import annotations

import json
import shutil
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medray.bundles import registry
from medray.bundles.bundle import open_bundle
from medray.bundles.content import checked_folder
from medray.bundles.manifest import Manifest, digest_of, parse_manifest, read_manifest, write_bundle
from medray.bundles.signature import KEYS
from medray.cli import run
from medray.data import store
from medray.errors import BundleError, MedrayError
from medray.evaluation.thresholds import Threshold
from medray.runs.ensemble import EnsembleConfig, ensemble
from medray.tasks.binary import Binary
from medray.tasks.decision import Decision
from medray.work.score import score_job

DECISION = Decision(thresholds={"positive": Threshold(value=0.5, reason="a test")})
MANIFEST = Manifest(name="m", task=Binary(target="t"), decision=DECISION, family="xgb", params={}, input=None)


@pytest.fixture
def uri(tmp_path: Path) -> str:
    """A bundle with a file that no family reads: it is refused, if at all, before it is loaded."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.ubj").write_bytes(b"a model")
    write_bundle(MANIFEST, {"model": tmp_path / "model"}, str(tmp_path / "bundle"))
    return str(tmp_path / "bundle")


def test_what_a_killed_run_left_half_written_does_not_spoil_the_bundle_of_the_next(uri: str) -> None:
    half = Path(uri) / "model" / ".model.ubj.0123abcd.partial"
    half.write_bytes(b"a mo")
    manifest = read_manifest(uri)
    assert code(checked_folder(manifest.files, uri).__enter__) == "BUNDLE_ALTERED"
    write_bundle(MANIFEST, {"model": Path(uri).parent / "model"}, uri)
    with checked_folder(manifest.files, uri) as folder:
        assert [path.name for path in (folder / "model").iterdir()] == ["model.ubj"]


def edit(uri: str, *, seal: bool) -> None:
    """Raise the threshold so that nothing is positive any more."""
    raw = json.loads(store.read(f"{uri}/bundle.json"))
    raw["decision"]["thresholds"]["positive"]["value"] = raw["threshold"]["value"] = 0.9999
    store.write(f"{uri}/bundle.json", json.dumps({**raw, "digest": digest_of(raw)} if seal else raw).encode())


def code(function: Any, *args: Any, **named: Any) -> str:
    with pytest.raises(MedrayError) as caught:
        function(*args, **named)
    return caught.value.code


@pytest.mark.parametrize("field", ["decision", "threshold"])
def test_an_edited_threshold_is_refused(uri: str, field: str) -> None:
    raw = json.loads(store.read(f"{uri}/bundle.json"))
    threshold = raw[field] if field == "threshold" else raw[field]["thresholds"]["positive"]
    threshold["value"] = 0.9999
    store.write(f"{uri}/bundle.json", json.dumps(raw).encode())
    assert code(read_manifest, uri) == code(open_bundle, uri) == "BUNDLE_CHANGED"


def test_a_resealed_one_is_refused_where_it_was_recorded(uri: str, tmp_path: Path) -> None:
    known = read_manifest(uri).fingerprint()
    row = registry.Published(uri, known, "binary t", "binary", "t", "r", "m", "xgb", "auroc", 0.9)
    registry.publish(str(tmp_path / "out"), [row])
    out = str(tmp_path / "out")
    assert (registry.recorded(uri, out), registry.recorded(uri), registry.recorded("elsewhere", out)) == (known, None, None)
    edit(uri, seal=True)
    assert read_manifest(uri).fingerprint() != known
    assert code(open_bundle, uri, fingerprint=registry.recorded(uri, out)) == "BUNDLE_CHANGED"
    assert code(score_job, {"": uri}, fingerprints={uri: known}) == "BUNDLE_CHANGED"


@pytest.mark.parametrize(
    "command",
    [
        ["predict", "BUNDLE", "nowhere", "--out", "scores.csv", "--executor", "local"],
        ["evaluate", "BUNDLE", "--src", "nowhere", "--labels", "labels.csv", "--executor", "local"],
        ["serve", "BUNDLE"],
        ["bundle", "sign", "BUNDLE", "--key", "key"],
        ["registry", "promote", "BUNDLE"],
        ["registry", "promote", "BUNDLE", "--output", "elsewhere"],
    ],
)
def test_by_every_command(uri: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: list[str]) -> None:
    """The registry of the output that it lies under is asked, whether or not the command knows of an output."""
    place = str(tmp_path / "out" / "bundles" / "r" / "m")
    shutil.copytree(uri, place)
    row = registry.Published(place, read_manifest(place).fingerprint(), "binary t", "binary", "t", "r", "m", "xgb", "auroc", 0.9)
    registry.publish(str(tmp_path / "out"), [row])
    edit(place, seal=True)
    assert run([place if word == "BUNDLE" else word for word in command]) == 1
    assert "medray: BUNDLE_CHANGED: " in capsys.readouterr().err


@pytest.mark.parametrize("way", ["copied", "renamed", "linked"])
def test_an_output_that_was_moved_has_its_registry_still(
    way: str, uri: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = str(tmp_path / "out" / "bundles" / "r" / "m")
    shutil.copytree(uri, place)
    known = read_manifest(place).fingerprint()
    registry.publish(str(tmp_path / "out"), [registry.Published(place, known, "q", "binary", "t", "r", "m", "xgb", "auroc", 0.9)])
    edit(place, seal=True)
    if way == "linked":
        (tmp_path / "other").symlink_to(tmp_path / "out")
    elif way == "copied":
        shutil.copytree(tmp_path / "out", tmp_path / "other")
    else:
        (tmp_path / "out").rename(tmp_path / "other")
    moved = str(tmp_path / "other" / "bundles" / "r" / "m")
    assert registry.recorded(moved) == known
    assert registry.recorded(str(tmp_path / "other" / "bundles" / "s" / "m")) is None
    assert run(["predict", moved, "nowhere", "--out", "scores.csv", "--executor", "local"]) == 1
    assert "medray: BUNDLE_CHANGED: " in capsys.readouterr().err


def test_members_of_an_ensemble_are_those_that_were_recorded(uri: str, tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    registry.publish(
        out, [registry.Published(uri, read_manifest(uri).fingerprint(), "q", "binary", "t", "r", "m", "xgb", "auroc", 0.9)]
    )
    edit(uri, seal=True)
    config = EnsembleConfig(output=out, catalog="none", members=(uri, uri))
    assert code(ensemble, config) == "BUNDLE_CHANGED"


def test_what_is_checked_is_what_is_opened(uri: str) -> None:
    """Whoever writes to the bundle meanwhile."""
    with checked_folder(read_manifest(uri).files, uri) as folder:
        (Path(uri) / "model" / "model.ubj").write_bytes(b"other")
        assert (folder / "model" / "model.ubj").read_bytes() == b"a model"


def test_workers_open_what_was_checked(uri: str) -> None:
    job = score_job({"": uri})
    edit(uri, seal=True)
    assert code(job.open) == "BUNDLE_CHANGED"


def test_sign_verify_tamper(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mine, other = tmp_path / "mine", tmp_path / "other"
    for key in (mine, other):
        assert run(["bundle", "keygen", str(key)]) == 0
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert run(["bundle", "keygen", str(mine)]) == 1  # never overwritten
    monkeypatch.setenv(KEYS, f"{mine}.pub")
    assert code(read_manifest, uri) == code(score_job, {"": uri}) == "BUNDLE_UNSIGNED"
    assert run(["bundle", "sign", uri, "--key", str(other)]) == 0
    assert code(read_manifest, uri) == code(open_bundle, uri) == "BUNDLE_SIGNATURE"
    assert run(["bundle", "sign", uri, "--key", str(mine)]) == 0
    assert read_manifest(uri).name == "m"
    assert run(["bundle", "verify", uri, "--public-key", f"{mine}.pub"]) == 0
    assert run(["bundle", "verify", uri, "--public-key", f"{other}.pub"]) == 1
    edit(uri, seal=True)
    assert code(read_manifest, uri) == "BUNDLE_SIGNATURE"
    assert "BUNDLE_SIGNATURE" in capsys.readouterr().err


@pytest.mark.parametrize("content", [None, b"", b"no key", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"])
def test_a_broken_key_file_is_no_open_door(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None
) -> None:
    monkeypatch.setenv(KEYS, str(tmp_path / "keys"))
    if content is not None:
        (tmp_path / "keys").write_bytes(content)
    assert code(read_manifest, uri) == "BUNDLE_KEY"


@pytest.mark.parametrize("signature", [b"", b"!", b"\xff" * 2000, b"QUJD"])
def test_a_broken_signature(uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, signature: bytes) -> None:
    assert run(["bundle", "keygen", str(tmp_path / "key")]) == 0
    monkeypatch.setenv(KEYS, str(tmp_path / "key.pub"))
    (Path(uri) / "bundle.sig").write_bytes(signature)
    assert code(read_manifest, uri) == "BUNDLE_SIGNATURE"


@pytest.mark.parametrize("name", ["model/model.ubj", "bundle.sig", "model/more"])
def test_links_are_refused_though_their_content_is_right(uri: str, tmp_path: Path, name: str) -> None:
    path = Path(uri) / name
    if path.exists():
        path.rename(tmp_path / "kept")
    path.symlink_to(tmp_path / "kept")
    assert code(open_bundle, uri) == "BUNDLE_ALTERED"


def test_so_is_a_linked_manifest(uri: str, tmp_path: Path) -> None:
    (Path(uri) / "bundle.json").rename(tmp_path / "kept.json")
    (Path(uri) / "bundle.json").symlink_to(tmp_path / "kept.json")
    assert code(open_bundle, uri) == "BUNDLE_ALTERED"


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../x", "a//b", "bundle.json", "a\\b", "/".join("d" * 40)])
def test_names_that_lead_out(uri: str, name: str) -> None:
    raw = json.loads(store.read(f"{uri}/bundle.json"))
    raw["files"] = {name: "0" * 64}
    store.write(f"{uri}/bundle.json", json.dumps({**raw, "digest": digest_of(raw)}).encode())
    assert code(open_bundle, uri) == "BUNDLE_FORMAT"


SOUND = json.dumps({**MANIFEST.model_dump(mode="json"), "digest": MANIFEST.fingerprint()}).encode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe{}",
        b'{"a":' * 5000 + b"1" + b"}" * 5000,
        SOUND.replace(b'"params": {}', b'"params": {"a": ' + b"[" * 100 + b"]" * 100 + b"}"),
        SOUND.replace(b"0.5", b"NaN"),
        SOUND.replace(b'"metrics": {}', b'"metrics": {"a": 1e999}'),
        SOUND.replace(b'"name": "m"', b'"name": "m", "name": "m"'),
        SOUND.replace(b'"format": 3', b'"format": 2'),
        SOUND + b" " * (17 << 20),
        SOUND.replace(b'"params": {}', b'"params": {"a": ' + b"9" * 5000 + b"}"),
    ],
)
def test_manifests_that_nobody_writes(data: bytes) -> None:
    assert parse_manifest(SOUND, "b").name == "m"
    assert code(parse_manifest, data, "b") == "BUNDLE_FORMAT"


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(at=st.integers(0, len(SOUND) - 1), cut=st.integers(0, 20), put=st.binary(max_size=20))
def test_no_bytes_are_read_otherwise_or_raise_anything_else(at: int, cut: int, put: bytes) -> None:
    assert outcome(SOUND[:at] + put + SOUND[at + cut :]) in ("BUNDLE_FORMAT", "BUNDLE_CHANGED", parse_manifest(SOUND, "b"))


def outcome(data: bytes) -> str | Manifest:
    """The manifest in these bytes, or the code of the error."""
    try:
        return parse_manifest(data, "b")
    except BundleError as error:
        return error.code


def test_of_a_store_nothing_is_fetched_that_the_manifest_does_not_name(uri: str, s3: str) -> None:
    store.upload_folder(Path(uri), f"{s3}/b", last="bundle.json")
    with checked_folder(read_manifest(f"{s3}/b").files, f"{s3}/b") as folder:
        assert [path.name for path in folder.rglob("*.ubj")] == ["model.ubj"]
    store.write(f"{s3}/b/model/more", b"x")
    assert code(open_bundle, f"{s3}/b") == "BUNDLE_ALTERED"
    store.delete(f"{s3}/b/model/more")
    edit(f"{s3}/b", seal=False)
    assert code(open_bundle, f"{s3}/b") == "BUNDLE_CHANGED"
