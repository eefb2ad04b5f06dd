"""Extract features on a cluster, by ``ray submit`` or ``ray job submit``: takes ``--config FILE`` and ``--set a.b=value``."""

from __future__ import annotations

import sys

from medray.cli import main

if __name__ == "__main__":
    main(["extract", *sys.argv[1:], "--json"])
