"""The watched folder as a service, and what only root can try: full disks, read-only folders, other users."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from edgebrain.kit.build import DEVICE
from tests.kit.native import Device, as_root, make_device, seal, system_python, unpack
from tests.system_programs import needs

UNIT = "edgebrain-watch.service"
DEPLOY = Path(__file__).parents[2] / "deploy/raspberry-pi"
SOMEBODY = 54321
# Folders of the system that a test may write to: its own, for as long as the command runs.
PRIVATE = """
set -e
PATH=/usr/bin:/bin
mount -t tmpfs tmpfs /etc/systemd
mkdir /etc/systemd/system
mount -t tmpfs tmpfs /var/lib
mount -t tmpfs tmpfs /opt
set +e
"""


@pytest.fixture
def kit(packed: Path, tmp_path: Path) -> Path:
    return unpack(packed, tmp_path)


@pytest.fixture
def device(tmp_path: Path) -> Device:
    """With a systemctl and a useradd that only say how they were called."""
    device = make_device(tmp_path)
    for name in ("systemctl", "useradd"):
        device.stub(name, f'echo "called: {name} $*"')
    device.stub("id", '[ "$1" = -u ] && exec /usr/bin/id -u; exit 1')
    return device


def in_private(device: Device, script: str) -> subprocess.CompletedProcess[str]:
    """Run a script as root where /etc/systemd, /var/lib and /opt are its own."""
    as_root()
    there = f"export HOME='{device.home}' PATH='{device.path}'\n"
    return device.run(shutil.which("unshare") or "", "-m", "/bin/sh", "-c", PRIVATE + there + script)


def test_the_unit_is_the_one_in_the_deploy_folder() -> None:
    assert (DEPLOY / UNIT).read_text() == (DEVICE / UNIT).read_text()


def test_the_unit_is_unprivileged_offline_and_cannot_write_to_the_system() -> None:
    lines = (DEVICE / UNIT).read_text().splitlines()
    closed = {f"{name}=yes" for name in ("PrivateNetwork", "ProtectHome", "NoNewPrivileges", "PrivateDevices")}
    assert closed | {"ProtectSystem=strict", "CapabilityBoundingSet=", "User=edgebrain"} <= set(lines)
    assert not [line for line in lines if line.startswith("ReadWritePaths")]


def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    needs("systemd-analyze")
    if not Path("/lib/systemd/system/sysinit.target").exists():
        pytest.skip("needs systemd's own units")
    command = shutil.copy(DEVICE / "edgebrain-predict", tmp_path)
    Path(command).chmod(0o755)
    unit = tmp_path / UNIT
    unit.write_text((DEVICE / UNIT).read_text().replace("/opt/edgebrain/bin", str(tmp_path)))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    unit.write_text(unit.read_text().replace("ProtectSystem=strict", "ProtectSystem=quite"))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True)
    assert "quite" in done.stderr, "what is no setting is found"


def test_systemd_calls_the_unit_safe() -> None:
    needs("systemd-analyze")
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", str(DEVICE / UNIT)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    exposure = re.search(r"Overall exposure level for \S+: ([0-9.]+)", said)
    assert exposure is not None and float(exposure[1]) < 1.5


def test_the_service_is_installed_started_and_taken_away_again(kit: Path, device: Device) -> None:
    if not system_python().startswith("/usr"):
        pytest.skip("needs a Python of the system")
    show = "cat /etc/systemd/system/*.service; "
    done = in_private(
        device,
        f'"{kit}/install.sh" --service && {show} "{kit}/install.sh" --uninstall --service;'
        " echo units: $(ls /etc/systemd/system) opt: $(ls /opt)",
    )
    said = done.stdout
    assert done.returncode == 0 and "PASS" in said, said + done.stderr
    assert "called: useradd --system" in said and "--shell /usr/sbin/nologin edgebrain" in said
    assert "called: systemctl daemon-reload\ncalled: systemctl enable --now edgebrain-watch.service" in said
    assert "ExecStart=/opt/edgebrain/bin/edgebrain-predict --watch /var/lib/edgebrain/in" in said
    assert "called: systemctl disable --now edgebrain-watch.service" in said
    assert said.rstrip().endswith("units: opt:")


def test_the_unit_follows_the_folder_and_other_folders_are_refused(kit: Path, device: Device) -> None:
    if not system_python().startswith("/usr"):
        pytest.skip("needs a Python of the system")
    done = in_private(device, f'"{kit}/install.sh" --service --to /opt/brain-2; cat /etc/systemd/system/*.service')
    assert "ExecStart=/opt/brain-2/bin/edgebrain-predict" in done.stdout
    for folder, said in {
        "/home/pi/edgebrain": "the service cannot see that folder",
        "/opt/the brain": "a unit takes letters, digits",
    }.items():
        done = in_private(device, f'"{kit}/install.sh" --service --to "{folder}"; ls /opt')
        assert said in done.stderr and "use --to /opt/edgebrain" in done.stderr
        assert not done.stdout.strip()


def test_answers_of_another_bundle_are_put_aside_and_those_of_the_same_one_stay(kit: Path, device: Device) -> None:
    if not system_python().startswith("/usr"):
        pytest.skip("needs a Python of the system")
    answers = "/var/lib/edgebrain/out"
    other = f"mkdir -p {answers}; echo 'manifest_sha256 of another' >{answers}/model.json; "
    done = in_private(device, f'{other} "{kit}/install.sh" --service; ls /var/lib/edgebrain')
    assert "kept: the answers of the bundle before, in /var/lib/edgebrain/out-until-" in done.stdout
    assert re.fullmatch(r"out-until-\d{8}T\d{6}Z", done.stdout.splitlines()[-1])
    same = f"mkdir -p {answers}; sha256sum <'{kit}/bundle/manifest.json' >{answers}/model.json; "
    done = in_private(device, f'{same} "{kit}/install.sh" --service; ls /var/lib/edgebrain')
    assert "kept:" not in done.stdout and done.stdout.splitlines()[-1] == "out"


def test_without_root_or_systemd_a_service_is_refused(kit: Path, device: Device) -> None:
    device.stub("id", "echo 1000")
    done = device.run(kit / "install.sh", "--service")
    assert done.returncode == 1 and "--service needs root\n  sudo ./install.sh --service" in done.stderr
    device.stub("id", "echo 0")
    (device.path / "systemctl").unlink()
    done = device.run(kit / "install.sh", "--service")
    assert done.returncode == 1 and "there is no systemd here" in done.stderr


def test_a_full_disk_is_said_before_and_while_unpacking_and_leaves_nothing(kit: Path, device: Device) -> None:
    as_root()
    tell = "; echo left: $(ls -A /opt)"
    small = "/usr/bin/mount -o remount,size=100k /opt; "
    done = in_private(device, f'{small} "{kit}/install.sh" --to /opt/e{tell}')
    assert re.search(r"/opt/e: 0 MiB are free, \d+ MiB are needed\n  free some space", done.stderr), done.stderr
    assert done.stdout == "left:\n"
    script = kit / "install.sh"
    script.write_text(re.sub("needs_kib=.*", "needs_kib=1", script.read_text()))
    seal(kit)
    done = in_private(device, f'{small} "{kit}/install.sh" --to /opt/e{tell}')
    assert done.stderr.startswith("Error: ") and "free some space" in done.stderr, done.stderr
    assert done.stdout == "left:\n"


def test_a_read_only_folder_is_said(kit: Path, device: Device) -> None:
    done = in_private(device, f'/usr/bin/mount -o remount,ro /opt; "{kit}/install.sh" --to /opt/edgebrain')
    assert done.returncode == 1
    assert done.stderr.startswith("Error: /opt/edgebrain: cannot be written\n  choose another --to"), done.stderr


def test_a_folder_of_somebody_else_is_said_and_their_installation_left_alone(kit: Path, device: Device) -> None:
    as_root()
    needs("setpriv")
    become = f"/usr/bin/setpriv --reuid {SOMEBODY} --regid {SOMEBODY} --clear-groups"
    # The folders of the tests are closed to others; a copy in the private one is not.
    there = (
        f"cp -R '{kit}' /opt/kit && cp -R '{device.path}' /opt/tools && PATH=/opt/tools && chmod -R a+rX /opt/kit && "
    )
    done = in_private(device, f"{there} mkdir -m 755 /opt/theirs && {become} /opt/kit/install.sh --to /opt/theirs/e")
    if "there is no Python" in done.stderr:
        pytest.skip("needs a Python that others may run")
    assert done.stderr.startswith("Error: /opt/theirs/e: cannot be written"), done.stderr
    done = in_private(
        device,
        f"{there} /opt/kit/install.sh --to /opt/e >/opt/log && {become} /opt/kit/install.sh --uninstall --to /opt/e;"
        " ls -d /opt/e/current /opt/e/bin",
    )
    assert "Error: /opt/e: cannot be written" in done.stderr, done.stderr
    assert done.stdout.split() == ["/opt/e/bin", "/opt/e/current"]
