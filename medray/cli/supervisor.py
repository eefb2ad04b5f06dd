"""The process that watches a command. Whatever becomes of the command, it ends in one line, an exit code, and no child left.

A command is safe to kill at any moment, so a stop is a kill: no exception has to find its way through native code, and no library
can take a signal for itself. The watching process loads next to nothing, so nothing keeps it from reacting.
"""

from __future__ import annotations

import json
import os
import signal
import sys

from medray import lifeline
from medray.cli.processes import adopt_orphans, end_descendants, end_with
from medray.errors import RunError

STOPPED = {signal.SIGINT: 130, signal.SIGTERM: 143}
"""Signal that stops a command → exit code."""

_WATCHED = {signal.SIGCHLD, *STOPPED}


def supervised() -> int | None:
    """Go on in a child process, and watch it from this one.

    Returns:
        None in the child, which does the work and calls :func:`medray.lifeline.done` at its end; in this process, once the child
        has ended, the exit code.
    """
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)  # one that is ignored may never become pending
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
    parent, child = os.getpid(), os.fork()
    if child:
        os.close(writing)
        adopt_orphans()
        return _Watch(child, reading).exit_code()
    os.close(reading)
    lifeline.tie(writing)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to every process; so do not Ray's, which inherit this
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    end_with(parent)
    return None


class _Watch:
    """Waits for the end of a child, or for a signal that ends it; signals are blocked."""

    def __init__(self, child: int, reading: int) -> None:
        self._child = child
        self._reading = reading
        self._told: dict[str, str | bool] = {}
        self._passed_on: signal.Signals | None = None

    def exit_code(self) -> int:
        while True:
            number = signal.Signals(signal.sigwait(_WATCHED))
            ended, status = os.waitpid(self._child, os.WNOHANG)
            self._listen()
            if ended:
                return self._ended(os.waitstatus_to_exitcode(status))
            if number in STOPPED and not self._pass_on(number):
                return _stop(number)

    def _listen(self) -> None:
        """Take in what the child has told."""
        try:
            for line in os.read(self._reading, 1 << 16).splitlines():
                self._told.update(json.loads(line))
        except BlockingIOError:
            return

    def _pass_on(self, number: signal.Signals) -> bool:
        """Hand a signal to a child that stops itself; once."""
        if self._passed_on or not self._told.get("stops_itself"):
            return False
        os.kill(self._child, signal.SIGTERM)
        self._passed_on = number
        return True

    def _ended(self, code: int) -> int:
        if code >= 0 and self._told.get("done"):
            return STOPPED[self._passed_on] if self._passed_on and code in STOPPED.values() else code
        if -code in STOPPED:
            return _stop(signal.Signals(-code))
        end_descendants()
        words = self._told.get("words") if code != -signal.SIGKILL else ""
        _say(str(words or _obituary(code)))
        return 1


def _stop(number: signal.Signals) -> int:
    end_descendants()
    _say("stopped; the same command goes on where it was")
    return STOPPED[number]


def _obituary(code: int) -> RunError:
    """What is said of a command that died without a word."""
    if code == -signal.SIGKILL:
        message = "the command was killed, as a system does that runs out of memory"
        return RunError("COMMAND_KILLED", message, "run again: it goes on where it was; fewer actors need less memory")
    how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit status {code}"
    return RunError("COMMAND_CRASHED", f"the command ended {how} without a word", "a fault of a library: --debug shows more")


def _say(text: str) -> None:
    """Write the one line; a terminal gets back the cursor that progress bars hide."""
    from medray.cli.console import printable

    if sys.stderr.isatty():
        sys.stderr.write("\x1b[?25h\n")
    print(printable(f"medray: {text}"), file=sys.stderr, flush=True)
