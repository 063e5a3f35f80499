"""`edgebrain bundle seal`, `keygen`, `sign` and `verify`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgebrain.cli.options import Force

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Signed = Annotated[Path, typer.Argument(help="Bundle folder, or a file such as kit.tar.", metavar="BUNDLE|FILE")]


@app.command()
def seal(bundle: Annotated[Path, typer.Argument(help="Bundle folder whose manifest you have edited.")]) -> None:
    """Renew the hash of an edited manifest, after verifying every other file.

    The hash finds damage and edits by hand. It does not say who made the bundle: for that, sign it. Bundles that name
    the old manifest as their parent no longer find it, and a signature of the old one does not hold.

    Example: edgebrain bundle seal runs/demo-1/bundles/tflite-int8
    """
    from edgebrain.api.signing import seal as seal_folder

    print(f"{bundle}: sealed, manifest sha256 {seal_folder(bundle).manifest_sha256}")


@app.command()
def keygen(name: Annotated[Path, typer.Argument(help="Write NAME.key (secret) and NAME.pub (public).")]) -> None:
    """Make a pair of Ed25519 keys in minisign's format, without a password.

    Example: edgebrain bundle keygen maker
    """
    from edgebrain.api.signing import generate_keys

    keys = generate_keys(name)
    print(f"{keys.secret}: secret, keep it to yourself\n{keys.public}: give it to those who verify, by another way")


@app.command()
def sign(
    path: Signed,
    key: Annotated[Path, typer.Option("--key", help="Your secret key.")],
    out: Annotated[
        Path | None, typer.Option(help="Signature file; default: `signature` in the bundle, or FILE.minisig.")
    ] = None,
    force: Force = False,
) -> None:
    """Sign a bundle or a file; `minisign -V` verifies it too.

    Example: edgebrain bundle sign runs/demo-1/bundles/tflite-int8 --key maker.key
    """
    from edgebrain.api.signing import sign as sign_path

    print(f"{sign_path(path, key, out=out, force=force)}: signature")


@app.command()
def verify(
    path: Signed,
    key: Annotated[
        Path, typer.Option("--key", help="The maker's public key, which must reach you by another way than the bundle.")
    ],
    signature: Annotated[
        Path | None, typer.Option(help="Signature file; default: `signature` in the bundle, or FILE.minisig.")
    ] = None,
) -> None:
    """Verify that a bundle or a file is exactly what the owner of the key signed; exit code 1 if not.

    Example: edgebrain bundle verify runs/demo-1/bundles/tflite-int8 --key maker.pub
    """
    from edgebrain.api.signing import verify as verify_path

    print(f"{path}: is what the owner of {key} signed ({verify_path(path, key, signature=signature)})")
