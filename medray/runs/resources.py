"""What a run takes of the cluster."""

from __future__ import annotations

from pydantic import Field

from medray.spec import Spec


class Resources(Spec):
    """Actors that fetch, decode and prepare images."""

    actors: int | None = Field(
        None, ge=1, description="one CPU each; default: every CPU of the cluster, but one for every 64 inputs or 8 MiB of them"
    )
