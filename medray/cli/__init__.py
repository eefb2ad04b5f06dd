"""The ``medray`` command. Results go to stdout, progress and errors to stderr.

Exit codes: 0 done; 1 an error (one line on stderr); 2 wrong usage; 3 done, but inputs were quarantined or failed;
130 stopped by Ctrl-C, 143 by SIGTERM.
"""

from medray.cli.command import main, run

__all__ = ["main", "run"]
