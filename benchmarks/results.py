"""RESULTS.md: each benchmark writes its own section, with the date and the machine."""

from __future__ import annotations

import os
import platform
import re
from datetime import date
from pathlib import Path

FILE = Path(__file__).with_name("RESULTS.md")


def publish(title: str, command: str, body: str) -> None:
    """Print a section and put it into RESULTS.md: in the place of the one with this title, else at the end.

    Args:
        title: of the section, without the date.
        command: what made it.
        body: Markdown; headings inside are of level 3.
    """
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    section = f"## {title}, {date.today().isoformat()}\n\n{machine}. `{command}`.\n\n{body.strip()}\n"
    print(section)
    text = FILE.read_text()
    old = re.search(rf"^## {re.escape(title)}, .*?(?=^## |\Z)", text, re.M | re.S)
    before, after = (text[: old.start()], text[old.end() :]) if old else (text, "")
    FILE.write_text(f"{before.rstrip()}\n\n{section}" + (f"\n{after}" if after else ""))
