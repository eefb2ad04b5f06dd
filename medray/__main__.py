"""``python -m medray``."""

from __future__ import annotations

from medray.cli import main

if __name__ == "__main__":
    main()
