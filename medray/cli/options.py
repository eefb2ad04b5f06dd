"""Options that several commands take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from medray.distributed.session import ClusterSpec

ConfigFile = Annotated[str, typer.Argument(help="YAML configuration: a path or URI", show_default=False)]
ConfigOption = Annotated[str, typer.Option("--config", help="YAML configuration: a path or URI", show_default=False)]
Sets = Annotated[list[str] | None, typer.Option("--set", help="override a setting of the configuration: a.b=value")]
Keep = Annotated[
    list[str] | None,
    typer.Option(
        metavar="COLUMN",
        help="column of the label table to keep beside key, patient, split, fold and mask; may be given several times",
    ),
]
BundleUri = Annotated[str, typer.Argument(help="folder of a bundle (it holds bundle.json)", show_default=False)]
Work = Annotated[str | None, typer.Option(help="where to keep partial results, so that a second start resumes")]
Address = Annotated[str | None, typer.Option(help="Ray cluster: host:port or auto; default RAY_ADDRESS, else local")]
Executor = Annotated[
    Literal["auto", "local", "ray"],
    typer.Option(help="this machine without Ray, or Ray; auto: Ray for large jobs and where a cluster is named"),
]
AllowOpen = Annotated[bool, typer.Option(help="accept a Ray cluster without token authentication")]

PseudonymKeyFile = Annotated[
    str | None,
    typer.Option(
        "--pseudonym-key-file",
        help="file with the key of patients' pseudonyms; default: MEDRAY_PSEUDONYM_KEY(_FILE), else the one of this user",
    ),
]


def overrides(sets: list[str] | None, executor: str | None) -> list[str]:
    """The ``--set`` of a command, with what ``--executor`` says."""
    return [*(sets or []), *([f"cluster.executor={executor}"] if executor else [])]


def cluster_of(executor: str, address: str | None = None, allow_open: bool = False) -> ClusterSpec:
    """Where work is done, by the options of a command that has no configuration; raises ConfigError CONFIG_INVALID."""
    from medray.configuration import validated
    from medray.distributed.session import ClusterSpec

    return validated({"executor": executor, "address": address, "allow_open": allow_open}, ClusterSpec, [], "--executor")
