"""install.sh on this machine: what it installs, what it refuses and what it leaves behind."""

from __future__ import annotations

import os
import re
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import edgebrain
from edgebrain.api.signing import Keys
from edgebrain.bundle import open_bundle
from edgebrain.kit.build import DEVICE
from tests.kit.native import MACHINE, PYTHON, TOOLS, Device, change_runtime, make_device, native_kit, seal, unpack
from tests.runtime.pictures import bright_disc, save
from tests.runtime.tiny import tiny_bundle
from tests.system_programs import found, needs

LITERT = "ai_edge_litert.interpreter"
PARTS = {"bin", "site", "bundle", "reference", "kit.json"}


@pytest.fixture
def kit(packed: Path, tmp_path: Path) -> Path:
    """The unpacked kit, in a folder with a space in its name."""
    return unpack(packed, tmp_path / "usb stick")


@pytest.fixture
def device(tmp_path: Path) -> Device:
    return make_device(tmp_path)


def refused(device: Device, kit: Path, *words: str | Path) -> str:
    """The two lines with which install.sh refuses."""
    done = device.run(kit / "install.sh", *words)
    assert done.returncode != 0, done.stdout
    assert done.stderr.startswith("Error: ") and len(done.stderr.splitlines()) == 2, done.stderr
    assert done.stderr.splitlines()[1].strip(), "there is a way out"
    assert "installed:" not in done.stdout
    return done.stderr


def nothing_installed(folder: Path) -> bool:
    return not folder.exists()


def test_one_command_installs_tests_itself_and_predicts(kit: Path, device: Device) -> None:
    done = device.run(kit / "install.sh")
    assert done.returncode == 0, done.stderr
    assert "PASS: 3 slices, the same bytes in every step" in done.stdout
    assert "installed: int8 (int8, edgebrain" in done.stdout
    assert {path.name for path in device.installed.iterdir()} >= PARTS
    save(device.home / "scan 1.png", bright_disc())
    done = device.run(device.installed / "bin/edgebrain-predict", "scan 1.png", "--out", "out")
    assert done.returncode == 0, done.stderr
    assert (device.home / "out/scan 1_mask.png").is_file()
    assert device.run(device.installed / "bin/edgebrain-selftest").returncode == 0


def test_the_commands_work_through_a_link_and_beside_files_named_like_modules(kit: Path, device: Device) -> None:
    device.run(kit / "install.sh", "--to", "the brain/")
    save(device.home / "scan.png", bright_disc())
    for name in ("numpy.py", "json.py", "cv2.py"):
        (device.home / name).write_text("raise SystemExit('the wrong module')\n")
    (device.home / "predict").symlink_to(device.home / "the brain/bin/edgebrain-predict")
    done = device.run(device.home / "predict", "scan.png", "--out", "out")
    assert done.returncode == 0, done.stderr + done.stdout


def test_busybox_installs_it_too(kit: Path, device: Device) -> None:
    needs("busybox")
    for name in TOOLS:
        (device.path / name).unlink()
        (device.path / name).symlink_to(found("busybox") or "")
    done = device.run(kit / "install.sh")
    assert done.returncode == 0, done.stderr
    assert device.run(kit / "install.sh").returncode == 0
    assert device.run(kit / "install.sh", "--uninstall").returncode == 0
    assert nothing_installed(device.installed)


@pytest.mark.parametrize(
    "name",
    ["bundle/model.tflite", "bundle/manifest.json", "reference/expected.json", "device/edgebrain-predict", "kit.json"],
)
def test_a_file_that_was_changed_is_named_before_anything_is_installed(kit: Path, device: Device, name: str) -> None:
    content = bytearray((kit / name).read_bytes())
    content[len(content) // 2] ^= 1
    (kit / name).write_bytes(content)
    assert f"{name}: is missing or does not match its hash; nothing was installed" in refused(device, kit)
    assert nothing_installed(device.installed)


def test_a_wheel_cut_short_or_missing_is_named(kit: Path, device: Device) -> None:
    wheel = next((kit / "wheels").glob("numpy*"))
    wheel.write_bytes(wheel.read_bytes()[:-1])
    assert f"wheels/{wheel.name}: is missing or does not match" in refused(device, kit)
    wheel.unlink()
    assert f"wheels/{wheel.name}: is missing or does not match" in refused(device, kit)


def test_a_list_of_hashes_that_was_cut_short_is_refused(kit: Path, device: Device) -> None:
    lines = (kit / "SHA256SUMS").read_text().splitlines(keepends=True)
    (kit / "SHA256SUMS").write_text("".join(lines[:-1]))
    assert "SHA256SUMS: is missing, or does not list the files" in refused(device, kit)
    (kit / "SHA256SUMS").unlink()
    assert "SHA256SUMS: is missing" in refused(device, kit)


def test_a_wheel_that_nobody_listed_is_not_unpacked(kit: Path, device: Device) -> None:
    wheel = next((kit / "wheels").glob("cv2*"))
    shutil.copy(wheel, kit / "wheels/phantom_head-1.0-py3-none-any.whl")
    (kit / "wheels/phantom_head-1.0-py3-none-any.whl").write_bytes(b"no zip")
    assert device.run(kit / "install.sh").returncode == 0


@pytest.mark.parametrize(
    ("answer", "said", "way_out"),
    [
        ("armv7l", "this system is 32-bit (armv7l)", "64-bit system"),
        ("i686", "this system is 32-bit (i686)", "64-bit system"),
        ("riscv64", "this machine is a riscv64", "kits for aarch64 and x86_64"),
        (
            "aarch64" if MACHINE == "x86_64" else "x86_64",
            f"the kit is for {MACHINE}",
            "edgebrain deploy BUNDLE --target",
        ),
    ],
)
def test_another_processor_is_named(kit: Path, device: Device, answer: str, said: str, way_out: str) -> None:
    device.stub("uname", f"echo {answer}")
    told = refused(device, kit)
    assert said in told and way_out in told
    assert nothing_installed(device.installed)


@pytest.mark.parametrize(
    ("facts", "said", "way_out"),
    [
        (f"32 {PYTHON} True glibc 2.36", "but the system on it is 32-bit", "Raspberry Pi OS (64-bit)"),
        ("64 3.9 True glibc 2.31", f"the kit is for Python {PYTHON}, here is Python 3.9", "kits for Python 3.11 3.12"),
        ("64 2.7 True glibc 2.31", "here is Python 2.7", "kits for Python"),
        ("64 3.12 True glibc 2.39", "here is Python 3.12", "edgebrain deploy BUNDLE --target [a-z]+ --python 3.12"),
        (f"64 {PYTHON} False glibc 2.24", "the C library here is glibc 2.24, glibc 2.28 or newer", "newer Debian"),
        (f"64 {PYTHON} False none", "the C library here is none, glibc 2.28", "musl"),
    ],
)
def test_a_python_that_does_not_fit_is_named(kit: Path, device: Device, facts: str, said: str, way_out: str) -> None:
    if PYTHON == "3.12":
        pytest.skip("the kit itself is for 3.12")
    device.stub("python3", f"echo {facts}")
    told = refused(device, kit)
    assert said in told and re.search(way_out.replace("(", r"\(").replace(")", r"\)"), told)
    assert nothing_installed(device.installed)


def test_what_is_asked_of_python_is_answered_by_a_real_one(kit: Path, device: Device) -> None:
    script = (kit / "install.sh").read_text().replace("glibc='2.28'", "glibc='99.1'")
    (kit / "install.sh").write_text(script)
    seal(kit)
    assert re.search(r"the C library here is glibc 2\.\d+, glibc 99.1 or newer is needed", refused(device, kit))


def test_no_python_at_all_is_said(kit: Path, device: Device) -> None:
    (device.path / "python3").unlink()
    assert f"there is no Python here, Python {PYTHON} is needed\n  apt-get install python3" in refused(device, kit)


def test_a_python_without_its_standard_library_is_said(kit: Path, device: Device) -> None:
    device.stub("python3", f'case $1 in -c) echo "64 {PYTHON} True glibc 2.36";; *) exit 1;; esac')
    assert "lacks parts of its standard library" in refused(device, kit)


def test_the_fitting_python_is_taken_where_python3_is_another(kit: Path, device: Device) -> None:
    (device.path / "python3").rename(device.path / f"python{PYTHON}")
    device.stub("python3", "echo 64 3.9 True glibc 2.31")
    assert device.run(kit / "install.sh").returncode == 0


def test_a_folder_that_holds_something_else_is_left_alone(kit: Path, device: Device) -> None:
    device.installed.mkdir()
    (device.installed / "thesis.txt").write_text("mine")
    assert "already holds something else (thesis.txt)" in refused(device, kit)
    assert [path.name for path in device.installed.iterdir()] == ["thesis.txt"]
    (device.home / "file").write_text("mine")
    assert f"{device.home}/file: is a file" in refused(device, kit, "--to", "file")


@pytest.fixture
def signed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Keys]:
    """An unpacked kit whose bundle its maker signed, and the maker's keys."""
    needs("openssl")
    keys = edgebrain.generate_keys(tmp_path / "maker")
    bundle = tiny_bundle(tmp_path / "int8", precision="int8")
    edgebrain.sign(bundle.path, keys.secret)
    kit = native_kit(bundle, tmp_path / "signed.tar", monkeypatch)
    return unpack(kit.path, tmp_path / "signed kit"), keys


def with_openssl(device: Device) -> Device:
    """The device with the program that verifies."""
    (device.path / "openssl").symlink_to(str(found("openssl")))
    return device


def test_a_signed_bundle_is_installed_for_who_names_the_makers_key(device: Device, signed: tuple[Path, Keys]) -> None:
    kit, keys = signed
    done = with_openssl(device).run(kit / "install.sh", "--key", keys.public)
    assert done.returncode == 0, done.stderr
    assert "installed: int8" in done.stdout
    assert (device.installed / "bundle/signature").is_file()


def test_a_bundle_signed_by_another_key_is_not_installed(
    device: Device, signed: tuple[Path, Keys], tmp_path: Path
) -> None:
    kit, _ = signed
    other = edgebrain.generate_keys(tmp_path / "other")
    error = refused(with_openssl(device), kit, "--key", other.public)
    assert "is signed by another key" in error
    assert nothing_installed(device.installed)


def test_an_unsigned_bundle_is_not_installed_for_who_names_a_key(kit: Path, device: Device, tmp_path: Path) -> None:
    keys = edgebrain.generate_keys(tmp_path / "maker")
    error = refused(device, kit, "--key", keys.public)
    assert "is missing, so" in error and "is not signed" in error
    assert nothing_installed(device.installed)


def test_another_bundle_with_mended_hashes_is_not_installed_for_who_names_a_key(
    device: Device, signed: tuple[Path, Keys]
) -> None:
    kit, keys = signed
    manifest = kit / "bundle" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"parameters": 34', '"parameters": 33'))
    edgebrain.seal(kit / "bundle")
    seal(kit)
    assert "its signature does not hold" in refused(with_openssl(device), kit, "--key", keys.public)
    assert nothing_installed(device.installed)


def test_what_cannot_be_verified_is_not_installed(device: Device, signed: tuple[Path, Keys]) -> None:
    kit, keys = signed
    assert "openssl" in refused(device, kit, "--key", keys.public)
    assert "cannot be read" in refused(with_openssl(device), kit, "--key", "nowhere.pub")
    assert nothing_installed(device.installed)


def test_wrong_words_are_told_with_the_right_ones(kit: Path, device: Device) -> None:
    assert "--into: is not known" in refused(device, kit, "--into", "x")
    assert "--to needs a folder" in refused(device, kit, "--to")
    done = device.run("env", "-u", "HOME", kit / "install.sh")
    assert "HOME is not set" in done.stderr and "--to" in done.stderr
    assert "--uninstall" in device.run(kit / "install.sh", "--help").stdout


def test_a_newer_kit_replaces_the_old_one_and_leaves_results_alone(
    kit: Path, device: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert device.run(kit / "install.sh").returncode == 0
    (device.installed / "results").mkdir()
    (device.installed / "results/results.csv").write_text("mine\n")
    newer = tiny_bundle(tmp_path / "newer", precision="float32")
    second = unpack(native_kit(newer, tmp_path / "newer.tar", monkeypatch).path, tmp_path / "second")
    done = device.run(second / "install.sh")
    assert "replaced: int8 (int8, edgebrain" in done.stdout
    assert "installed: newer (float32, edgebrain" in done.stdout
    assert open_bundle(device.installed / "bundle").name == "newer"
    assert (device.installed / "results/results.csv").read_text() == "mine\n"
    assert len(list(device.installed.glob(".kit.*"))) == 1, "the old one is gone"


def test_a_kit_that_fails_its_self_test_changes_nothing(kit: Path, device: Device, tmp_path: Path) -> None:
    assert device.run(kit / "install.sh").returncode == 0
    before = (device.installed / "current").readlink()
    broken = kit.parent / "broken"
    shutil.copytree(kit, broken)
    change_runtime(broken, "transform.py", "threshold * 255.0)", "threshold * 200.0)")
    done = device.run(broken / "install.sh")
    assert "FAIL at mask: slice_0.png" in done.stdout
    assert "the self-test did not pass: nothing was installed" in done.stderr
    assert (device.installed / "current").readlink() == before
    assert len(list(device.installed.glob(".kit.*"))) == 1
    assert device.run(device.installed / "bin/edgebrain-selftest").returncode == 0
    assert device.run(broken / "install.sh", "--to", "elsewhere").returncode == 1
    assert not (device.home / "elsewhere").exists()


def test_weights_that_were_changed_together_with_the_list_of_hashes_are_named(kit: Path, device: Device) -> None:
    model = kit / "bundle/model.tflite"
    model.write_bytes(model.read_bytes()[:-1])
    seal(kit)
    assert "model.tflite: does not match its hash" in device.run(kit / "install.sh").stderr
    assert nothing_installed(device.installed)


@pytest.mark.parametrize(
    ("file", "old", "new", "step"),
    [
        ("image.py", "pixels if pixels.ndim == 2", "pixels ^ 1 if pixels.ndim == 2", "decode"),
        ("transform.py", "INTER_LINEAR_EXACT)", "INTER_LINEAR)", "resize"),
        # Of another length: Python goes by the date, to the second, and the size of a file.
        ("transform.py", "np.floor(real / port.scale + 0.5)", "np.floor(real / port.scale + 1.50)", "input tensor"),
        ("engines/interpreter.py", "num_threads=threads)", "num_threads=threads, {plain})", "raw outputs"),
        ("transform.py", "threshold * 255.0)", "threshold * 200.00)", "mask"),
    ],
)
def test_code_that_was_changed_after_the_installation_is_named_at_its_step(
    trained_kit: Path, device: Device, file: str, old: str, new: str, step: str
) -> None:
    assert device.run(trained_kit / "install.sh").returncode == 0
    path = (device.installed / "site/edgebrain/runtime" / file).resolve()
    plain = (
        "experimental_op_resolver_type=__import__('ai_edge_litert.interpreter').interpreter.OpResolverType.BUILTIN_REF"
    )
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new.format(plain=plain)))
    done = device.run(device.installed / "bin/edgebrain-selftest")
    assert done.returncode == 3, done.stdout + done.stderr
    assert f"FAIL at {step}" in done.stdout
    assert re.search(r"\d+ of \d+ values differ, the largest difference is \d+", done.stdout)


@pytest.fixture(scope="module")
def trained_kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A kit of the tiny network with slices that are soft and noisy: no step gives the same by chance."""
    from tests.runtime.test_selftest import slices

    folder = tmp_path_factory.mktemp("soft")
    with pytest.MonkeyPatch.context() as patch:
        kit = native_kit(tiny_bundle(folder / "int8", precision="int8"), folder / "kit.tar", patch, slices())
    return unpack(kit.path, folder / "kit")


def killed_when(device: Device, kit: Path, reached: Callable[[], bool], sign: signal.Signals) -> None:
    """Start install.sh and end it with all its children as soon as a point is reached."""
    process = device.start(kit / "install.sh")
    end = time.monotonic() + 60
    while not reached():
        assert process.poll() is None and time.monotonic() < end, "it was over before the point was reached"
        time.sleep(0.002)
    os.killpg(process.pid, sign)
    out, _ = process.communicate()
    assert "installed:" not in out and process.returncode != 0


POINTS = {
    "the folder is made": "",
    "the first wheel is unpacked": "site/*",
    "the self-test begins": "python",
}


@pytest.mark.parametrize("point", POINTS)
def test_a_kill_leaves_nothing_that_counts_as_installed(kit: Path, device: Device, point: str) -> None:
    pattern = f".kit.*/{POINTS[point]}".rstrip("/")
    killed_when(device, kit, lambda: any(device.installed.glob(pattern)), signal.SIGKILL)
    assert not (device.installed / "current").exists()
    assert not (device.installed / "kit.json").exists()
    done = device.run(kit / "install.sh")
    assert done.returncode == 0, done.stderr
    assert "replaced:" not in done.stdout
    assert len(list(device.installed.glob(".kit.*"))) == 1, "what was left over is swept"


def test_a_kill_during_an_upgrade_leaves_the_old_one_working(kit: Path, device: Device) -> None:
    assert device.run(kit / "install.sh").returncode == 0
    before = (device.installed / "current").readlink()
    killed_when(device, kit, lambda: len(list(device.installed.glob(".kit.*/python"))) == 2, signal.SIGKILL)
    assert (device.installed / "current").readlink() == before
    assert device.run(device.installed / "bin/edgebrain-selftest").returncode == 0


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_term_tidy_up(kit: Path, device: Device, sign: signal.Signals) -> None:
    killed_when(device, kit, lambda: any(device.installed.glob(".kit.*/python")), sign)
    assert nothing_installed(device.installed)


def test_uninstalling_keeps_what_it_did_not_bring(kit: Path, device: Device) -> None:
    assert "edgebrain is not installed there" in refused(device, kit, "--uninstall")
    assert device.run(kit / "install.sh").returncode == 0
    (device.installed / "results.csv").write_text("mine\n")
    done = device.run(kit / "install.sh", "--uninstall")
    assert done.returncode == 0 and "kept: what else is in" in done.stdout
    assert {path.name for path in device.installed.iterdir()} == {"results.csv", ".edgebrain"}
    assert device.run(kit / "install.sh").returncode == 0, "it may come back to its folder"
    (device.installed / "results.csv").unlink()
    assert device.run(kit / "install.sh", "--uninstall").returncode == 0
    assert nothing_installed(device.installed)


def test_a_folder_of_a_person_is_never_uninstalled(kit: Path, device: Device) -> None:
    (device.home / "bin").mkdir()
    (device.home / "bundle").mkdir()
    assert "edgebrain is not installed there" in refused(device, kit, "--uninstall", "--to", device.home)
    assert (device.home / "bin").is_dir() and (device.home / "bundle").is_dir()


def test_a_folder_of_a_person_in_the_way_is_told(kit: Path, device: Device) -> None:
    assert device.run(kit / "install.sh").returncode == 0
    (device.installed / "mine").write_text("")
    assert device.run(kit / "install.sh", "--uninstall").returncode == 0
    (device.installed / "bin").mkdir()
    assert "bin: is in the way" in refused(device, kit)


@pytest.mark.parametrize("name", ["install.sh", "edgebrain-predict", "edgebrain-selftest"])
@pytest.mark.parametrize("checker", ["dash -n", "busybox sh -n", "shellcheck --severity=warning"])
def test_the_scripts_are_plain_posix_shell(name: str, checker: str, device: Device) -> None:
    program, *options = checker.split()
    needs(program)
    done = device.run(found(program), *options, DEVICE / name)
    assert done.returncode == 0, done.stdout + done.stderr
