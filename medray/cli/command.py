"""The `medray` command: its groups, exit codes, and errors in one line."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from medray import lifeline
from medray.cli.supervisor import supervised
from medray.errors import MedrayError, refuse_password
from medray.exhaustion import exhausted

if TYPE_CHECKING:
    from typer import Typer


@cache
def application() -> Typer:
    """Every command; loaded here, so that a command is watched before it loads anything."""
    import typer

    from medray.cli import bundle, catalog, features, importing, jobs, ops, preview, quarantine, registry, serve, split, vacuum

    about = (
        "Batch processing of medical images on Ray: catalog, train, screen and serve. Results go to stdout, the rest to stderr."
    )
    app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False, help=about)
    app.add_typer(importing.app)
    app.add_typer(jobs.app)
    app.add_typer(split.app)
    app.add_typer(preview.app)
    app.add_typer(serve.app, name="serve")
    app.add_typer(bundle.app, name="bundle")
    app.add_typer(catalog.app, name="catalog")
    app.add_typer(quarantine.app, name="quarantine")
    app.add_typer(registry.app, name="registry")
    app.add_typer(ops.app, name="ops")
    app.add_typer(features.app, name="features")
    app.add_typer(vacuum.app)
    return app


def run(arguments: list[str]) -> int:
    """Run a command and return its exit code: errors as one line; ``--debug`` shows the traceback."""
    debug = _debugging(arguments)
    try:
        for argument in arguments:
            refuse_password(argument)
        application()([argument for argument in arguments if argument != "--debug"])
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else int(bool(done.code))
    except MedrayError as error:
        if debug:
            raise
        return _said(error)
    except Exception as error:
        if debug:
            raise
        return _said(exhausted(error) or _unexpected(error))
    return 0


def _debugging(arguments: list[str]) -> bool:
    return "--debug" in arguments or bool(os.environ.get("MEDRAY_DEBUG"))


def _unexpected(error: Exception) -> MedrayError:
    return MedrayError("UNEXPECTED", type(error).__name__, "a fault of medray: --debug shows where")


def _said(error: MedrayError) -> int:
    from medray.cli.console import printable

    print(printable(f"medray: {error}"), file=sys.stderr)
    return 1


def main(arguments: list[str] | None = None) -> NoReturn:
    """Entry point of the ``medray`` command, which runs in a child of this process; leaves the process.

    It skips the shutdown of the interpreter: native threads (Arrow's) may release Python objects during it, which aborts a
    process whose work is done.
    """
    code = supervised()
    if code is None:
        code = _work(sys.argv[1:] if arguments is None else arguments)
    os._exit(code)


def _work(arguments: list[str]) -> int:
    if not _debugging(arguments):
        _mute_native()
    try:
        code = run(arguments)
        with suppress(BrokenPipeError):
            sys.stdout.flush()
            sys.stderr.flush()
        return code
    finally:
        lifeline.done()


def _mute_native() -> None:
    """Keep standard error to what Python prints: native libraries chatter there, and dump their stacks when they die."""
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1, encoding=sys.stderr.encoding, errors="backslashreplace")
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
