"""``medray serve``: the endpoint, started, found and stopped."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer
from typer.core import TyperGroup

from medray.cli.console import printable
from medray.cli.options import Address, AllowOpen, BundleUri, cluster_of
from medray.cli.output import AsJson, show
from medray.extras import require

if TYPE_CHECKING:
    from medray.distributed.serving import Endpoint


class _StartByDefault(TyperGroup):
    """``medray serve BUNDLE`` is ``medray serve start BUNDLE``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put ``start`` before what is no command."""
        named = not args or args[0] in self.commands or args[0] == "--help"
        return super().parse_args(ctx, args if named else ["start", *args])


app = typer.Typer(
    cls=_StartByDefault,
    no_args_is_help=True,
    help="Serve a bundle over HTTP until stopped: `medray serve BUNDLE` (options: `medray serve start --help`).",
)


@app.command()
def start(
    bundle: BundleUri,
    host: Annotated[str, typer.Option(help="address to listen on")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="port to listen on")] = 8000,
    replicas: Annotated[int, typer.Option(help="copies of the model")] = 1,
    address: Address = None,
    allow_open: AllowOpen = False,
    detach: Annotated[bool, typer.Option("--detach", help="leave the endpoint on the cluster, and return")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="take the place of the endpoint that is there")] = False,
) -> None:
    """Serve a bundle over HTTP until stopped: POST /v1/score, GET /healthz."""
    require("serve", "medray serve")

    from medray.cli.supervisor import STOPPED
    from medray.runs.serve import serve_until_stopped

    cluster = cluster_of("auto", address, allow_open)
    with _ray_muted() as stdout:

        def ready(endpoint: Endpoint) -> None:
            print(printable(f"serving {bundle} at {_place(endpoint)}"), file=stdout, flush=True)

        served = serve_until_stopped(bundle, cluster, host, port, replicas, ready, detach=detach, replace=replace)
    if not served:
        print(printable(f"medray: stopped; {bundle} is not served"), file=sys.stderr)
        raise typer.Exit(STOPPED[signal.SIGINT])  # the process that watches knows which signal it was
    if not detach:
        print(printable(f"medray: {bundle} is no longer served"), file=sys.stderr)


@contextmanager
def _ray_muted() -> Iterator[TextIO]:
    """Drop what Ray prints to standard output, of actors that Serve ends; yields standard output for what the command prints."""
    stdout = sys.stdout
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
        yield stdout


def _place(endpoint: Endpoint) -> str:
    """URL, nodes where they are others than the URL says, and whether a token is asked for."""
    facts = endpoint.facts
    if facts is None:
        return "an unknown address"
    nodes = "" if facts.host in endpoint.nodes else f" on {', '.join(endpoint.nodes)}"
    return facts.url + nodes + (" with a token" if facts.token else "")


@app.command()
def status(address: Address = None, allow_open: AllowOpen = False, as_json: AsJson = False) -> None:
    """Show what a cluster serves, and where."""
    require("serve", "medray serve")

    from medray.runs.serve import served

    with _ray_muted():
        found = served(cluster_of("auto", address, allow_open))
    facts = found.facts
    told = {"bundle": facts.bundle, "model": facts.model, "url": facts.url, "token": facts.token} if facts else {}
    show({"state": found.state, **told, "replicas": found.replicas, "nodes": list(found.nodes)}, as_json, "Endpoint")


@app.command()
def stop(address: Address = None, allow_open: AllowOpen = False) -> None:
    """Take a cluster's endpoint down, whoever started it."""
    require("serve", "medray serve")

    from medray.runs.serve import stop_serving

    with _ray_muted():
        stop_serving(cluster_of("auto", address, allow_open))
    print("the endpoint is down")
