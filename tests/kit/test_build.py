"""What is in a kit, that it is the same each time, and what `edgebrain deploy` says of it."""

from __future__ import annotations

import json
import re
import tarfile
from pathlib import Path

import pytest

from edgebrain.api.deployment import KITS
from edgebrain.cli import main
from edgebrain.errors import CannotWrite, EdgebrainError, NoWheels
from edgebrain.files import sha256_bytes
from edgebrain.kit import build
from edgebrain.kit.build import MACHINES, PYTHON, check_kit, telling_slices
from edgebrain.phantom.generator import phantom_files
from edgebrain.runtime.image import decode
from tests.kit.native import PYTHON as HERE
from tests.kit.native import TARGET, native_kit, shim_wheels, slices, unpack
from tests.runtime.pictures import bright_disc, encoded, save
from tests.runtime.tiny import tiny_bundle


@pytest.fixture
def packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return native_kit(tiny_bundle(tmp_path / "int8", precision="int8"), tmp_path / "kit.tar", monkeypatch).path


def deploy(*words: str | Path) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["deploy", *map(str, words)])
    return int(ended.value.code or 0)


def test_equal_inputs_give_equal_kits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("first", "second"):
        native_kit(tiny_bundle(tmp_path / name / "int8", precision="int8"), tmp_path / name / "kit.tar", monkeypatch)
    first, second = ((tmp_path / name / "kit.tar").read_bytes() for name in ("first", "second"))
    assert first == second
    assert str(tmp_path).encode() not in first


def test_the_tar_holds_nothing_of_this_machine(packed: Path) -> None:
    with tarfile.open(packed) as archive:
        members = archive.getmembers()
    names = [member.name for member in members]
    assert names == sorted(names)
    assert {(member.mtime, member.uid, member.gid, member.uname) for member in members} == {(0, 0, 0, "")}
    programs = {member.name.removeprefix("edgebrain-kit/") for member in members if member.mode == 0o755}
    assert programs == {"install.sh", "device/edgebrain-predict", "device/edgebrain-selftest"}
    assert {member.mode for member in members} == {0o755, 0o644}


def test_every_file_is_listed_with_its_hash(packed: Path, tmp_path: Path) -> None:
    kit = unpack(packed, tmp_path)
    listed = dict(reversed(line.split("  ")) for line in (kit / "SHA256SUMS").read_text().splitlines())
    found = {path.relative_to(kit).as_posix() for path in kit.rglob("*") if path.is_file()}
    assert set(listed) == found - {"SHA256SUMS"}
    assert all(sha256_bytes((kit / name).read_bytes()) == digest for name, digest in listed.items())


def test_the_bundle_travels_as_it_is(packed: Path, tmp_path: Path) -> None:
    kit = unpack(packed, tmp_path)
    for path in (tmp_path / "int8").iterdir():
        assert (kit / "bundle" / path.name).read_bytes() == path.read_bytes()


def test_no_blank_is_left_open_and_the_readme_has_one_page(packed: Path, tmp_path: Path) -> None:
    kit = unpack(packed, tmp_path)
    for name in build.DEVICE_FILES:
        assert not re.search(r"@[a-z_]+@", (kit / name).read_text()), name
    readme = (kit / "README.md").read_text().splitlines()
    assert len(readme) <= 50
    assert any("numpy 1.0" in line for line in readme)


@pytest.mark.parametrize("fmt", ["openvino", "onnx"])
def test_a_format_that_the_kit_cannot_run_is_refused_with_one_that_it_can(tmp_path: Path, fmt: str) -> None:
    with pytest.raises(EdgebrainError, match=f"is {fmt}, and a kit's engine runs tflite") as caught:
        check_kit(tiny_bundle(tmp_path / "b", fmt), "pi", "3.13")
    assert "tflite-int8" in caught.value.hint


@pytest.mark.parametrize("fmt", ["keras", "edgetpu"])
def test_a_keras_or_coral_bundle_is_refused_too(tmp_path: Path, fmt: str) -> None:
    with pytest.raises(EdgebrainError, match=f"is {fmt}, and a kit's engine runs tflite"):
        check_kit(tiny_bundle(tmp_path / "b", format=fmt), "pi", "3.13")


def test_a_python_without_pins_is_refused_with_those_that_have_some(tmp_path: Path) -> None:
    with pytest.raises(NoWheels, match=r"aarch64 with Python 3\.9") as caught:
        check_kit(tiny_bundle(tmp_path / "b"), "pi", "3.9")
    assert "aarch64 with Python 3.11" in caught.value.hint


def test_a_pi_gets_wheels_of_its_own_and_python_313_unless_told_otherwise(tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path / "b")
    place, wheels = check_kit(bundle, "pi", PYTHON)
    assert (place.machine, place.python) == ("aarch64", "3.13")
    litert = next(wheel for wheel in wheels if wheel.package == "ai-edge-litert")
    assert "cp313-cp313" in litert.name and "aarch64" in litert.name
    for target in ("laptop", "container"):
        assert check_kit(bundle, target, "3.11")[0].machine == "x86_64"


def test_the_command_line_knows_the_targets_of_the_kit() -> None:
    assert set(KITS) == set(MACHINES)


def test_a_kit_that_is_there_is_not_overwritten(packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = packed.read_bytes()
    with pytest.raises(CannotWrite, match=r"kit\.tar: already exists"):
        build.build_kit(tiny_bundle(tmp_path / "other"), slices(), packed, TARGET, HERE)
    assert packed.read_bytes() == before


def test_phantoms_as_files_use_each_decoder_and_are_the_same_each_time() -> None:
    files = phantom_files(6, 20)
    assert files == phantom_files(6, 20)
    assert {Path(name).suffix for name in files} == {".png", ".jpg", ".tiff"}
    assert all(decode(content, name).ndim == 2 for name, content in files.items())


def test_the_slices_of_the_self_test_give_different_answers(tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path / "int8", precision="int8")
    dark = {f"a_{number:02}.png": encoded(bright_disc(90 + number) // 9) for number in range(30)}
    bright = {"b_1.png": encoded(bright_disc()), "b_2.jpg": encoded(bright_disc(), ".jpg")}
    chosen = telling_slices(bundle, {**dark, **bright}, 6)
    assert list(chosen) == ["a_00.png", "a_01.png", "a_02.png", "a_03.png", "b_1.png", "b_2.jpg"]
    assert chosen["b_1.png"] == bright["b_1.png"]


def test_deploy_prints_the_parts_the_size_and_the_two_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wheels, paths = shim_wheels(tmp_path / "shims")
    monkeypatch.setattr(build, "choose_wheels", lambda packages, place: wheels)
    monkeypatch.setattr(build, "wheels_for", lambda packages, place: paths)
    bundle = tiny_bundle(tmp_path / "int8", precision="int8")
    out = tmp_path / "kit.tar"
    assert (
        deploy(bundle.path, "--target", TARGET, "--python", HERE, "--out", out, "--json", tmp_path / "found.json") == 0
    )
    said = capsys.readouterr().out
    # The kit's own path may be longer.
    assert max(len(line) for line in said.splitlines() if str(out) not in line) <= 80
    for part in (
        "edgebrain runtime",
        "ai-edge-litert",
        "numpy",
        "opencv-python-headless",
        "reference slices",
    ):
        assert f"\n {part} " in said
    assert "reference was made here with numpy" in said and "not 1.0: the self-test may fail" in " ".join(said.split())
    assert said.rstrip().endswith("  tar xf kit.tar\n  edgebrain-kit/install.sh")
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["deployed"]["bytes"] == out.stat().st_size
    assert found["deployed"]["sha256"] == sha256_bytes(out.read_bytes())
    kit = unpack(out, tmp_path)
    assert len(list((kit / "reference/slices").iterdir())) == 20
    assert all(path.name.startswith("phantom_") for path in (kit / "reference/slices").iterdir())


def test_check_says_what_would_be_in_it_and_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = tiny_bundle(tmp_path / "int8", precision="int8")
    assert deploy(bundle.path, "--target", "pi", "--python", "3.11", "--check") == 0
    said = capsys.readouterr().out
    assert "aarch64, Python 3.11" in said and "opencv-python-headless" in said
    assert [path.name for path in tmp_path.iterdir()] == ["int8"]
    assert deploy(bundle.path, "--target", "container", "--check", "--json", "-") == 0
    assert json.loads(capsys.readouterr().out)["machine"] == "x86_64"


def test_slices_of_a_person_travel_only_when_named_and_without_their_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wheels, paths = shim_wheels(tmp_path / "shims")
    monkeypatch.setattr(build, "choose_wheels", lambda packages, place: wheels)
    monkeypatch.setattr(build, "wheels_for", lambda packages, place: paths)
    for number in range(22):
        save(tmp_path / f"scans/Jane Doe {number:02}.png", bright_disc(90 + number))
    bundle = tiny_bundle(tmp_path / "int8", precision="int8")
    assert deploy(bundle.path, "--target", TARGET, "--python", HERE, "--slices", tmp_path / "scans") == 0
    assert "travel in the kit: whoever has it can see them" in " ".join(capsys.readouterr().out.split())
    packed = tmp_path / f"int8-{TARGET}.tar"
    assert b"Jane" not in packed.read_bytes()
    kit = unpack(packed, tmp_path)
    assert sorted(path.name for path in (kit / "reference/slices").iterdir()) == [
        f"slice_{number:02}.png" for number in range(1, 21)
    ]
    (tmp_path / "scans/Jane Doe 00.png").write_bytes(b"no picture")
    assert deploy(bundle.path, "--target", TARGET, "--python", HERE, "--slices", tmp_path / "scans", "--force") == 1
    assert "Jane Doe 00.png" in capsys.readouterr().err


def test_options_of_kits_are_refused_for_other_targets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = tiny_bundle(tmp_path / "int8", precision="int8")
    assert deploy(bundle.path, "--target", "coral", "--python", "3.11") == 1
    assert "do not go with --target coral" in capsys.readouterr().err
