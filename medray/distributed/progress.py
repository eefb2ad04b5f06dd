"""How far the fits are: workers tell an actor, the driver asks it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Event = tuple[str, int, dict[str, float]]


class Watch:
    """Keeps the events until the driver fetches them; runs as an actor."""

    def __init__(self) -> None:
        self._events: list[Event] = []

    def tell(self, label: str, step: int, metrics: dict[str, float]) -> None:
        """Add an event."""
        self._events.append((label, step, metrics))

    def take(self) -> list[Event]:
        """The events since the last call."""
        events, self._events = self._events, []
        return events


class Watcher:
    """The driver's side of a Watch."""

    def __init__(self, on_event: Callable[[str, int, dict[str, float]], None] | None) -> None:
        import ray

        self._on_event = on_event
        self.actor: Any = ray.remote(num_cpus=0)(Watch).remote() if on_event else None

    def pass_on(self) -> None:
        """Hand new events to the callback."""
        if self.actor is not None and self._on_event is not None:
            import ray

            for event in ray.get(self.actor.take.remote()):
                self._on_event(*event)


@contextmanager
def watching(on_event: Callable[[str, int, dict[str, float]], None] | None) -> Iterator[Watcher]:
    """A watcher whose last events are passed on before it goes."""
    import ray

    watcher = Watcher(on_event)
    try:
        yield watcher
        watcher.pass_on()
    finally:
        if watcher.actor is not None:
            ray.kill(watcher.actor)
