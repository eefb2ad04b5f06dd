"""Configuration models: frozen, strict about names, and fingerprinted by content."""

from __future__ import annotations

import json
from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, ValidationError

from medray.spec import Spec, canonical_json, fields_of, fingerprint

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


class Inner(Spec):
    size: int = Field(3, ge=1, le=9)


class Outer(Spec):
    name: str = "a"
    weight: float = 0.5
    inner: Inner = Inner()


def test_a_spec_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Outer().name = "b"  # type: ignore[misc]


def test_unknown_fields_and_infinite_numbers_are_refused() -> None:
    with pytest.raises(ValidationError, match="nmae"):
        Outer.model_validate({"nmae": "b"})
    with pytest.raises(ValidationError, match="finite"):
        Outer(weight=float("nan"))
    with pytest.raises(ValidationError, match="less than or equal to 9"):
        Outer.model_validate({"inner": {"size": 10}})


def test_the_fingerprint_follows_from_the_content_alone() -> None:
    assert Outer().fingerprint() == Outer.model_validate({"inner": {"size": 3}, "weight": 0.5}).fingerprint()
    assert Outer().fingerprint() != Outer(inner=Inner(size=4)).fingerprint()
    assert len(Outer().fingerprint()) == 16


def test_the_fingerprint_is_the_same_in_every_release() -> None:
    assert fingerprint({"a": [1, 2.5, None, "é"]}) == "2a30e3d7f3e10ee1"


@given(PLAIN)
def test_canonical_json_reads_back_and_ignores_the_order_of_keys(value: object) -> None:
    text = canonical_json(value)
    assert json.loads(text) == value
    assert text.isascii()
    if isinstance(value, dict):
        assert canonical_json(dict(reversed(value.items()))) == text


def test_canonical_json_refuses_what_json_cannot_say() -> None:
    with pytest.raises(ValueError, match="JSON"):
        canonical_json(float("nan"))


class Described(Spec):
    op: Literal["described"] = "described"
    rows: int = Field(ge=1, lt=9, description="of the image")
    kind: Literal["a", "b"] = "b"
    box: tuple[float, float] | None = None
    radii: tuple[Annotated[int, Field(ge=1, le=8)], ...] = Field((1, 2), min_length=1, description="in pixels")
    inner: Inner = Inner()


def test_the_fields_of_a_spec_are_described() -> None:
    found = fields_of(Described)
    assert [field["name"] for field in found] == ["rows", "kind", "box", "radii", "inner"]
    assert [field["type"] for field in found] == ["integer", "a | b", "(number, number) or null", "list of integer", "Inner"]
    assert [field["range"] for field in found] == ["≥ 1, < 9", "", "", "at least 1, each ≥ 1, ≤ 8", ""]
    assert [field["required"] for field in found] == [True, False, False, False, False]
    assert [field["default"] for field in found] == [None, "b", None, [1, 2], {"size": 3}]
    assert [field["description"] for field in found] == ["of the image", "", "", "in pixels", ""]
