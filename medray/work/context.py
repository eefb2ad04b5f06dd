"""Where a fit in one process runs: its checkpoints are in the store. Families see only FitContext."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from medray.data import store, temporary

COMPLETE = "complete"
KEPT_CHECKPOINTS = 2

OnStep = Callable[[str, int, dict[str, float]], None]
"""Called with (model, step, metrics)."""


@dataclass
class StoreContext:
    """A fit in one process that keeps its checkpoints under a URI, so that a second start goes on where the first was killed."""

    checkpoints_uri: str
    threads: int = 1
    device: str = "cpu"
    seed: int = 0
    label: str = ""
    on_step: OnStep | None = None
    rank: int = 0
    world_size: int = 1
    _stack: ExitStack = field(default_factory=ExitStack)

    def report(self, step: int, metrics: Mapping[str, float], save: Callable[[Path], None] | None = None) -> None:
        """Keep the checkpoint in the store and tell how far the fit is."""
        if save is not None:
            self._keep(step, save)
        if self.on_step is not None:
            self.on_step(self.label, step, dict(metrics))

    def _keep(self, step: int, save: Callable[[Path], None]) -> None:
        with temporary.folder("checkpoint") as folder:
            save(folder)
            (folder / COMPLETE).write_text("")
            store.upload_folder(folder, store.join(self.checkpoints_uri, f"{step:06d}"), last=COMPLETE)
        for old in store.names(self.checkpoints_uri)[:-KEPT_CHECKPOINTS]:
            store.delete(store.join(self.checkpoints_uri, old))

    def checkpoint(self) -> Path | None:
        """The newest complete checkpoint in the store."""
        for step in reversed(store.names(self.checkpoints_uri)):
            uri = store.join(self.checkpoints_uri, step)
            if store.exists(store.join(uri, COMPLETE)):
                return self._stack.enter_context(store.local_folder(uri))
        return None
