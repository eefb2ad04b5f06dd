"""``medray catalog``: what a catalog holds."""

from __future__ import annotations

from typing import Annotated

import typer

from medray.cli.output import AsJson, print_json, show, show_rows

app = typer.Typer(no_args_is_help=True, help="What a catalog holds: sums, rows, SQL, series, differences of versions.")

CatalogUri = Annotated[str, typer.Argument(metavar="CATALOG", help="where `medray ingest` wrote", show_default=False)]
Limit = Annotated[int, typer.Option(min=1, help="print at most this many rows")]
_BRIEF = ("uri", "state", "code", "modality", "rows", "columns", "frames", "sop_uid")
_STACK = (
    *("series_uid", "stack", "modality", "instances", "frames", "rows", "columns", "spacing_mm", "orientation"),
    *("divided_by", "value", "problems"),
)


@app.command()
def summary(
    catalog: CatalogUri,
    plot: Annotated[str | None, typer.Option(help="draw it: path or URI of a .png file")] = None,
    as_json: AsJson = False,
) -> None:
    """Count objects and images by state, modality, transfer syntax, size, year and flag."""
    from medray.cataloguing.queries import summary as run
    from medray.data import store
    from medray.errors import ConfigError
    from medray.report.overview import overview_png

    if plot and not plot.endswith(".png"):
        raise ConfigError("PLOT_FORMAT", f"--plot {plot} is not a .png file", "give a name that ends in .png")
    found = run(catalog)
    if plot:
        store.write(plot, overview_png(found))
    show(found, as_json, "Catalog")


@app.command("show")
def show_(
    catalog: CatalogUri,
    name: Annotated[str | None, typer.Argument(metavar="[URI|UID]", help="a URI, a prefix, or a UID; default: all rows")] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """Show rows."""
    from medray.cataloguing.queries import rows
    from medray.errors import ConfigError

    found = rows(catalog, name, limit)
    if name and not found:
        raise ConfigError("OBJECT_UNKNOWN", f"the catalog has no row of {name}", "give a URI, a prefix or a UID")
    if as_json:
        print_json(found)
    elif len(found) == 1:
        show(found[0], False, "Row")
    else:
        show_rows(found, _BRIEF, f"First {limit} rows" if len(found) == limit else "Rows")


@app.command()
def query(
    catalog: CatalogUri,
    sql: Annotated[str, typer.Argument(metavar="SQL", help="SELECT … FROM catalog …", show_default=False)],
    limit: Limit = 1000,
    as_json: AsJson = False,
) -> None:
    """Query the catalog in SQL (DuckDB): one SELECT statement on the table `catalog`."""
    from medray.cataloguing.queries import answer

    found = answer(catalog, sql, limit)
    if as_json:
        print_json(found.to_pylist())
    else:
        show_rows(found.to_pylist(), found.column_names, f"First {limit} rows" if len(found) == limit else "Rows")


@app.command()
def series(
    catalog: CatalogUri,
    series: Annotated[str | None, typer.Option(help="Series Instance UID; default: every series")] = None,
    limit: Limit = 1000,
    as_json: AsJson = False,
) -> None:
    """Show the stacks of slices that make up each series, their geometry, and what is wrong with them."""
    from medray.cataloguing.series import series_table
    from medray.errors import ConfigError

    found = series_table(catalog, series)
    if series and not found.num_rows:
        raise ConfigError("OBJECT_UNKNOWN", f"the catalog has no image of series {series}", "give a Series Instance UID")
    rows = found.slice(0, limit).to_pylist()
    if as_json:
        print_json(rows)
    else:
        show_rows(rows, _STACK, f"First {limit} stacks" if found.num_rows > limit else "Stacks")


@app.command()
def diff(
    catalog: CatalogUri,
    before: Annotated[int, typer.Argument(metavar="V1", help="a version", show_default=False)],
    after: Annotated[int | None, typer.Argument(metavar="[V2]", help="a later version; default: the newest")] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """Show what was added, changed and gone between two versions."""
    from medray.cataloguing.queries import diff as run

    found = run(catalog, before, after, limit)
    if as_json:
        print_json(found)
        return
    rows = found.pop("rows")
    show(found, False, "Differences")
    if rows:
        show_rows(rows, list(rows[0]), "Objects")
