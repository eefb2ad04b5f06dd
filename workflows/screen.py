"""Screen one night on a cluster, by ``ray submit`` or ``ray job submit``: takes ``--config FILE`` and ``--set a.b=value``."""

from __future__ import annotations

import sys

from medray.cli import run

if __name__ == "__main__":
    sys.exit(run(["screen", *sys.argv[1:], "--json"]))
