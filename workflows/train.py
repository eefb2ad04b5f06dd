"""Train on a cluster, by ``ray submit`` or ``ray job submit``: takes ``--config FILE`` and ``--set a.b=value``."""

from __future__ import annotations

import sys

from medray.cli import run

if __name__ == "__main__":
    given = [word.removeprefix("--config=") for word in sys.argv[1:] if word != "--config"]
    sys.exit(run(["train", *given, "--json"]))
