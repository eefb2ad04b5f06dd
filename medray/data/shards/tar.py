"""Members of a tar archive, read from any seekable file of bytes without unpacking it.

The standard library reads the headers (ustar, GNU long names, PAX); what it ignores is checked here: a damaged
header, a cut end, archives that were put one after the other, sizes below zero, what a sparse member takes.
"""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Iterator
from typing import Any, cast

from medray.data.shards.address import LAST_BYTE
from medray.errors import InputError, Quarantined

MAX_HEADER_BYTES = 1 << 20
MAX_ZEROS_BYTES = 16 << 20
"""Zero bytes after an archive through which another one is looked for."""

_GOES_ON = 504
_SIZES_WITH_HOLES = {"GNU.sparse.size", "GNU.sparse.realsize"}
_DIGITS = re.compile(rb"\d{257}")  # on longer runs the standard library's search for PAX keywords takes quadratic time


class Member(tarfile.TarInfo):
    """A header whose size is what the member takes in the archive, also of a sparse one, which GNU tar stores without its holes.

    The maps of the holes are skipped: they are not needed, and a hostile one may be of any length.
    """

    sparse: Any
    _sparse_structs: Any

    def _proc_sparse(self, archive: Any) -> Member:
        """The old GNU format: blocks of the map follow the header, and byte 504 of each says whether another one does."""
        _, goes_on, _ = self._sparse_structs
        while goes_on:
            block = archive.fileobj.read(tarfile.BLOCKSIZE)
            if len(block) < tarfile.BLOCKSIZE:
                raise EOFError
            goes_on = block[_GOES_ON] != 0
        self.sparse = []
        self.offset_data = archive.fileobj.tell()
        archive.offset = self.offset_data + -(-self.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
        return self

    def _apply_pax_info(self, pax_headers: dict[str, str], encoding: str, errors: str) -> None:
        """The PAX formats 0.0, 0.1 and 1.0: the size without holes is kept, the name is the real one."""
        if any(key.startswith("GNU.sparse.") for key in pax_headers):
            self.sparse = []
            pax_headers = {key: value for key, value in pax_headers.items() if key not in _SIZES_WITH_HOLES}
        super()._apply_pax_info(pax_headers, encoding, errors)  # type: ignore[misc]

    def _proc_gnusparse_00(self, *_: Any) -> None:
        """The map stays unread."""

    _proc_gnusparse_01 = _proc_gnusparse_10 = _proc_gnusparse_00


class _Careful:
    """A file that refuses the extended headers that cost too much memory or time."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int) -> bytes:
        if size > MAX_HEADER_BYTES:
            raise tarfile.ReadError("a header is too long")
        data: bytes = self._file.read(size)
        if size > tarfile.BLOCKSIZE and _DIGITS.search(data):
            raise tarfile.ReadError("a header holds too long a number")
        return data


def headers(file: Any, size: int | None) -> Iterator[Member]:
    """The headers of all members but folders, in the order of their bytes; ``offset_data`` says where the data is.

    The size of a sparse member is that of its data in the archive.

    Args:
        file: the archive, read forwards.
        size: its length in bytes, where known.

    Raises:
        Quarantined: ARCHIVE_BROKEN, after the members before the damage.
        StoreError
    """
    try:
        archive = _opened(file)
        ended, zeros = False, 0
        while size is None or archive.offset < size:
            before = archive.offset
            file.seek(before)
            try:
                header = Member.fromtarfile(archive)
            except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
                ended, zeros = True, zeros + tarfile.BLOCKSIZE
                archive.offset = before + tarfile.BLOCKSIZE
                if zeros > MAX_ZEROS_BYTES:
                    raise Quarantined("ARCHIVE_BROKEN", f"nothing but zeros from byte {before - zeros}") from None
                continue
            except tarfile.EmptyHeaderError:  # type: ignore[attr-defined]
                break
            if archive.offset <= before or archive.offset > LAST_BYTE or header.size < 0:
                raise Quarantined("ARCHIVE_BROKEN", f"the header at byte {before} states an impossible size")
            ended, zeros = False, 0
            if not header.isdir():
                yield header
            if size is not None and header.offset_data + _stored(header) > size:
                raise Quarantined("ARCHIVE_BROKEN", f"the archive is cut in the member at byte {before}")
        if not ended:
            raise Quarantined("ARCHIVE_BROKEN", "the archive is cut: its end mark is missing")
    except (tarfile.TarError, EOFError, ValueError, OverflowError, RecursionError) as error:
        raise Quarantined("ARCHIVE_BROKEN", f"no tar header where one must be ({type(error).__name__})") from error


def _opened(file: Any) -> tarfile.TarFile:
    archive = tarfile.TarFile(fileobj=io.BytesIO(bytes(tarfile.RECORDSIZE)), encoding="utf-8", errors="surrogateescape")
    archive.fileobj, archive.offset = cast(Any, _Careful(file)), 0
    return archive


def _stored(header: tarfile.TarInfo) -> int:
    return header.size if header.isreg() else 0


def problem(header: tarfile.TarInfo) -> InputError | None:
    """Why a member is refused: a link or device, an unsafe name, a sparse file."""
    if not header.isreg():
        return Quarantined("ARCHIVE_UNSAFE_MEMBER", "a member is a link or a device")
    if header.issparse():
        return Quarantined("ARCHIVE_METHOD", "a member is a sparse file (tar -S)")
    return None
