"""``medray bundle``: signatures of bundles."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medray.cli.options import BundleUri
from medray.cli.output import AsJson, show

app = typer.Typer(no_args_is_help=True, help="Sign bundles, and check what is signed.")


@app.command()
def keygen(
    key: Annotated[Path, typer.Argument(help="where the private key goes; the public one goes to KEY.pub", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """Make a pair of Ed25519 keys, as PEM files; the private one is for its owner alone (mode 600)."""
    from medray.bundles.signature import make_keys

    public = make_keys(key)
    show({"private key": str(key), "public key": str(public)}, as_json, "Keys")


@app.command()
def sign(
    bundle: BundleUri,
    key: Annotated[Path, typer.Option(help="PEM file of an Ed25519 private key", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """Check a bundle against its manifest and write its signature, bundle.sig, beside it."""
    from medray.bundles.signature import sign as write_signature

    fingerprint = _checked(bundle)
    write_signature(fingerprint, bundle, key)
    show({"bundle": bundle, "fingerprint": fingerprint, "signed": True}, as_json, "Signed")


@app.command()
def verify(
    bundle: BundleUri,
    public_key: Annotated[Path, typer.Option(help="PEM file of the Ed25519 public keys that are trusted", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """Check a bundle against its manifest, and that one of the keys signed it."""
    from medray.bundles.signature import public_keys
    from medray.bundles.signature import verify as check_signature

    keys = public_keys(public_key)
    fingerprint = _checked(bundle)
    check_signature(fingerprint, bundle, keys)
    show({"bundle": bundle, "fingerprint": fingerprint, "signed": True}, as_json, "Verified")


def _checked(uri: str) -> str:
    """The fingerprint of a bundle whose files are as its manifest says, the one that its registry recorded if one did."""
    from medray.bundles.manifest import check_bundle
    from medray.bundles.registry import recorded

    return check_bundle(uri, recorded(uri), own=True).fingerprint()
