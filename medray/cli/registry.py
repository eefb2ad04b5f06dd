"""``medray registry``: which bundle is champion, since when, by whom and why."""

from __future__ import annotations

from typing import Annotated

import typer

from medray.cli.options import BundleUri
from medray.cli.output import AsJson, print_json, show, show_rows

app = typer.Typer(no_args_is_help=True, help="Published bundles and champions: who made one champion, when, and why.")

OutputUri = Annotated[str, typer.Argument(metavar="OUTPUT", help="root of everything a run makes", show_default=False)]
OutputOption = Annotated[
    str | None, typer.Option("--output", help="root whose registry it is; default: that which the bundle was published under")
]
By = Annotated[str | None, typer.Option(help="who decides; default: the user of the operating system")]
Reason = Annotated[str, typer.Option(help="why, for those who read the registry")]


@app.command("list")
def list_(
    output: OutputUri,
    changes: Annotated[bool, typer.Option("--changes", help="every change in order, in place of the bundles")] = False,
    as_json: AsJson = False,
) -> None:
    """List the published bundles, champions first; or all changes."""
    from medray.runs.registry import listed, listed_changes

    found = listed_changes(output) if changes else listed(output)
    if as_json:
        print_json(found)
    elif changes:
        show_rows(found, ("at", "event", "question", "bundle", "by", "reason"), "Changes")
    else:
        show_rows(found, ("question", "standing", "bundle", "monitor", "value", "at", "by", "reason"), "Registry")


@app.command("show")
def show_(bundle: BundleUri, output: OutputOption = None, as_json: AsJson = False) -> None:
    """Show what the registry says of a bundle: its standing, and every change that it was part of."""
    from medray.runs.registry import details

    show(details(bundle, output), as_json, "Bundle")


@app.command()
def promote(
    bundle: BundleUri,
    output: OutputOption = None,
    by: By = None,
    reason: Reason = "by hand, no reason given",
    as_json: AsJson = False,
) -> None:
    """Make a bundle the champion of its task and target, whatever its figures."""
    from medray.runs.registry import promote as run

    show(run(bundle, output, by, reason), as_json, "Champion")


@app.command()
def rollback(
    output: OutputUri,
    champion: Annotated[str | None, typer.Option(help="whose champion: a target, or the text of `medray registry list`")] = None,
    by: By = None,
    reason: Reason = "by hand, no reason given",
    as_json: AsJson = False,
) -> None:
    """Make the champion before the present one champion again."""
    from medray.runs.registry import rollback as run

    show(run(output, champion, by, reason), as_json, "Champion")
