"""Who may ask the endpoint: holders of a bearer token, of which only a salted hash travels with the deployment."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from medray.errors import ConfigError
from medray.spec import Spec

TOKEN, TOKEN_FILE = "MEDRAY_SERVE_TOKEN", "MEDRAY_SERVE_TOKEN_FILE"


class Access(Spec):
    """What a replica knows of the token. One that knows nothing, ``Access()``, admits nobody."""

    open: bool = False
    salt: str = ""
    digest: str = ""

    @staticmethod
    def of(token: str) -> Access:
        """Admits those who send the token, or everybody where it is ""; each call draws a new salt."""
        if not token:
            return Access(open=True)
        salt = secrets.token_hex(16)
        return Access(salt=salt, digest=_digest(salt, token))

    @property
    def locked(self) -> bool:
        """Whether a token is asked for."""
        return not self.open

    def admits(self, authorization: str) -> bool:
        """Whether the value of an ``Authorization`` header (RFC 6750: ``Bearer TOKEN``, the scheme in any case) may pass."""
        scheme, _, token = authorization.partition(" ")
        given = _digest(self.salt, token.strip(" "))
        return self.open or (bool(self.digest) and scheme.lower() == "bearer" and hmac.compare_digest(given, self.digest))


def _digest(salt: str, token: str) -> str:
    """HMAC-SHA-256 of the token under the salt, in hex."""
    return hmac.new(bytes.fromhex(salt), token.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def stated_token() -> str:
    """The token of this process's environment: what the file MEDRAY_SERVE_TOKEN_FILE holds, or MEDRAY_SERVE_TOKEN, or "".

    Raises:
        ConfigError: SERVE_TOKEN, a variable is set but gives no token: a mistake must not open the endpoint.
    """
    if TOKEN_FILE in os.environ:
        return _checked(_read(os.environ[TOKEN_FILE]), TOKEN_FILE)
    return _checked(os.environ[TOKEN], TOKEN) if TOKEN in os.environ else ""


def _read(path: str) -> str:
    if not path:
        raise ConfigError("SERVE_TOKEN", f"{TOKEN_FILE} is set but names no file", "name a file, or unset it")
    try:
        return Path(path).read_text("utf-8")
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "it is not text"
        raise ConfigError("SERVE_TOKEN", f"{TOKEN_FILE} names {path}: {why}", "name a file that holds the token") from error


def _checked(text: str, variable: str) -> str:
    token = text.strip()
    if not token:
        raise ConfigError("SERVE_TOKEN", f"{variable} is set but gives no token", "give a token, or unset it")
    if not all("!" <= letter <= "~" for letter in token):
        message = f"the token that {variable} gives has blanks or characters that no HTTP header carries"
        raise ConfigError("SERVE_TOKEN", message, "use letters, digits and punctuation of ASCII")
    return token
