"""A bundle is whole, verified, and says where it came from, or it is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgebrain.bundle import CLASSES, find_bundles, open_bundle, seal_bundle, write_bundle
from edgebrain.bundle.manifest import own_hash
from edgebrain.errors import BadBundle, CannotWrite
from edgebrain.files import canonical_json
from tests.runtime.tiny import tiny_bundle, tiny_manifest


def edit(bundle: Path, **changes: object) -> None:
    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest.update(changes)
    (bundle / "manifest.json").write_text(canonical_json(manifest))


def reseal(bundle: Path) -> None:
    """Give an edited manifest the hash that fits, so that it is refused for what it says."""
    manifest = json.loads((bundle / "manifest.json").read_text())
    edit(bundle, sha256=own_hash(manifest))


def test_a_bundle_opens_as_it_was_written(tmp_path: Path) -> None:
    written = tiny_bundle(tmp_path / "one")
    opened = open_bundle(tmp_path / "one")
    assert opened.manifest == written.manifest
    assert opened.manifest_sha256 == written.manifest_sha256
    assert opened.model_bytes == len(written.contents["model.tflite"])


def test_equal_inputs_give_equal_bytes(tmp_path: Path) -> None:
    first = tiny_bundle(tmp_path / "a" / "same")
    second = tiny_bundle(tmp_path / "b" / "same")
    assert (first.path / "manifest.json").read_bytes() == (second.path / "manifest.json").read_bytes()


def test_a_changed_model_file_is_refused_by_name(tmp_path: Path) -> None:
    tiny_bundle(tmp_path / "one")
    model = tmp_path / "one" / "model.tflite"
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.write_bytes(content)
    with pytest.raises(BadBundle, match=r"model\.tflite: does not match its hash"):
        open_bundle(tmp_path / "one")


def test_a_missing_model_file_is_named(tmp_path: Path) -> None:
    tiny_bundle(tmp_path / "one")
    (tmp_path / "one" / "model.tflite").unlink()
    with pytest.raises(BadBundle, match=r"model\.tflite: cannot be read"):
        open_bundle(tmp_path / "one")


def test_a_newer_schema_is_refused_with_the_version_that_reads_it(tmp_path: Path) -> None:
    tiny_bundle(tmp_path / "one")
    edit(tmp_path / "one", schema=2)
    with pytest.raises(BadBundle, match="schema 2 is newer than 1") as caught:
        open_bundle(tmp_path / "one")
    assert "upgrade" in caught.value.hint


def test_an_unknown_key_is_kept(tmp_path: Path) -> None:
    tiny_bundle(tmp_path / "one", licence="CC0")
    assert open_bundle(tmp_path / "one").manifest["licence"] == "CC0"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "pickle"}, "format 'pickle' is not known"),
        ({"precision": "int4"}, "precision = 'int4' is not known"),
        ({"outputs": {}}, r"key 'outputs\.mask' is missing"),
        ({"postprocess": {"threshold": 0.0, "classes": list(CLASSES)}}, "threshold is 0: every pixel above 0"),
        ({"postprocess": {"threshold": 1.0, "classes": list(CLASSES)}}, "threshold is 1: nothing would be lesion"),
        ({"postprocess": {"threshold": 0.5, "classes": list(CLASSES[1:])}}, r"not \(1, height, width, 1\)"),
        ({"parameters": 33}, "was edited: it does not match its own hash"),
        ({"files": None}, "lists no files"),
        ({"files": [{"name": "../../etc/passwd", "bytes": 1, "sha256": ""}]}, "names the file"),
        ({"schema": "one"}, "no schema number"),
    ],
)
def test_a_garbled_manifest_is_refused(change: dict[str, object], message: str, tmp_path: Path) -> None:
    tiny_bundle(tmp_path / "one")
    edit(tmp_path / "one", **change)
    if "parameters" not in change:
        reseal(tmp_path / "one")
    with pytest.raises(BadBundle, match=message):
        open_bundle(tmp_path / "one")


@pytest.mark.parametrize(("role", "activation"), [("class", "relu"), ("mask", "softmax")])
def test_an_activation_that_the_runtime_does_not_compute_is_refused(role: str, activation: str, tmp_path: Path) -> None:
    outputs = tiny_manifest("tflite", "int8", "b")["outputs"]
    outputs[role] = {**outputs[role], "activation": activation}
    with pytest.raises(BadBundle, match="asks for an activation that is not known there"):
        tiny_bundle(tmp_path / "b", precision="int8", outputs=outputs)


def test_a_manifest_without_its_own_hash_is_refused_and_sealed_again(tmp_path: Path) -> None:
    """Deleting the hash must not switch off what it guards."""
    path = tiny_bundle(tmp_path / "one").path
    manifest = json.loads((path / "manifest.json").read_text())
    del manifest["sha256"]
    manifest["postprocess"]["threshold"] = 0.4
    (path / "manifest.json").write_text(canonical_json(manifest))
    with pytest.raises(BadBundle, match=r"lacks its own hash \(key 'sha256'\)") as refused:
        open_bundle(path)
    assert refused.value.hint.endswith(f"edgebrain bundle seal {path}")
    assert seal_bundle(path).threshold == 0.4
    assert open_bundle(path).threshold == 0.4


def test_sealing_verifies_everything_else_first(tmp_path: Path) -> None:
    path = tiny_bundle(tmp_path / "one").path
    (path / "model.tflite").write_bytes(b"another model")
    before = (path / "manifest.json").read_bytes()
    with pytest.raises(BadBundle, match="does not match its hash"):
        seal_bundle(path)
    edit(path, postprocess={"threshold": 2.0, "classes": list(CLASSES)})
    with pytest.raises(BadBundle):
        seal_bundle(path)
    assert (path / "manifest.json").read_bytes() != before


def test_a_folder_that_is_no_bundle_says_what_to_pass(tmp_path: Path) -> None:
    with pytest.raises(BadBundle, match="is not a bundle") as caught:
        open_bundle(tmp_path)
    assert "edgebrain quantize" in caught.value.hint


def test_a_bundle_that_is_there_is_not_replaced_unasked(tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path / "one")
    before = (tmp_path / "one" / "manifest.json").read_bytes()
    with pytest.raises(CannotWrite, match="already exists"):
        write_bundle(tmp_path / "one", bundle.manifest, bundle.contents)
    assert (tmp_path / "one" / "manifest.json").read_bytes() == before


def test_a_write_that_fails_half_way_leaves_the_old_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = tiny_bundle(tmp_path / "one")

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("edgebrain.files.os.fsync", full)
    with pytest.raises(CannotWrite, match="No space left"):
        write_bundle(tmp_path / "one", bundle.manifest, bundle.contents, force=True)
    monkeypatch.undo()
    assert open_bundle(tmp_path / "one").manifest_sha256 == bundle.manifest_sha256
    assert [path.name for path in tmp_path.iterdir()] == ["one"]


def test_unfinished_folders_are_not_found(tmp_path: Path) -> None:
    tiny_bundle(tmp_path / "runs" / "one")
    tiny_bundle(tmp_path / "runs" / ".two.1.part")
    assert find_bundles(tmp_path) == [tmp_path / "runs" / "one"]


@pytest.mark.parametrize(
    ("precision", "sha256"),
    [
        ("float32", "a592a962578a709ebdb416cb085980b6373a57669d6e2193cf39e4c21bc6256a"),
        ("int8", "28ad729de0dfa9e7a8f0674cdc6064dfb924310be969ad069f71acece7ea22fd"),
    ],
)
def test_the_manifest_of_a_bundle_is_the_one_that_earlier_versions_wrote(
    precision: str, sha256: str, tmp_path: Path
) -> None:
    """Schema 1, byte for byte: what was written before opens, and lineages by hash go on holding."""
    assert tiny_bundle(tmp_path / "same", precision=precision).manifest_sha256 == sha256
