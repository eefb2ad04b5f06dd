"""``medray ops``: what the preprocessing ops do."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from medray.cli.output import AsJson, print_json, show, show_rows

app = typer.Typer(no_args_is_help=True, help="What the preprocessing ops do, their parameters, and where they come from.")

_BRIEF = ("op", "images", "what it does")
_PARAMETERS = ("name", "type", "range", "default", "description")


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the ops."""
    from medray.imaging.describe import describe_op, op_names

    found = [describe_op(name) for name in op_names()]
    if as_json:
        print_json(found)
        return
    rows = (dict(zip(_BRIEF, (op["name"], _kinds(op), op["summary"]), strict=True)) for op in found)
    show_rows(rows, _BRIEF, "Preprocessing ops")


@app.command()
def describe(
    name: Annotated[str, typer.Argument(metavar="NAME", help="an op", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """Show what an op does, its parameters with their ranges and defaults, and its source."""
    from medray.imaging.describe import describe_op

    found = describe_op(name)
    if as_json:
        print_json(found)
        return
    parameters = [{**one, "default": _default(one)} for one in found.pop("parameters")]
    answer = {"what it does": found["summary"], "details": found["details"], "images": _kinds(found)}
    show({**answer, "source": found["source"]}, False, name)
    if parameters:
        show_rows(parameters, _PARAMETERS, "Parameters")


def _kinds(op: dict[str, Any]) -> str:
    return " ".join([*(f"{one}-D" for one in op["dimensions"]), *(["colour"] if op["colour"] else [])])


def _default(parameter: dict[str, object]) -> str:
    value = parameter["default"]
    if parameter["required"]:
        return "(must be given)"
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else "null" if value is None else str(value)
