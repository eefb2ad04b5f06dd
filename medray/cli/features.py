"""``medray features``: what the columns of a feature table mean."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from medray.cli.output import AsJson, print_json, show, show_rows

app = typer.Typer(no_args_is_help=True, help="What the feature families measure: parameters, and each column's definition.")

SpecFile = Annotated[
    str | None, typer.Option("--spec", help="YAML file with the families of a table; default: every family as it is by default")
]
_BRIEF = ("family", "images", "features", "what it measures")
_PARAMETERS = ("name", "type", "range", "default", "value", "description")
_FEATURES = ("name", "definition", "source", "unit")


@app.command("list")
def list_(spec: SpecFile = None, as_json: AsJson = False) -> None:
    """List the families, or those of a spec."""
    from medray.features.describe import describe_family

    found = [describe_family(params) for params in _spec(spec).families]
    if as_json:
        print_json(found)
        return
    rows = ((one["name"], _kinds(one), len(one["features"]), one["summary"]) for one in found)
    show_rows((dict(zip(_BRIEF, row, strict=True)) for row in rows), _BRIEF, "Feature families")


@app.command()
def describe(
    name: Annotated[str, typer.Argument(metavar="NAME", help="a family, or a column of the feature table", show_default=False)],
    spec: SpecFile = None,
    as_json: AsJson = False,
) -> None:
    """Show what a family or a feature is: definition, source, unit; features that differ in numbers alone are one line."""
    from medray.features.describe import describe as run

    found = run(name, _spec(spec))
    if as_json:
        print_json(found[0] if len(found) == 1 else found)
        return
    for one in found:
        if "features" in one:
            _show_family(one)
        else:
            show(one, False, name)


def _show_family(family: dict[str, Any]) -> None:
    from medray.features.describe import compact

    about = {"what it measures": family["summary"], "details": " ".join(family["details"]), "images": _kinds(family)}
    show({**about, "features": len(family["features"])}, False, family["name"])
    if family["parameters"]:
        rows = [{**one, **_values(one)} for one in family["parameters"]]
        columns = [name for name in _PARAMETERS if name != "value" or any(row["value"] for row in rows)]
        show_rows(rows, columns, "Parameters")
    show_rows(compact(family["features"]), _FEATURES, "Features")


def _spec(uri: str | None) -> Any:
    from medray.configuration import load_config
    from medray.features.describe import every_family
    from medray.features.table import FeatureSpec

    return every_family() if uri is None else load_config(uri, FeatureSpec)


def _kinds(family: dict[str, Any]) -> str:
    return " ".join(f"{one}-D" for one in family["dimensions"])


def _values(parameter: dict[str, Any]) -> dict[str, str]:
    """The value, where it is not the default, and the default as text."""
    default, value = (_text(parameter[key]) for key in ("default", "value"))
    return {"default": "(must be given)" if parameter["required"] else default, "value": "" if value == default else value}


def _text(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return " ".join(_text(one) for one in value) if isinstance(value, list) else str(value)
