"""Sweep parameters on a cluster, by ``ray submit`` or ``ray job submit``: give ``--config workflows/configs/busi.yaml``."""

from __future__ import annotations

import argparse
import sys

from medray.cli import run


def main() -> None:
    """Hand the arguments to ``medray tune``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", required=True, help="YAML configuration: a path or URI")
    parser.add_argument("--set", action="append", default=[], metavar="a.b=value", help="override a setting")
    arguments = parser.parse_args()
    sets = [part for value in arguments.set for part in ("--set", value)]
    sys.exit(run(["tune", "--config", arguments.config, *sets, "--json"]))


if __name__ == "__main__":
    main()
