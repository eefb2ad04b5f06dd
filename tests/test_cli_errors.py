"""What a user sees when something is wrong: one clear line on stderr, an exit code, no traceback."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from medray.cataloguing.ingest import ingest
from medray.cli import run
from medray.data import store
from medray.data.key_file import the_key

PROGRESS = re.compile(r"^[a-z ]+: \d+/\d+$")


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """``said(*arguments, code=1)`` runs a command that must end with that code; returns its one line.

    The key of pseudonyms is there already: the command that makes it says so in a line of its own.
    """
    the_key()

    def command(*arguments: str, code: int = 1) -> str:
        capsys.readouterr()
        assert run(list(arguments)) == code
        return one_line(capsys.readouterr().err)

    return command


def one_line(stderr: str) -> str:
    """The line of the command, the only one beside progress."""
    assert "Traceback" not in stderr
    (line,) = [line for line in stderr.splitlines() if not PROGRESS.match(line)]
    assert line.startswith("medray: ")
    return line


@pytest.fixture(scope="module")
def catalog(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    uri = str(tmp_path_factory.mktemp("cli") / "catalog")
    ingest(str(archive / "images"), uri, str(archive / "labels.csv"), keep=("finding", "malignant"))
    return uri


@pytest.fixture
def train(tiny_config: Path, catalog: str, tmp_path: Path, said: Callable[..., str]) -> Callable[..., str]:
    """``train(*overrides)`` is what ``medray train`` says when it must fail."""
    sets = ["--set", f"output={tmp_path / 'out'}", "--set", f"catalog={catalog}"]

    def command(*overrides: str) -> str:
        line = said("train", str(tiny_config), *sets, *(part for value in overrides for part in ("--set", value)))
        assert not (tmp_path / "out").exists()
        return line

    return command


# --- stores --------------------------------------------------------------------------------------------------------------------


def test_a_bucket_that_does_not_exist(s3: str, tmp_path: Path, said: Callable[..., str]) -> None:
    line = said("ingest", "s3://no-such-bucket/images", "--catalog", str(tmp_path / "c"))
    assert "STORE_NOT_FOUND: s3://no-such-bucket/images does not exist" in line


def test_an_empty_prefix(s3: str, tmp_path: Path, said: Callable[..., str]) -> None:
    (tmp_path / "empty").mkdir()
    assert "holds no objects" in said("ingest", str(tmp_path / "empty"), "--catalog", str(tmp_path / "c"))
    assert f"{s3}/nothing does not exist" in said("ingest", f"{s3}/nothing", "--catalog", str(tmp_path / "c"))


@pytest.fixture
def wrong_keys(s3: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The S3 prefix, with a secret that the server refuses; fsspec keeps one client for a process, so it is renewed."""
    client = type(store.filesystem(s3)[0])
    client.clear_instance_cache()
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-the-secret")
    yield s3
    client.clear_instance_cache()


def test_keys_that_the_store_refuses(wrong_keys: str, archive: Path, tmp_path: Path, said: Callable[..., str]) -> None:
    line = said("ingest", f"{wrong_keys}/images", "--catalog", str(tmp_path / "c"))
    assert "STORE_DENIED" in line
    assert "check the credentials" in line
    assert "not-the-secret" not in line
    assert "STORE_DENIED" in said("ingest", str(archive / "images"), "--catalog", f"{wrong_keys}/catalog")


def test_a_catalog_in_a_bucket_that_does_not_exist(s3: str, archive: Path, said: Callable[..., str]) -> None:
    line = said("ingest", str(archive / "images"), "--catalog", "s3://no-such-bucket/catalog")
    assert "no-such-bucket" in line


# --- labels --------------------------------------------------------------------------------------------------------------------


def test_labels_that_match_nothing(archive: Path, tmp_path: Path, said: Callable[..., str]) -> None:
    (tmp_path / "labels.csv").write_text("SOPInstanceUID,malignant\n1.2.3,1\n1.2.4,0\n")
    line = said("ingest", str(archive / "images"), "--catalog", str(tmp_path / "c"), "--labels", str(tmp_path / "labels.csv"))
    assert "LABELS_NO_MATCH" in line


def test_labels_without_a_key_or_a_file(archive: Path, tmp_path: Path, said: Callable[..., str]) -> None:
    (tmp_path / "labels.csv").write_text("id,malignant\n1,1\n")
    base = ("ingest", str(archive / "images"), "--catalog", str(tmp_path / "c"), "--labels")
    assert "name one of SOPInstanceUID" in said(*base, str(tmp_path / "labels.csv"))
    assert "STORE_NOT_FOUND" in said(*base, str(tmp_path / "none.csv"))


def test_labels_of_a_single_class(train: Callable[..., str]) -> None:
    line = train("labels.positive=7", "labels.others=negative")
    assert "LABELS_SINGLE_CLASS: all 120 labelled images are negative" in line
    assert "set labels.positive" in line


def test_labels_outside_the_stated_classes(train: Callable[..., str]) -> None:
    line = train("labels.target=finding", "labels.positive=malignant", "labels.negative=[benign]")
    assert "LABELS_UNKNOWN_CLASS" in line
    assert "labels in finding are no class: 'normal' (" in line
    assert "set others: negative" in line


def test_a_target_that_the_labels_do_not_have(train: Callable[..., str]) -> None:
    assert "no column 'malignat' (found sop_uid, patient_key, finding, malignant" in train("labels.target=malignat")


def test_training_without_a_catalog(train: Callable[..., str], tmp_path: Path) -> None:
    assert "CATALOG_NOT_FOUND" in train(f"catalog={tmp_path / 'none'}")


# --- configuration -------------------------------------------------------------------------------------------------------------


def test_a_configuration_that_is_not_there(tmp_path: Path, said: Callable[..., str]) -> None:
    for command in (["train"], ["tune", "--config"], ["screen", "--config"]):
        assert f"{tmp_path / 'none.yaml'} does not exist" in said(*command, str(tmp_path / "none.yaml"))


def test_a_configuration_that_is_no_yaml(tmp_path: Path, said: Callable[..., str]) -> None:
    (tmp_path / "bad.yaml").write_text("a: [1\nb: }")
    assert "is not valid YAML" in said("train", str(tmp_path / "bad.yaml"))


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("sede=1", "unknown setting sede, did you mean seed?"),
        ("models.xgb.params.max_dept=3", "unknown setting params.max_dept, did you mean max_depth?"),
        ("models.xgb.params.max_depth=99", "params.max_depth: 99 is not from 1 to 16"),
        (
            "models.xgb.family=tree",
            "there is no model family 'tree'; use one of xgb, svm, forest, logistic, ",
        ),
        ("inputs.table.preprocess.steps.0.op=persentile", "persentile"),
        ("seed", "is not of the form a.b=value"),
    ],
)
def test_a_wrong_setting(train: Callable[..., str], override: str, says: str) -> None:
    assert says in train(override)


# --- bundles -------------------------------------------------------------------------------------------------------------------


def test_a_bundle_that_is_not_there(archive: Path, tmp_path: Path, said: Callable[..., str]) -> None:
    images, bundle = str(archive / "images"), str(tmp_path / "none")
    assert "BUNDLE_NOT_FOUND" in said("predict", bundle, images, "--out", str(tmp_path / "out.csv"))
    labels = str(archive / "labels.csv")
    assert "BUNDLE_NOT_FOUND" in said("evaluate", bundle, "--src", images, "--labels", labels)
    assert "BUNDLE_NOT_FOUND" in said("serve", bundle)


def test_an_output_of_an_unknown_kind(archive: Path, tmp_path: Path, said: Callable[..., str]) -> None:
    line = said("predict", str(tmp_path), str(archive / "images"), "--out", str(tmp_path / "scores.xlsx"))
    assert "neither .parquet nor .csv" in line


def test_a_night_without_a_champion(archive: Path, tmp_path: Path, said: Callable[..., str]) -> None:
    (tmp_path / "screen.yaml").write_text(f"output: {tmp_path / 'out'}\nsource: {archive / 'images'}\n")
    assert "BUNDLE_NO_CHAMPION" in said("screen", "--config", str(tmp_path / "screen.yaml"))


# --- inputs --------------------------------------------------------------------------------------------------------------------


def test_a_corrupt_file_among_good_ones(archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in sorted((archive / "images").rglob("*.dcm"))[:3]:
        store.write(str(tmp_path / "images" / path.name), path.read_bytes())
    store.write(str(tmp_path / "images" / "cut.dcm"), path.read_bytes()[:-400])
    arguments = ["ingest", str(tmp_path / "images"), "--catalog", str(tmp_path / "catalog"), "--json"]
    assert run(arguments) == 3
    captured = capsys.readouterr()
    assert one_line(captured.err) == "medray: 1 inputs need attention (PIXELS_TRUNCATED 1); the rest is done"
    sums = json.loads(captured.out)
    assert (sums["objects"], sums["images"], sums["quarantined"]) == (4, 3, 1)
    assert run(arguments) == 3, "a second run does not hide it"


# --- the command itself --------------------------------------------------------------------------------------------------------


USAGE = [["nosuch"], ["ingest"], ["train", "a.yaml", "--nosuch"], ["serve", "b", "--port", "many"]]
KEPT_OF_NOTHING = [["ingest", "a", "--catalog", "b", "--keep", "y"], ["import", "a", "--out", "b", "--keep", "y"]]


@pytest.mark.parametrize("arguments", [*USAGE, *KEPT_OF_NOTHING])
def test_wrong_usage_is_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_debug_shows_where(tmp_path: Path) -> None:
    with pytest.raises(Exception, match=r"none\.yaml does not exist"):
        run(["train", str(tmp_path / "none.yaml"), "--debug"])


def test_in_a_process_of_its_own(medray: Callable[..., CompletedProcess[str]], s3: str, tmp_path: Path) -> None:
    done = medray("ingest", "s3://no-such-bucket/images", "--catalog", str(tmp_path / "c"), "--json")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert one_line(done.stderr).startswith("medray: STORE_NOT_FOUND: s3://no-such-bucket/images does not exist")


def test_a_fault_of_medray_is_one_line_without_its_text(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> None:
        raise LookupError("DOE^JANE")

    monkeypatch.setattr("medray.runs.predict.predict_source", broken)
    arguments = ["predict", "bundle", "images", "--out", "scores.csv"]
    assert run(arguments) == 1
    said = capsys.readouterr().err
    assert said == "medray: UNEXPECTED: LookupError (a fault of medray: --debug shows where)\n"
    with pytest.raises(LookupError):
        run([*arguments, "--debug"])
