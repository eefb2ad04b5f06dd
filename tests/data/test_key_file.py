"""The pseudonym key: where it is found, what is refused, and that it is made once and leaves nothing behind."""

from __future__ import annotations

import hashlib
import hmac
import os
import pickle
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from medray.data.key_file import KeyName, name_of, the_key
from medray.data.key_record import made_with, marked, require_one_key
from medray.data.labels import join_labels
from medray.data.pseudonym import Key, patient_key, using
from medray.errors import ConfigError
from medray.tasks.binary import Binary

SECRET = "0123456789abcdef-of-one-site"
pytestmark = pytest.mark.usefixtures("own")


@pytest.fixture
def key_file(tmp_path: Path) -> Callable[..., Path]:
    def write(content: str = SECRET, mode: int = 0o600, name: str = "site.key") -> Path:
        path = tmp_path / name
        path.write_text(content)
        path.chmod(mode)
        return path

    return write


def code(call: Callable[[], object]) -> str:
    with pytest.raises(ConfigError) as caught:
        call()
    assert SECRET not in str(caught.value)
    return caught.value.code


# --- made once -----------------------------------------------------------------------------------------------------------------


def test_a_key_is_made_once_for_its_owner_alone(own: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "medray")
    first = the_key()
    assert stat.S_IMODE(own.stat().st_mode) == 0o600
    assert stat.S_IMODE(own.parent.stat().st_mode) == 0o700
    assert [path.name for path in own.parent.iterdir()] == [own.name]
    assert the_key() == first
    assert len(first.secret) >= 32
    (said,) = caplog.messages
    assert str(own) in said
    assert first.secret.decode() not in said


def test_two_users_have_two_keys(own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = the_key()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "other"))
    assert the_key().id != first.id


def test_of_many_processes_that_make_a_key_at_once_all_get_one(own: Path) -> None:
    """Each waits for the others to be there, so that they are between finding none and making one together."""
    program = (
        "import sys, time; from pathlib import Path; from medray.data import key_file; "
        "Path(sys.argv[1], sys.argv[2]).touch(); "
        "exec('while len(list(Path(sys.argv[1]).iterdir())) < 6: time.sleep(0.001)'); "
        "print(key_file._made().id)"
    )
    ready = own.parents[2] / "ready"
    ready.mkdir()
    command = [sys.executable, "-c", program, str(ready)]
    running = [subprocess.Popen([*command, str(number)], stdout=subprocess.PIPE, text=True) for number in range(6)]
    found = {process.communicate(timeout=60)[0] for process in running}
    assert found == {the_key().id + "\n"}
    assert [path.name for path in own.parent.iterdir()] == [own.name]


def test_a_folder_that_cannot_hold_a_key_is_named(own: Path) -> None:
    own.parent.parent.parent.joinpath("state").write_text("a file")
    assert code(the_key) == "PSEUDONYM_KEY_INVALID"


def test_a_relative_folder_of_state_counts_for_nothing(own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or each folder that a command is started in had a key of its own."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_STATE_HOME", "state")
    monkeypatch.chdir(tmp_path)
    assert the_key().file == str(tmp_path / "home" / ".local" / "state" / "medray" / "pseudonym.key")


def test_a_place_that_cannot_even_be_looked_at_holds_no_key(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/" + "x" * 5000)
    assert code(the_key) == "PSEUDONYM_KEY_INVALID"
    assert code(lambda: the_key(made_with="0123456789abcdef")) == "PSEUDONYM_KEY_LOST"
    assert code(KeyName("0123456789abcdef", "/" + "y" * 5000).open) == "PSEUDONYM_KEY_MISSING"


# --- found ---------------------------------------------------------------------------------------------------------------------


def test_the_named_file_comes_before_the_environment_and_that_before_the_users(
    key_file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = the_key()
    monkeypatch.setenv("MEDRAY_PSEUDONYM_KEY", "a key in the environment")
    assert the_key().secret == b"a key in the environment"
    assert the_key(str(key_file())).secret == SECRET.encode()
    monkeypatch.delenv("MEDRAY_PSEUDONYM_KEY")
    monkeypatch.setenv("MEDRAY_PSEUDONYM_KEY_FILE", str(key_file()))
    assert the_key() == Key(SECRET.encode(), str(key_file()))
    monkeypatch.delenv("MEDRAY_PSEUDONYM_KEY_FILE")
    assert the_key() == made


def test_a_line_end_is_no_part_of_a_key(key_file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDRAY_PSEUDONYM_KEY", SECRET)
    assert the_key().id == the_key(str(key_file(SECRET + "\n"))).id


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o602, 0o610])
def test_a_file_that_others_may_touch_is_refused(key_file: Callable[..., Path], mode: int) -> None:
    path = key_file(mode=mode)
    assert code(lambda: the_key(str(path))) == "PSEUDONYM_KEY_INVALID"


@pytest.mark.parametrize("content", ["", "\n", " \n\t", "short", "x" * 15 + "\n", "x" * 5000])
def test_an_empty_short_or_endless_key_is_refused(
    key_file: Callable[..., Path], content: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = key_file(content)
    assert code(lambda: the_key(str(path))) == "PSEUDONYM_KEY_INVALID"
    monkeypatch.setenv("MEDRAY_PSEUDONYM_KEY", content)
    assert code(the_key) == "PSEUDONYM_KEY_INVALID"


def test_no_file_a_folder_and_two_keys_are_refused(
    key_file: Callable[..., Path], own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert code(lambda: the_key(str(tmp_path / "none.key"))) == "PSEUDONYM_KEY_INVALID"
    assert code(lambda: the_key(str(tmp_path))) == "PSEUDONYM_KEY_INVALID"
    monkeypatch.setenv("MEDRAY_PSEUDONYM_KEY", SECRET)
    monkeypatch.setenv("MEDRAY_PSEUDONYM_KEY_FILE", str(key_file()))
    assert code(the_key) == "PSEUDONYM_KEY_INVALID"
    assert not own.exists()


def test_a_lost_key_is_not_replaced(own: Path, key_file: Callable[..., Path]) -> None:
    made = the_key()
    own.unlink()
    assert code(lambda: the_key(made_with=made.id, where="/catalog")) == "PSEUDONYM_KEY_LOST"
    assert not own.exists()
    assert code(lambda: the_key(str(key_file()), made.id, "/catalog")) == "PSEUDONYM_KEYS"


# --- other processes -----------------------------------------------------------------------------------------------------------


def test_a_key_is_neither_printed_nor_sent(key_file: Callable[..., Path]) -> None:
    key = the_key(str(key_file()))
    assert SECRET not in repr(key) + str(key) + f"{[key]}"
    with pytest.raises(TypeError, match="KeyName"):
        pickle.dumps(key)
    sent = pickle.dumps(name_of(key))
    assert SECRET.encode() not in sent
    assert pickle.loads(sent).open() == key


def test_a_process_finds_the_key_where_it_is_for_it(
    key_file: Callable[..., Path], own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = Key(SECRET.encode())
    elsewhere = KeyName(key.id, str(tmp_path / "not" / "on" / "this" / "node.key"))
    assert code(elsewhere.open) == "PSEUDONYM_KEY_MISSING"
    own.parent.mkdir(parents=True)
    own.write_text(SECRET)
    own.chmod(0o600)
    assert elsewhere.open().id == key.id
    own.unlink()
    monkeypatch.setenv("MEDRAY_PSEUDONYM_KEY_FILE", str(key_file("another key, of another site")))
    assert code(elsewhere.open) == "PSEUDONYM_KEY_MISSING"
    monkeypatch.setenv("MEDRAY_PSEUDONYM_KEY_FILE", str(key_file()))
    assert elsewhere.open().id == key.id


# --- pseudonyms and their record -----------------------------------------------------------------------------------------------


def test_pseudonyms_are_hmacs_with_the_key_in_use() -> None:
    with using(Key(SECRET.encode())):
        assert patient_key("MRN-1") == hmac.new(SECRET.encode(), b"MRN-1", hashlib.sha256).hexdigest()[:16]
        with using(Key(b"another key, of another site")):
            inner = patient_key("MRN-1")
        assert inner != patient_key("MRN-1") != ""


def test_without_a_key_pseudonyms_are_of_one_process() -> None:
    program = (
        "from medray.data.pseudonym import patient_key as key; print(key('MRN-1') == key('MRN-1') != key('MRN-2'), key('MRN-1'))"
    )
    found = {subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout for _ in range(2)}
    assert len(found) == 2
    assert all(said.startswith("True ") for said in found)
    old = hmac.new(b"medray", b"MRN-1", hashlib.sha256).hexdigest()[:16]
    assert not any(old in said for said in found)


def test_the_identifier_of_a_key_is_no_pseudonym_and_no_part_of_it() -> None:
    key = Key(SECRET.encode())
    with using(key):
        assert key.id not in {patient_key("medray pseudonym key"), patient_key(SECRET)}
    assert key.id not in SECRET.encode().hex()
    assert key.id != Key(SECRET.encode() + b"x").id


def test_tables_of_two_keys_are_not_joined() -> None:
    columns = {"sop_uid": ["1"], "uri": ["a"], "study_uid": ["s"], "patient_key": ["p"]}
    instances, labels = marked(pa.table(columns), "one"), pa.table({"sop_uid": ["1"], "y": ["1"], "patient_key": ["p"]})
    task = Binary(target="y", positive="1")
    joined = join_labels(instances, marked(labels, "one"), task)
    assert made_with(joined.select(["group"]).schema) == "one"
    assert code(lambda: join_labels(instances, marked(labels, "two"), task)) == "PSEUDONYM_KEYS"
    assert code(lambda: join_labels(instances, labels, task)) == "PSEUDONYM_KEYS"
    assert len(join_labels(instances, labels.drop_columns("patient_key"), task)) == 1
    with pytest.raises(ConfigError, match=r"of a and b were made with two keys: the key one and an unknown key"):
        require_one_key(instances.schema, labels.schema, "a and b")


def test_the_environment_of_the_tests_names_no_key() -> None:
    assert not {"MEDRAY_PSEUDONYM_KEY", "MEDRAY_PSEUDONYM_KEY_FILE"} & set(os.environ)
