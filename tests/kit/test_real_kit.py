"""The kit with its real wheels: its size, and its life on this machine.

Slow, and skipped by name where the wheels can neither be found nor fetched.
"""

from __future__ import annotations

import json
import re
import shutil
import signal
import time
from pathlib import Path

import pytest

from edgebrain.bundle import open_bundle
from edgebrain.recipe import replaced
from tests.compression.test_quantize import RECIPE, compress
from tests.kit.native import PYTHON, TARGET, Device, as_root, make_device, real_kit, system_python, unpack
from tests.networks import FinishedRun
from tests.system_programs import needs

pytestmark = pytest.mark.slow
SOMEBODY = 54321
MOST_BYTES = 90_000_000
SLICES = 20


@pytest.fixture(scope="module")
def bundles(computed: FinishedRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The computed network, as float32 and as int8."""
    folder = tmp_path_factory.mktemp("bundles")
    compress(computed, replaced(RECIPE, "compress", formats=("tflite",)), folder)
    return folder


@pytest.fixture(autouse=True)
def wheels_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """100 MB are fetched once, not in each session."""
    monkeypatch.delenv("XDG_CACHE_HOME")


@pytest.mark.parametrize("python", ["3.11", "3.13"])
def test_a_kit_for_a_pi_has_less_than_90_mb(bundles: Path, tmp_path: Path, python: str) -> None:
    kit = real_kit(open_bundle(bundles / "tflite-int8"), tmp_path / "kit.tar", "pi", python)
    print(f"{kit.stat().st_size / 1e6:.1f} MB")
    assert 50_000_000 < kit.stat().st_size < MOST_BYTES
    names = [path.name for path in (unpack(kit, tmp_path) / "wheels").iterdir()]
    assert all(name.endswith("-any.whl") or "aarch64" in name for name in names)


@pytest.fixture
def somebody(tmp_path: Path) -> Device:
    """A user without rights, without a network, without pip, with a folder of their own."""
    as_root()
    needs("setpriv")
    if not system_python().startswith("/usr"):
        pytest.skip("needs a Python that others may run")
    device = make_device(tmp_path)
    shutil.chown(device.home, SOMEBODY, SOMEBODY)
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    offline = [shutil.which("unshare") or "", "-n"]
    device.before = [*offline, *f"/usr/bin/setpriv --reuid {SOMEBODY} --regid {SOMEBODY} --clear-groups".split()]
    return device


def test_a_user_without_rights_network_and_pip_lives_with_it(bundles: Path, tmp_path: Path, somebody: Device) -> None:
    packed = real_kit(open_bundle(bundles / "tflite-int8"), tmp_path / "int8.tar", TARGET, PYTHON)
    kit = unpack(packed, tmp_path / "usb stick")
    done = somebody.run(kit / "install.sh")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"PASS: {SLICES} slices, the same bytes in every step" in done.stdout

    scans = sorted((kit / "reference/slices").iterdir())
    done = somebody.run(somebody.installed / "bin/edgebrain-predict", scans[0], "--out", "edgebrain/out", "--json", "-")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)[0]["label"] in {"glioma", "meningioma", "pituitary", "no_tumor"}

    assert watched(somebody, scans) == [path.name for path in scans]

    newer = real_kit(open_bundle(bundles / "tflite-float32"), tmp_path / "float32.tar", TARGET, PYTHON)
    done = somebody.run(unpack(newer, tmp_path / "newer") / "install.sh")
    assert "replaced: " in done.stdout and "float32" in done.stdout, done.stdout + done.stderr
    assert (somebody.installed / "out/results.csv").is_file()

    done = somebody.run(kit / "install.sh", "--uninstall")
    assert done.returncode == 0 and "kept: what else is in" in done.stdout
    assert sorted(path.name for path in somebody.installed.iterdir()) == [".edgebrain", "out"]


def watched(device: Device, scans: list[Path]) -> list[str]:
    """The names in the table of a watched folder into which these scans were put."""
    inbox, table = device.home / "in", device.home / "answers/results.csv"
    inbox.mkdir()
    process = device.start(device.installed / "bin/edgebrain-predict", "--watch", inbox, "--out", table.parent)
    for scan in scans:
        shutil.copy(scan, inbox)
    end = time.monotonic() + 120
    while not table.exists() or len(table.read_text().splitlines()) <= len(scans):
        assert process.poll() is None and time.monotonic() < end, process.communicate()
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0 and f"{len(scans)} files done" in out, err
    return [line.split(",")[0] for line in table.read_text().splitlines()[1:]]


def test_without_xnnpack_the_self_test_fails_at_the_raw_outputs(
    bundles: Path, tmp_path: Path, somebody: Device
) -> None:
    """The interpreter's own kernels round differently: that is no step here or there, and it is told."""
    packed = real_kit(open_bundle(bundles / "tflite-int8"), tmp_path / "kit.tar", TARGET, PYTHON)
    done = somebody.run(unpack(packed, tmp_path) / "install.sh")
    assert done.returncode == 0, done.stderr
    engine = (somebody.installed / "site/edgebrain/runtime/engines/interpreter.py").resolve()
    resolver = "__import__('ai_edge_litert.interpreter').interpreter.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES"
    option = f"num_threads=threads, experimental_op_resolver_type={resolver})"
    engine.write_text(engine.read_text().replace("num_threads=threads)", option))
    done = somebody.run(somebody.installed / "bin/edgebrain-selftest")
    assert done.returncode == 3
    assert re.search(r"FAIL at raw outputs \(mask\): phantom_\S+: \d+ of 4096 values differ", done.stdout)
    assert "  delegate: XNNPACK there, None here" in done.stdout
