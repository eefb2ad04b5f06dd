"""How a table or a mask names a file: by path, by name, or by stem."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable

_MASK_ENDING = re.compile(r"[ _-](mask|masks|seg|segmentation|label|labels|gt|annotation)([ _-]?\d+)?$", re.I)
MEMBER = "#"
"""Between the name of a file and the array in it."""


def plain(name: str) -> str:
    """A path as it is compared: composed characters, forward slashes, no leading "./"."""
    found = unicodedata.normalize("NFC", name.strip()).replace("\\", "/")
    return found.removeprefix("file://").removeprefix("./")


def stem(path: str) -> str:
    """A path without the ending of its name, ``.nii.gz`` being one."""
    folder, slash, name = path.rpartition("/")
    name = name.removesuffix(".gz") if name.lower().endswith(".nii.gz") else name
    return folder + slash + (name.rpartition(".")[0] or name)


def drawn_on(mask: str) -> tuple[str, ...]:
    """What the image of a mask may be called, the likeliest first: as the mask, or without ``_mask``, ``_seg`` and the like."""
    bare = stem(plain(mask))
    shorter = _MASK_ENDING.sub("", bare)
    return (bare,) if shorter == bare else (bare, shorter)


class Names:
    """Files under one source, found by what names them.

    Args:
        source: URI that the files lie under.
        files: their paths below it.
    """

    def __init__(self, source: str, files: Iterable[str]) -> None:
        self._source = plain(source).rstrip("/")
        self._by_name: dict[str, list[str]] = defaultdict(list)
        self._by_stem: dict[str, list[str]] = defaultdict(list)
        for file in files:
            name = plain(file).rpartition("/")[2]
            self._by_name[name].append(file)
            self._by_stem[stem(name)].append(file)

    def find(self, named: str) -> list[str]:
        """The files that a name, a stem or a path may mean; all parts of a path must agree.

        More than one is an ambiguity. Of a member (``file.npz#train_images/3``) the answers are members.
        """
        file, mark, member = named.partition(MEMBER)
        if mark and (found := self.find(file)) and not self._files(plain(named)):
            return [f"{one}{MEMBER}{member}" for one in found]
        return self._files(plain(named))

    def _files(self, wanted: str) -> list[str]:
        name = wanted.rpartition("/")[2]
        if not name:
            return []
        found = [file for file in self._by_name.get(name, ()) if self._ends(plain(file), wanted)]
        found = found or [file for file in self._by_stem.get(name, ()) if self._ends(stem(plain(file)), wanted)]
        exact = [file for file in found if wanted in (plain(file), stem(plain(file)))]
        return exact if len(exact) == 1 and "/" in wanted else found

    def _ends(self, file: str, wanted: str) -> bool:
        return f"{self._source}/{file}".endswith(f"/{wanted.lstrip('/')}")
