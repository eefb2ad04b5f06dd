"""``medray vacuum``: what killed runs left behind."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from medray.cli.output import AsJson, print_json, show_rows

app = typer.Typer()


@app.command()
def vacuum(
    roots: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ROOT...]", help="outputs, catalogs, archives that medray wrote: paths or URIs", show_default=False
        ),
    ] = None,
    older_than: Annotated[
        float, typer.Option(min=0, metavar="HOURS", help="only where nothing was written for so long; 0: where no run is at work")
    ] = 24.0,
    delete: Annotated[bool, typer.Option("--delete", help="remove what is listed; default: list it")] = False,
    as_json: AsJson = False,
) -> None:
    """List, or remove, what killed runs left: temporary folders of this machine, partial files, files that no table names."""
    from medray.data.leftovers import leftovers, remove, temporary_folders

    found = temporary_folders() + [one for root in roots or [] for one in leftovers(root, older_than * 3600)]
    found = list(dict.fromkeys(found))  # a root may lie in another
    if delete:
        remove(found)
    total = sum(one.size_bytes for one in found)
    if as_json:
        print_json({"deleted": delete, "count": len(found), "size_bytes": total, "leftovers": [asdict(one) for one in found]})
        return
    if found:
        show_rows((asdict(one) for one in found), ("kind", "size_bytes", "uri"), "Left by killed runs")
    done = "removed" if delete or not found else "to remove (--delete removes them)"
    print(f"{len(found)} {done}, {total} bytes")
