"""Signatures of bundles: Ed25519 (RFC 8032) over the digest of the manifest, which holds the checksum of every file.

The signature is ``bundle.sig`` beside the manifest, base64. A site asks for it by ``MEDRAY_BUNDLE_PUBLIC_KEYS_FILE``, a PEM
file of the public keys that it trusts: a bundle that none of them signed is then not opened.
"""

from __future__ import annotations

import base64
import os
import re
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from medray.bundles.content import SIGNATURE
from medray.data import store
from medray.errors import BundleError, ConfigError, StoreError

KEYS = "MEDRAY_BUNDLE_PUBLIC_KEYS_FILE"
_PURPOSE = b"medray bundle 1\n"
"""Precedes what is signed, so that a signature for another purpose is none of a bundle."""

_LONGEST_BYTES = 1024
_BLOCK = re.compile(rb"-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----", re.DOTALL)


def make_keys(path: Path) -> Path:
    """Write a new private key to ``path``, for its owner alone (mode 600), and its public key to ``path`` + ``.pub``.

    Returns:
        The path of the public key.

    Raises:
        ConfigError: BUNDLE_KEY where one of the files exists or cannot be written.
    """
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    public_path = path.with_name(path.name + ".pub")
    _write_new(path, private, 0o600)
    _write_new(public_path, public, 0o644)
    return public_path


def _write_new(path: Path, data: bytes, mode: int) -> None:
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(data)
    except OSError as error:
        raise ConfigError(
            "BUNDLE_KEY", f"{path} cannot be written: {error.strerror}", "name a file that does not exist"
        ) from error


def sign(digest: str, uri: str, key_path: Path) -> None:
    """Write the signature of a bundle whose manifest has this digest; raises ConfigError BUNDLE_KEY."""
    try:
        key = serialization.load_pem_private_key(_read(key_path), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _wrong_key(key_path, "an Ed25519 private key without a password") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise _wrong_key(key_path, "an Ed25519 private key")
    store.write(store.join(uri, SIGNATURE), base64.b64encode(key.sign(_PURPOSE + digest.encode())) + b"\n")


def public_keys(path: Path) -> list[Ed25519PublicKey]:
    """The keys of a PEM file, at least one; raises ConfigError BUNDLE_KEY."""
    try:
        keys = [serialization.load_pem_public_key(block) for block in _BLOCK.findall(_read(path))]
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _wrong_key(path, "public keys in PEM") from error
    found = [key for key in keys if isinstance(key, Ed25519PublicKey)]
    if not found or len(found) < len(keys):
        raise _wrong_key(path, "Ed25519 public keys alone, at least one")
    return found


def require_signature(digest: str, uri: str) -> None:
    """Check the signature of a bundle where the site asks for one.

    Raises:
        BundleError: BUNDLE_UNSIGNED, BUNDLE_SIGNATURE; ConfigError: BUNDLE_KEY.
    """
    if (path := os.environ.get(KEYS)) is not None:
        verify(digest, uri, public_keys(Path(path)))


def verify(digest: str, uri: str, keys: list[Ed25519PublicKey]) -> None:
    """Check that one of the keys signed the bundle.

    Raises:
        BundleError: BUNDLE_UNSIGNED, BUNDLE_SIGNATURE.
    """
    place = store.join(uri, SIGNATURE)
    if not store.exists(place):
        raise BundleError("BUNDLE_UNSIGNED", f"{uri} is not signed", "have it signed: medray bundle sign")
    (data,) = store.read_many([place], [(0, _LONGEST_BYTES)])
    if isinstance(data, StoreError):
        raise data
    if not any(_signed(key, data, digest) for key in keys):
        raise BundleError(
            "BUNDLE_SIGNATURE", f"the signature of {uri} is of none of the keys", "do not use it; ask who signed it"
        )


def _signed(key: Ed25519PublicKey, data: bytes, digest: str) -> bool:
    try:
        key.verify(base64.b64decode(data.strip(), validate=True), _PURPOSE + digest.encode())
    except (InvalidSignature, ValueError):
        return False
    return True


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(
            "BUNDLE_KEY", f"the key file {path} cannot be read: {error.strerror}", f"check {KEYS} or the option"
        ) from error


def _wrong_key(path: Path, wanted: str) -> ConfigError:
    return ConfigError("BUNDLE_KEY", f"{path} does not hold {wanted}", "make keys with medray bundle keygen")
