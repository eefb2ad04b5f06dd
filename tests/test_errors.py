"""Errors: one line with a code, the same after a journey between processes."""

from __future__ import annotations

import pickle  # what Ray and multiprocessing do with an exception that crosses a process

import pytest

from medray.errors import (
    BundleError,
    ClusterError,
    ConfigError,
    Excluded,
    InputError,
    LabelError,
    MedrayError,
    ModelError,
    Quarantined,
    RunError,
    StoreError,
)

KINDS = [BundleError, ClusterError, ConfigError, Excluded, LabelError, MedrayError, ModelError, Quarantined, RunError, StoreError]


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_is_one_line_with_code_and_hint(kind: type[MedrayError]) -> None:
    error = kind("SOME_CODE", "what\nis  wrong", "what\nto do")
    assert str(error) == "SOME_CODE: what is wrong (what to do)"
    assert str(kind("SOME_CODE", "what is wrong")) == "SOME_CODE: what is wrong"


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_crosses_processes_unchanged(kind: type[MedrayError]) -> None:
    error = kind("SOME_CODE", "message", "hint")
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is kind
    assert (back.code, back.message, back.hint) == ("SOME_CODE", "message", "hint")


def test_a_store_error_keeps_whether_trying_again_may_help() -> None:
    assert pickle.loads(pickle.dumps(StoreError("C", "m", retryable=True))).retryable
    assert not pickle.loads(pickle.dumps(StoreError("C", "m"))).retryable


def test_only_inputs_are_excluded_or_quarantined() -> None:
    assert issubclass(Excluded, InputError)
    assert issubclass(Quarantined, InputError)
    assert not issubclass(StoreError, InputError)
