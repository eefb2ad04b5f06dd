"""What the processes of a session listen on, read from ``/proc`` (Linux)."""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from medray.cli.processes import descendants

LISTENS = "0A"


def listening(pid: int) -> list[tuple[str, int, str]]:
    """(address, port, process) of every TCP socket that a process and its descendants listen on."""
    owners = {inode: name for process in family(pid) for inode, name in _sockets(process)}
    found = [(address, port, owners[inode]) for address, port, inode in _all_listening() if inode in owners]
    return sorted(found, key=lambda socket: socket[1])


def beyond_this_machine(found: list[tuple[str, int, str]]) -> list[tuple[str, int, str]]:
    """Those that another machine may reach."""
    return [one for one in found if not ipaddress.ip_address(one[0].removeprefix("::ffff:")).is_loopback]


def family(pid: int) -> set[int]:
    """A process and its descendants."""
    return {pid, *descendants(pid)}


def _sockets(pid: int) -> Iterator[tuple[str, str]]:
    """(inode, name of the process) of each open socket; a process, or a file, that is gone meanwhile has none."""
    try:
        name = Path(f"/proc/{pid}/comm").read_text().strip()
        files = list(Path(f"/proc/{pid}/fd").iterdir())
    except FileNotFoundError:
        return
    for file in files:
        with suppress(FileNotFoundError):
            link = str(file.readlink())
            if link.startswith("socket:["):
                yield link[8:-1], name


def _all_listening() -> Iterator[tuple[str, int, str]]:
    for table in ("tcp", "tcp6"):
        path = Path(f"/proc/net/{table}")
        for line in path.read_text().splitlines()[1:] if path.exists() else []:
            _, local, _, state, *_, inode = line.split()[:10]
            address, port = local.split(":")
            if state == LISTENS:
                yield _address(address), int(port, 16), inode


def _address(text: str) -> str:
    """An address of ``/proc/net/tcp``: words of 32 bits, each in the machine's order."""
    packed = b"".join(struct.pack("=I", int(text[first : first + 8], 16)) for first in range(0, len(text), 8))
    return socket.inet_ntop(socket.AF_INET6 if len(packed) == 16 else socket.AF_INET, packed)
