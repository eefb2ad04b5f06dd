"""The `medray` command: its groups, exit codes, and errors in one line."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import NoReturn

import typer

from medray.cli import bundle, catalog, features, importing, jobs, ops, preview, quarantine
from medray.cli.console import printable
from medray.errors import MedrayError

STOPPED = 130


@cache
def application() -> typer.Typer:
    """Every command."""
    about = (
        "Batch processing of medical images on Ray: catalog, train, screen and serve. Results go to stdout, the rest to stderr."
    )
    app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False, help=about)
    app.add_typer(importing.app)
    app.add_typer(jobs.app)
    app.add_typer(preview.app)
    app.add_typer(bundle.app, name="bundle")
    app.add_typer(catalog.app, name="catalog")
    app.add_typer(quarantine.app, name="quarantine")
    app.add_typer(ops.app, name="ops")
    app.add_typer(features.app, name="features")
    return app


class Stopped(BaseException):
    """The user pressed Ctrl-C; not a KeyboardInterrupt, which typer handles itself."""


def run(arguments: list[str]) -> int:
    """Run a command and return its exit code: errors as one line; ``--debug`` shows the traceback."""
    debug = "--debug" in arguments or bool(os.environ.get("MEDRAY_DEBUG"))
    try:
        with _stoppable():
            application()([argument for argument in arguments if argument != "--debug"])
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else int(bool(done.code))
    except MedrayError as error:
        if debug:
            raise
        print(printable(f"medray: {error}"), file=sys.stderr)
        return 1
    except Exception as error:
        if debug:
            raise
        print(printable(f"medray: UNEXPECTED: {type(error).__name__} (a fault of medray: --debug shows where)"), file=sys.stderr)
        return 1
    except Stopped:
        print("medray: stopped; the same command goes on where it was", file=sys.stderr)
        return STOPPED
    return 0


@contextmanager
def _stoppable() -> Iterator[None]:
    """Ctrl-C raises Stopped inside the block."""

    def stop(*_: object) -> None:
        raise Stopped

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def main(arguments: list[str] | None = None) -> NoReturn:
    """Entry point of the ``medray`` command; leaves the process.

    It skips the shutdown of the interpreter: native threads (Arrow's) may release Python objects during it, which aborts a
    process whose work is done.
    """
    code = run(sys.argv[1:] if arguments is None else arguments)
    with suppress(BrokenPipeError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)
