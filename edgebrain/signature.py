"""Detached Ed25519 signatures in the file formats of minisign (https://jedisct1.github.io/minisign/).

What is signed here, `minisign -V` verifies, and the other way round. A signature is two Ed25519 signatures: one of the
BLAKE2b-512 digest of the file, and one of that signature together with the trusted comment.

Verifying takes the `cryptography` package or, where that is missing, the program `openssl` 3: an offline kit verifies
with the system's openssl before anything of the kit is installed. This module therefore imports nothing but the
standard library and our own errors and files:

    python -m edgebrain.signature FILE SIGNATURE PUBLIC_KEY
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgebrain.errors import BadSignature, CannotWrite, EdgebrainError, MissingExtra
from edgebrain.files import refuse_to_overwrite, write_bytes

# Of a signature over the file's digest ("ED") and of the key itself ("Ed"), as minisign writes them.
PREHASHED, ED25519 = b"ED", b"Ed"
# A secret key without a password: no key derivation, checksum BLAKE2b.
NO_PASSWORD, CHECKSUM = b"\0\0", b"B2"
ID_BYTES, KEY_BYTES, SIGNATURE_BYTES = 8, 32, 64
SECRET_BYTES = 2 + 2 + 2 + 32 + 8 + 8 + ID_BYTES + 2 * KEY_BYTES + 32
# What stands before the 32 bytes of an Ed25519 public key in its DER encoding (RFC 8410).
DER_PREFIX = bytes.fromhex("302a300506032b6570032100")
COMMENT, TRUSTED = "untrusted comment: ", "trusted comment: "


@dataclass(frozen=True)
class PublicKey:
    """An Ed25519 public key.

    Attributes:
        key_id: 8 bytes that signatures name it by.
        key: 32 bytes.
    """

    key_id: bytes
    key: bytes


def generate_keys(secret: Path, public: Path) -> PublicKey:
    """Write a new pair of keys.

    Args:
        secret: File for the secret key; readable by its owner only, without a password.
        public: File for the public key.

    Raises:
        CannotWrite: One of the files exists, or the disk refuses.
        MissingExtra: `cryptography` is not installed.
    """
    refuse_to_overwrite(public)
    private = _private_key_class("making keys").generate()
    seed, public_bytes = private.private_bytes_raw(), private.public_key().public_bytes_raw()
    key = PublicKey(os.urandom(ID_BYTES), public_bytes)
    _write_secret(secret, _secret_text(key, seed))
    name = f"{int.from_bytes(key.key_id, 'little'):016X}"
    text = f"{COMMENT}minisign public key {name}\n{_base64(ED25519 + key.key_id + key.key)}\n"
    write_bytes(public, text.encode())
    return key


def sign(content: bytes, secret: Path, trusted_comment: str = "") -> bytes:
    """Sign a file's content.

    Args:
        content: The file's bytes.
        secret: File with the secret key, made by `generate_keys` or `minisign -G -W`.
        trusted_comment: A line that the signature covers; the time of signing when left out.

    Returns:
        The signature file's bytes.

    Raises:
        BadSignature: The key file cannot be used.
        MissingExtra: `cryptography` is not installed.
    """
    key_id, seed = _read_secret(secret)
    private = _private_key_class("signing").from_private_bytes(seed)
    signature = private.sign(_digest(content))
    comment = trusted_comment or f"timestamp:{int(time.time())}"
    whole = private.sign(signature + comment.encode())
    lines = [
        f"{COMMENT}signature from edgebrain",
        _base64(PREHASHED + key_id + signature),
        f"{TRUSTED}{comment}",
        _base64(whole),
    ]
    return ("\n".join(lines) + "\n").encode()


def verify(content: bytes, signature: bytes, key: PublicKey, name: str) -> str:
    """Check a signature.

    Args:
        content: The signed file's bytes.
        signature: The signature file's bytes.
        key: The public key.
        name: How errors call the signed file.

    Returns:
        The trusted comment.

    Raises:
        BadSignature: The signature is by another key, of other content, or no signature.
        MissingExtra: Neither `cryptography` nor `openssl` is here.
    """
    key_id, of_digest, comment, of_all = _parse_signature(signature, name)
    if key_id != key.key_id:
        raise BadSignature(f"{name}: is signed by another key", "ask its maker for the public key that goes with it")
    holds = _holds(key.key, of_digest, _digest(content)) and _holds(key.key, of_all, of_digest + comment.encode())
    if not holds:
        raise BadSignature(
            f"{name}: its signature does not hold: it was changed after it was signed, or the signature is of another",
            "do not use it; ask its maker for it again",
        )
    return comment


def read_public_key(path: Path) -> PublicKey:
    """The public key in a file.

    Raises:
        BadSignature: It cannot be read, or holds none.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        raw = base64.b64decode(lines[1] if lines[0].startswith(COMMENT) else lines[0], validate=True)
    except OSError as problem:
        raise BadSignature(f"{path}: cannot be read ({problem.strerror})", "name the maker's public key") from problem
    except (ValueError, IndexError) as problem:
        raise BadSignature(f"{path}: is no public key", "name the .pub file of the maker") from problem
    if len(raw) != 2 + ID_BYTES + KEY_BYTES or raw[:2] != ED25519:
        raise BadSignature(f"{path}: is no public key", "name the .pub file of the maker")
    return PublicKey(raw[2 : 2 + ID_BYTES], raw[2 + ID_BYTES :])


def main(arguments: Sequence[str]) -> int:
    """Verify FILE against SIGNATURE and PUBLIC_KEY.

    Returns:
        0 where it holds, else 1 with two lines on stderr.
    """
    try:
        file, signature, key = map(Path, arguments)
        if not signature.is_file():
            raise BadSignature(f"{signature}: is missing, so {file} is not signed", "ask its maker for a signed one")
        verify(file.read_bytes(), signature.read_bytes(), read_public_key(key), str(file))
    except EdgebrainError as error:
        print(f"Error: {error.message}", f"  {error.hint}", sep="\n", file=sys.stderr)
        return 1
    return 0


def _parse_signature(signature: bytes, name: str) -> tuple[bytes, bytes, str, bytes]:
    """Key's id, signature of the digest, trusted comment, signature of signature and comment."""
    try:
        first, line, comment, whole = signature.decode().splitlines()
        raw, of_all = base64.b64decode(line, validate=True), base64.b64decode(whole, validate=True)
        good = first.startswith(COMMENT) and comment.startswith(TRUSTED) and len(of_all) == SIGNATURE_BYTES
    except (ValueError, binascii.Error):
        good, raw, comment, of_all = False, b"", "", b""
    if not good or len(raw) != 2 + ID_BYTES + SIGNATURE_BYTES or raw[:2] != PREHASHED:
        raise BadSignature(f"{name}: its signature is no signature of minisign's kind", "sign it again")
    return raw[2 : 2 + ID_BYTES], raw[2 + ID_BYTES :], comment.removeprefix(TRUSTED), of_all


def _holds(key: bytes, signature: bytes, message: bytes) -> bool:
    """Whether an Ed25519 signature (RFC 8032) is of a message by a key."""
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    except ImportError:
        return _holds_by_openssl(key, signature, message)
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def _holds_by_openssl(key: bytes, signature: bytes, message: bytes) -> bool:
    openssl = shutil.which("openssl")
    if openssl is None:
        raise MissingExtra("cryptography, or the program openssl,", "sign", "verifying a signature")
    with tempfile.TemporaryDirectory(prefix="edgebrain-") as folder:
        files = {"key": DER_PREFIX + key, "signature": signature, "message": message}
        paths = {name: Path(folder, name) for name in files}
        for name, content in files.items():
            paths[name].write_bytes(content)
        command = [openssl, "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", str(paths["key"]), "-rawin"]
        command += ["-in", str(paths["message"]), "-sigfile", str(paths["signature"])]
        return subprocess.run(command, capture_output=True).returncode == 0


def _private_key_class(needed_for: str) -> Any:
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    except ImportError as problem:
        raise MissingExtra("cryptography", "sign", needed_for) from problem
    return Ed25519PrivateKey


def _secret_text(key: PublicKey, seed: bytes) -> bytes:
    keys = seed + key.key
    checksum = hashlib.blake2b(ED25519 + key.key_id + keys, digest_size=32).digest()
    raw = ED25519 + NO_PASSWORD + CHECKSUM + bytes(32 + 8 + 8) + key.key_id + keys + checksum
    return f"{COMMENT}minisign secret key without a password: keep it to yourself\n{_base64(raw)}\n".encode()


def _read_secret(path: Path) -> tuple[bytes, bytes]:
    """The key's id, and its seed of 32 bytes."""
    try:
        raw = base64.b64decode(path.read_text(encoding="utf-8").splitlines()[1], validate=True)
    except OSError as problem:
        raise BadSignature(f"{path}: cannot be read ({problem.strerror})", "name your secret key") from problem
    except (ValueError, IndexError) as problem:
        raise BadSignature(f"{path}: is no secret key", "make one with `edgebrain bundle keygen`") from problem
    if len(raw) != SECRET_BYTES or raw[:2] != ED25519:
        raise BadSignature(f"{path}: is no secret key", "make one with `edgebrain bundle keygen`")
    if raw[2:4] != NO_PASSWORD:
        raise BadSignature(
            f"{path}: is protected by a password", "sign with `minisign -S`, or make a key without one: minisign -G -W"
        )
    key_id, keys, checksum = raw[54:62], raw[62:126], raw[126:]
    # minisign writes none for a key without a password.
    if any(checksum) and hashlib.blake2b(ED25519 + key_id + keys, digest_size=32).digest() != checksum:
        raise BadSignature(f"{path}: is damaged: its checksum does not hold", "take it from a backup")
    return key_id, keys[:KEY_BYTES]


def _write_secret(path: Path, content: bytes) -> None:
    """A new file that only its owner can read, from its first byte on."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as problem:
        raise CannotWrite(
            f"{path}: already exists, and a secret key is never replaced", "name another file"
        ) from problem
    except OSError as problem:
        raise CannotWrite(f"{path}: cannot be written ({problem.strerror})", "choose another folder") from problem
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)


def _digest(content: bytes) -> bytes:
    return hashlib.blake2b(content).digest()


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
