"""The tasks by their kind."""

from __future__ import annotations

from collections.abc import Mapping

from medray.tasks.binary import Binary
from medray.tasks.task import Task

TASKS: Mapping[str, type[Task]] = {"binary": Binary}

AnyTask = Binary
"""A task as configurations and manifests hold it."""
