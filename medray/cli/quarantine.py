"""``medray quarantine``: objects that need attention."""

from __future__ import annotations

from typing import Annotated

import typer

from medray.cli.catalog import CatalogUri
from medray.cli.console import reporting
from medray.cli.options import PseudonymKeyFile
from medray.cli.output import AsJson, finish, print_json, show, show_rows

app = typer.Typer(no_args_is_help=True, help="Objects that could not be taken as images, why, and what to do.")


@app.command("list")
def list_(catalog: CatalogUri, as_json: AsJson = False) -> None:
    """Count quarantined and failed objects by code, with what to do."""
    from medray.cataloguing.quarantine import listed

    found = listed(catalog)
    if as_json:
        print_json(found)
    else:
        show_rows(found, ("code", "state", "count", "what_to_do"), "Quarantine")


@app.command("show")
def show_(
    catalog: CatalogUri,
    uri: Annotated[str, typer.Argument(metavar="URI", help="the object's URI or SOP Instance UID", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """Show an object's row, what is wrong, and what to do."""
    from medray.cataloguing.quarantine import details

    show(details(catalog, uri), as_json, "Object")


@app.command()
def retry(
    catalog: CatalogUri,
    code: Annotated[str | None, typer.Option(help="objects with this code alone")] = None,
    pseudonym_key_file: PseudonymKeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Read quarantined and failed objects again."""
    from medray.cataloguing.quarantine import retry as run

    with reporting() as reporter:
        found = run(catalog, code, reporter.progress, pseudonym_key_file)
    show(found, as_json, "Retry")
    finish(found["objects"] - found["images"] + found["gone"], found["reasons"])
