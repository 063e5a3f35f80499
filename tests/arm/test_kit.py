"""The offline kit on Arm without a Pi: installed, watched and uninstalled in an emulated aarch64 Debian."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from edgebrain.bundle import Bundle
from edgebrain.errors import NoWheels
from edgebrain.kit.build import build_kit, telling_slices
from edgebrain.phantom.generator import phantom_files
from tests.arm.emulated import PYTHONS, registered, root_folder

pytestmark = pytest.mark.slow
SLICES = 20
# What is written goes to an overlay; the kit lies in /home, the user without rights in /home/pi.
ON_ARM = """
set -e
mount -t overlay overlay -o lowerdir={given},upperdir={tmp}/upper,workdir={tmp}/work {tmp}/root
mount --bind /proc {tmp}/root/proc && mount --rbind /dev {tmp}/root/dev
{sys}
tar -xf {kit} -C {tmp}/root/home
mkdir {tmp}/root/home/pi
chown 54321:54321 {tmp}/root/home/pi
exec unshare -n chroot --userspec=54321:54321 {tmp}/root /usr/bin/env -i HOME=/home/pi PATH=/usr/bin:/bin \\
    QEMU_CPU=cortex-a76 /bin/sh -c 'cd; {script}'
"""
WITH_SYS = "mount --rbind /sys {tmp}/root/sys"
# The table has a line for its names.
LIFE = f"""
    kit=/home/edgebrain-kit; $kit/install.sh && mkdir in && cp $kit/reference/slices/* in || exit 1
    edgebrain/bin/edgebrain-predict in --out edgebrain/out >/dev/null || exit 1
    edgebrain/bin/edgebrain-predict --watch in --out watched >told & watcher=$!
    until [ "$(wc -l 2>/dev/null <watched/results.csv)" = {SLICES + 1} ]; do sleep 2; done
    kill -TERM $watcher; wait $watcher; tail -n 1 told
    $kit/install.sh --uninstall; ls edgebrain; uname -m"""


def kit_for(release: str, bundle: Bundle, folder: Path) -> Path:
    """The real kit of a trained int8 bundle, for this release's Python."""
    slices = telling_slices(bundle, phantom_files(60, 20), SLICES)
    try:
        return build_kit(bundle, slices, folder / "kit.tar", "pi", PYTHONS[release]).path
    except NoWheels as problem:
        pytest.skip(problem.message)


def on_arm(release: str, kit: Path, script: str, sys: str) -> subprocess.CompletedProcess[str]:
    """Run a script as a user without rights and network in the emulated Debian, beside an unpacked kit."""
    tmp = kit.parent
    for name in ("upper", "work", "root"):
        (tmp / name).mkdir()
    filled = ON_ARM.format(given=root_folder(release), tmp=tmp, kit=kit, script=script, sys=sys.format(tmp=tmp))
    with registered():
        return subprocess.run(["unshare", "-m", "sh", "-c", filled], capture_output=True, text=True, timeout=900)


@pytest.mark.parametrize("release", PYTHONS)
def test_a_kit_for_a_pi_gives_the_same_bytes_on_an_emulated_one(release: str, int8: Bundle, tmp_path: Path) -> None:
    done = on_arm(release, kit_for(release, int8, tmp_path), LIFE, WITH_SYS)
    assert f"PASS: {SLICES} slices, the same bytes in every step" in done.stdout, done.stdout + done.stderr
    assert f"{SLICES} files done: watched" in done.stdout
    assert done.stdout.endswith("uninstalled: /home/pi/edgebrain\nout\naarch64\n")


def test_where_sys_is_hidden_an_emulated_pi_computes_without_xnnpack_and_is_refused(
    int8: Bundle, tmp_path: Path
) -> None:
    done = on_arm("bookworm", kit_for("bookworm", int8, tmp_path), "/home/edgebrain-kit/install.sh; ls -A", "")
    assert "FAIL at raw outputs (mask)" in done.stdout, done.stdout + done.stderr
    assert done.stdout.endswith("  delegate: XNNPACK there, None here\n  machine: x86_64 there, aarch64 here\n")
    assert "the self-test did not pass: nothing was installed" in done.stderr
