"""Sealing a bundle after an edit, signing it, and verifying a signature."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgebrain import signature as minisign
from edgebrain.api.arguments import AnyPath, as_path, optional_path
from edgebrain.bundle import MANIFEST, SIGNATURE, Bundle, open_bundle, seal_bundle
from edgebrain.errors import BadSignature
from edgebrain.files import refuse_to_overwrite, write_bytes


@dataclass(frozen=True)
class Keys:
    """A pair of keys.

    Attributes:
        secret: File with the secret key: whoever has it can sign in your name.
        public: File with the public key, for those who verify.
    """

    secret: Path
    public: Path


def seal(bundle: AnyPath) -> Bundle:
    """Write the hash of a bundle's manifest anew, after an edit by hand.

    Every other file is verified first. The hash finds damage and further edits; it says nothing about who made the
    bundle, since anyone can write it anew. Bundles that name the old manifest as their parent no longer find it.

    Args:
        bundle: The bundle's folder.

    Returns:
        The sealed bundle.

    Raises:
        BadBundle: A file does not match its hash, or the manifest makes no sense.

    Example:
        >>> edgebrain.seal("runs/demo-1/bundles/tflite-int8").name
        'demo-1-tflite-int8'
    """
    return seal_bundle(as_path(bundle, "bundle"))


def generate_keys(name: AnyPath) -> Keys:
    """Write a new pair of Ed25519 keys: NAME.key (secret) and NAME.pub, as minisign reads them.

    Args:
        name: Path of the files, without the ending.

    Returns:
        The two files.

    Raises:
        CannotWrite: One of them exists.
        MissingExtra: `cryptography` is not installed.

    Example:
        >>> edgebrain.generate_keys("maker").public
        PosixPath('maker.pub')
    """
    path = as_path(name, "name")
    keys = Keys(path.with_name(f"{path.name}.key"), path.with_name(f"{path.name}.pub"))
    minisign.generate_keys(keys.secret, keys.public)
    return keys


def sign(path: AnyPath, key: AnyPath, *, out: AnyPath | None = None, force: bool = False) -> Path:
    """Sign a bundle, or a single file such as a kit.

    A bundle's signature covers its manifest, which holds the hash of every other file.

    Args:
        path: A bundle's folder, or a file.
        key: Your secret key, from `generate_keys` or `minisign -G -W`.
        out: The signature; `signature` in the bundle, or FILE.minisig, when left out.
        force: Replace a signature that is there.

    Returns:
        The signature's file.

    Raises:
        BadBundle: The bundle does not open.
        BadSignature: The key cannot be used.
        CannotWrite: A signature is there.

    Example:
        >>> keys = edgebrain.generate_keys("mine")
        >>> edgebrain.sign("runs/demo-1/bundles/tflite-int8", "mine.key")
        PosixPath('runs/demo-1/bundles/tflite-int8/signature')
    """
    file, usual = _signed_file(as_path(path, "path"))
    target = optional_path(out, "out") or usual
    secret = as_path(key, "key")
    refuse_to_overwrite(target, force)
    write_bytes(target, minisign.sign(file.read_bytes(), secret))
    return target


def verify(path: AnyPath, key: AnyPath, *, signature: AnyPath | None = None) -> str:
    """Verify that a bundle, or a file, is just what the owner of a key signed.

    Args:
        path: A bundle's folder, or a file. A bundle is opened too, so that every file in it is verified.
        key: The maker's public key, which must have come to you by another way than the bundle.
        signature: The signature; `signature` in the bundle, or FILE.minisig, when left out.

    Returns:
        The comment that was signed along, such as the time.

    Raises:
        BadSignature: There is no signature, or it is by another key or of other content.
        BadBundle: A file of the bundle was changed.

    Example:
        >>> keys = edgebrain.generate_keys("theirs")
        >>> signature = edgebrain.sign("slice.png", keys.secret)
        >>> edgebrain.verify("slice.png", keys.public)
        'timestamp:...'
    """
    file, usual = _signed_file(as_path(path, "path"))
    source = optional_path(signature, "signature") or usual
    public = minisign.read_public_key(as_path(key, "key"))
    if not source.is_file():
        raise BadSignature(f"{source}: is missing, so {path} is not signed", "ask its maker for a signed one")
    return minisign.verify(file.read_bytes(), source.read_bytes(), public, str(path))


def _signed_file(path: Path) -> tuple[Path, Path]:
    """The file that a signature covers, and the usual place of the signature. Raises BadBundle."""
    if path.is_file():
        return path, path.with_name(f"{path.name}.minisig")
    open_bundle(path)
    return path / MANIFEST, path / SIGNATURE
