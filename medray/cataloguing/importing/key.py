"""The key of the pseudonyms that name the objects of an imported archive; its identifier is kept beside them."""

from __future__ import annotations

import json

from medray.cataloguing.importing.folder import names_patient
from medray.data import store
from medray.data.key_file import the_key
from medray.data.pseudonym import Key
from medray.errors import ConfigError
from medray.spec import canonical_json

_FIELD = "pseudonym_key"


def key_of(out: str, key_file: str | None = None) -> Key:
    """The key of an archive: the one that named its objects, or what :func:`medray.data.key_file.the_key` gives a new one.

    Args:
        out: root of the archive.
        key_file: path of the local file that holds the key.

    Raises:
        ConfigError: PSEUDONYM_KEYS, PSEUDONYM_KEY_LOST, PSEUDONYM_KEY_INVALID; PSEUDONYM_KEY_UNKNOWN when an older medray named
            objects, with a key that everybody knows; StoreError.
    """
    uri = store.join(out, "import", "pseudonyms.json")
    if store.exists(uri):
        return the_key(key_file, _recorded(uri), out)
    if any(map(names_patient, store.names(store.join(out, "images")))):
        message = f"{out} does not say which key made the pseudonyms in its names: it may be one that everybody knows"
        raise ConfigError("PSEUDONYM_KEY_UNKNOWN", message, "import to another --out, and remove this one")
    key = the_key(key_file)
    store.write(uri, canonical_json({_FIELD: key.id}).encode())
    return key


def _recorded(uri: str) -> str:
    try:
        return str(json.loads(store.read(uri))[_FIELD])
    except (ValueError, KeyError, TypeError):
        message = f"{uri} is broken, and says which key made the pseudonyms of the archive"
        raise ConfigError("PSEUDONYM_KEY_UNKNOWN", message, "restore it, or import to another --out") from None
