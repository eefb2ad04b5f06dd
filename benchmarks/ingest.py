"""From an archive to images: headers, decoded images, a catalog of many objects.

    python benchmarks/ingest.py [--objects 100000] [--seconds 2]

Prints a Markdown section for RESULTS.md. Needs the test extra: pylibjpeg is the peer, SeaweedFS the object store.
"""

from __future__ import annotations

import argparse
import os
import platform
import warnings
from datetime import UTC, datetime

from cataloguing import catalogue_table
from decoding import decoding_table, header_table


def main() -> None:
    """Run everything and print the section."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=int, default=100_000, help="objects to catalogue; 0 leaves this out")
    parser.add_argument("--seconds", type=float, default=2.0, help="time for each figure of headers and images")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    print(f"\n## From an archive to images, {datetime.now(UTC):%Y-%m-%d}\n")
    print(f"{machine}. `python benchmarks/ingest.py`. Rates are per core and second.\n")
    header_table(arguments.seconds)
    print()
    decoding_table(arguments.seconds)
    if arguments.objects:
        print()
        catalogue_table(arguments.objects)


if __name__ == "__main__":
    main()
