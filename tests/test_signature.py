"""Signatures hold for what was signed, by the key that signed it, and for nothing else."""

from __future__ import annotations

import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import edgebrain
from edgebrain import signature as minisign
from edgebrain.api.signing import Keys
from edgebrain.bundle import open_bundle
from edgebrain.cli import main
from edgebrain.errors import BadBundle, BadSignature, CannotWrite, MissingExtra
from edgebrain.files import sha256_bytes
from tests.runtime.tiny import tiny_bundle
from tests.system_programs import found, needs


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return edgebrain.generate_keys(tmp_path_factory.mktemp("keys") / "maker")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return tiny_bundle(tmp_path / "bundle").path


@pytest.fixture(params=["cryptography", "openssl"])
def verifier(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What checks the signature: the library, or the program where the library is missing."""
    if request.param == "openssl":
        needs("openssl")
        monkeypatch.setitem(sys.modules, "cryptography.exceptions", None)
    return str(request.param)


def test_a_signed_bundle_opens_and_verifies(bundle: Path, keys: Keys, verifier: str) -> None:
    before = open_bundle(bundle).manifest_sha256
    assert edgebrain.sign(bundle, keys.secret) == bundle / "signature"
    assert edgebrain.verify(bundle, keys.public).startswith("timestamp:")
    assert open_bundle(bundle).manifest_sha256 == before


def test_another_key_does_not_verify(bundle: Path, keys: Keys, tmp_path: Path, verifier: str) -> None:
    other = edgebrain.generate_keys(tmp_path / "other")
    edgebrain.sign(bundle, keys.secret)
    with pytest.raises(BadSignature, match="is signed by another key"):
        edgebrain.verify(bundle, other.public)
    # A forger who takes over the name of the key still lacks its secret.
    forged = minisign.PublicKey(
        minisign.read_public_key(keys.public).key_id, minisign.read_public_key(other.public).key
    )
    with pytest.raises(BadSignature, match="does not hold"):
        minisign.verify((bundle / "manifest.json").read_bytes(), (bundle / "signature").read_bytes(), forged, "bundle")


def test_a_bundle_that_was_edited_and_sealed_again_does_not_verify(bundle: Path, keys: Keys, verifier: str) -> None:
    """The manifest's own hash can be written anew by anyone; the signature cannot."""
    edgebrain.sign(bundle, keys.secret)
    manifest = bundle / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"parameters": 34', '"parameters": 33'))
    edgebrain.seal(bundle)
    open_bundle(bundle)
    with pytest.raises(BadSignature, match="does not hold: it was changed after it was signed"):
        edgebrain.verify(bundle, keys.public)


def test_a_changed_model_does_not_verify(bundle: Path, keys: Keys) -> None:
    edgebrain.sign(bundle, keys.secret)
    (bundle / "model.tflite").write_bytes(b"another model")
    with pytest.raises(BadBundle, match="does not match its hash"):
        edgebrain.verify(bundle, keys.public)


def test_a_signature_of_another_bundle_does_not_verify(bundle: Path, keys: Keys, tmp_path: Path, verifier: str) -> None:
    other = tiny_bundle(tmp_path / "other", precision="int8").path
    shutil.copy(edgebrain.sign(other, keys.secret), bundle / "signature")
    with pytest.raises(BadSignature, match="does not hold"):
        edgebrain.verify(bundle, keys.public)


def test_an_unsigned_bundle_does_not_verify(bundle: Path, keys: Keys) -> None:
    with pytest.raises(BadSignature, match=r"signature: is missing, so .*bundle is not signed"):
        edgebrain.verify(bundle, keys.public)


def test_the_trusted_comment_is_signed_along(bundle: Path, keys: Keys, verifier: str) -> None:
    path = edgebrain.sign(bundle, keys.secret)
    path.write_text(path.read_text().replace("timestamp:", "timestamp:9"))
    with pytest.raises(BadSignature, match="does not hold"):
        edgebrain.verify(bundle, keys.public)


@pytest.mark.parametrize(
    "content", [b"", b"nonsense", b"\xff\xfe", b"untrusted comment: x\nRWQ=\ntrusted comment: x\n\n"]
)
def test_a_garbage_signature_is_called_so(content: bytes, bundle: Path, keys: Keys) -> None:
    (bundle / "signature").write_bytes(content)
    with pytest.raises(BadSignature, match="is no signature of minisign's kind"):
        edgebrain.verify(bundle, keys.public)


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\xff\xfe", b"untrusted comment: x\nAAAA\n"])
@pytest.mark.parametrize("use", ["sign", "verify"])
def test_a_garbage_key_is_called_so(content: bytes, use: str, bundle: Path, keys: Keys, tmp_path: Path) -> None:
    edgebrain.sign(bundle, keys.secret)
    key = tmp_path / "key"
    key.write_bytes(content)
    with pytest.raises(BadSignature, match=f"{key}: is no "):
        edgebrain.verify(bundle, key) if use == "verify" else edgebrain.sign(bundle, key, force=True)
    with pytest.raises(BadSignature, match="cannot be read"):
        edgebrain.verify(bundle, tmp_path / "nowhere")


def test_a_secret_key_is_private_and_never_replaced(tmp_path: Path) -> None:
    keys = edgebrain.generate_keys(tmp_path / "maker")
    assert stat.S_IMODE(keys.secret.stat().st_mode) == 0o600
    before = keys.secret.read_bytes()
    keys.public.unlink()
    with pytest.raises(CannotWrite, match="a secret key is never replaced"):
        edgebrain.generate_keys(tmp_path / "maker")
    assert keys.secret.read_bytes() == before and not keys.public.exists()


def test_a_damaged_secret_key_is_not_used(bundle: Path, tmp_path: Path) -> None:
    import base64

    keys = edgebrain.generate_keys(tmp_path / "maker")
    comment, line = keys.secret.read_text().splitlines()
    raw = bytearray(base64.b64decode(line))
    raw[70] ^= 1
    keys.secret.write_text(f"{comment}\n{base64.b64encode(bytes(raw)).decode()}\n")
    with pytest.raises(BadSignature, match="its checksum does not hold"):
        edgebrain.sign(bundle, keys.secret)


def test_a_signature_that_is_there_is_not_replaced_unasked(bundle: Path, keys: Keys) -> None:
    first = edgebrain.sign(bundle, keys.secret).read_bytes()
    with pytest.raises(CannotWrite, match="already exists"):
        edgebrain.sign(bundle, keys.secret)
    assert (bundle / "signature").read_bytes() == first
    edgebrain.sign(bundle, keys.secret, force=True)


@given(content=st.binary(max_size=200), position=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_any_changed_bit_is_noticed(content: bytes, position: int, bit: int, keys: Keys) -> None:
    made, public = minisign.sign(content, keys.secret), minisign.read_public_key(keys.public)
    assert minisign.verify(content, made, public, "file")
    changed = bytearray(content or b"\0")
    changed[position % len(changed)] ^= 1 << bit
    with pytest.raises(BadSignature):
        minisign.verify(bytes(changed), made, public, "file")


def test_minisign_verifies_ours_and_we_verify_minisigns(bundle: Path, keys: Keys, tmp_path: Path) -> None:
    """An independent reference: the program whose file formats these are."""
    needs("minisign")
    program = found("minisign")
    made = edgebrain.sign(bundle, keys.secret)
    manifest = bundle / "manifest.json"
    checked = [program, "-V", "-p", keys.public, "-m", manifest, "-x", made]
    assert subprocess.run(checked, capture_output=True).returncode == 0
    subprocess.run([program, "-S", "-s", keys.secret, "-m", manifest, "-x", tmp_path / "theirs"], check=True)
    edgebrain.verify(bundle, keys.public, signature=tmp_path / "theirs")
    theirs = tmp_path / "their"
    subprocess.run([program, "-G", "-W", "-p", f"{theirs}.pub", "-s", f"{theirs}.key"], check=True, capture_output=True)
    edgebrain.sign(bundle, f"{theirs}.key", force=True)
    assert edgebrain.verify(bundle, f"{theirs}.pub")


def test_a_file_is_signed_beside_itself(keys: Keys, tmp_path: Path) -> None:
    kit = tmp_path / "kit.tar"
    kit.write_bytes(b"a kit")
    assert edgebrain.sign(kit, keys.secret) == tmp_path / "kit.tar.minisig"
    edgebrain.verify(kit, keys.public)


def test_without_the_library_signing_names_the_line_that_brings_it(
    bundle: Path, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "cryptography.hazmat.primitives.asymmetric.ed25519"
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtra) as missing:
        edgebrain.sign(bundle, keys.secret)
    assert "edgebrain[sign]" in missing.value.hint


def test_without_library_and_program_nothing_passes(bundle: Path, keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    edgebrain.sign(bundle, keys.secret)
    monkeypatch.setitem(sys.modules, "cryptography.exceptions", None)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MissingExtra, match="openssl"):
        edgebrain.verify(bundle, keys.public)


def code_of(*words: str) -> int:
    try:
        main(list(words))
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


def test_the_commands_seal_sign_and_verify(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    maker, other = str(tmp_path / "maker"), str(tmp_path / "other")
    assert code_of("bundle", "keygen", maker) == 0 and code_of("bundle", "keygen", other) == 0
    assert code_of("bundle", "verify", str(bundle), "--key", f"{maker}.pub") == 1
    assert code_of("bundle", "sign", str(bundle), "--key", f"{maker}.key") == 0
    capsys.readouterr()
    assert code_of("bundle", "verify", str(bundle), "--key", f"{maker}.pub") == 0
    assert "is what the owner of" in capsys.readouterr().out
    assert code_of("bundle", "verify", str(bundle), "--key", f"{other}.pub") == 1
    assert "signed by another key" in capsys.readouterr().err
    before = sha256_bytes((bundle / "manifest.json").read_bytes())
    assert code_of("bundle", "seal", str(bundle)) == 0
    assert sha256_bytes((bundle / "manifest.json").read_bytes()) == before


@pytest.mark.parametrize("break_it", [None, lambda path: path.unlink(), lambda path: path.write_bytes(b"x")])
def test_the_module_verifies_from_an_archive_with_nothing_installed(
    break_it: Callable[[Path], object] | None, bundle: Path, keys: Keys, tmp_path: Path
) -> None:
    """As an offline kit does: our wheel on the path, no site packages."""
    from edgebrain.kit.wheels import runtime_wheel

    needs("openssl")
    wheel = tmp_path / "edgebrain.whl"
    wheel.write_bytes(runtime_wheel())
    made = edgebrain.sign(bundle, keys.secret)
    if break_it is not None:
        break_it(made)
    command = [sys.executable, "-S", "-m", "edgebrain.signature", bundle / "manifest.json", made, keys.public]
    ended = subprocess.run(
        command, env={"PYTHONPATH": str(wheel), "PATH": "/usr/bin:/bin"}, capture_output=True, cwd="/"
    )
    assert ended.returncode == (0 if break_it is None else 1), ended.stderr
