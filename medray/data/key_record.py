"""Which key made the pseudonyms of a table: its identifier stands in the metadata of the columns that hold them."""

from __future__ import annotations

import pyarrow as pa

from medray.errors import ConfigError

COLUMNS = ("patient_key", "group")
"""Columns of pseudonyms: of a patient, and of whom or what an image is grouped by."""

_KEY = b"medray.pseudonym_key"


def marked_schema(schema: pa.Schema, key_id: str | None) -> pa.Schema:
    """The schema with the identifier of the key; as it is where None made it."""
    if key_id is None:
        return schema
    return pa.schema(
        [
            field.with_metadata({**(field.metadata or {}), _KEY: key_id.encode()}) if field.name in COLUMNS else field
            for field in schema
        ],
        schema.metadata,
    )


def marked(table: pa.Table, key_id: str | None) -> pa.Table:
    """The table with the identifier of the key that made its pseudonyms."""
    return table.cast(marked_schema(table.schema, key_id))


def made_with(schema: pa.Schema) -> str | None:
    """Identifier of the key that made the pseudonyms of a table; None where none is recorded, or there are none."""
    found = next((value for field in schema if (value := (field.metadata or {}).get(_KEY))), None)
    return None if found is None else found.decode()


def require_one_key(one: pa.Schema, other: pa.Schema, what: str) -> None:
    """Check that the pseudonyms of two tables were made with one key, or patients of the one would never be found in the other.

    Args:
        what: the two tables, for the message.

    Raises:
        ConfigError: PSEUDONYM_KEYS.
    """
    if _holds_any(one) and _holds_any(other) and made_with(one) != made_with(other):
        keys = " and ".join(f"the key {made_with(schema)}" if made_with(schema) else "an unknown key" for schema in (one, other))
        hint = "make both with one key (--pseudonym-key-file), or keep them apart"
        raise ConfigError("PSEUDONYM_KEYS", f"the pseudonyms of {what} were made with two keys: {keys}", hint)


def _holds_any(schema: pa.Schema) -> bool:
    return any(field.name in COLUMNS for field in schema)
