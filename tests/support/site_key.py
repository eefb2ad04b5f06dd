"""The pseudonym key of a site, in a file."""

from __future__ import annotations

from pathlib import Path

SECRET = "c2l0ZSBzZWNyZXQgb2YgdGhlIHRlc3Rz"


def key_file(folder: Path) -> str:
    """Write it, for its owner alone; returns the path."""
    path = folder / "site.key"
    path.write_text(SECRET)
    path.chmod(0o600)
    return str(path)
