"""Stopping what runs until it is stopped: Ctrl-C and SIGTERM as an event."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from medray import lifeline


@contextmanager
def stopped_by_signals() -> Iterator[threading.Event]:
    """Inside the block, SIGINT and SIGTERM set the event and do nothing else, so that what runs can be taken down in order."""
    stop = threading.Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    lifeline.stops_itself()
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)
