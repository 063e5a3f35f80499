from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from edgebrain.runtime import environment as module
from edgebrain.runtime.environment import environment, peak_rss_mib, rss_mib


def pi(root: Path) -> Path:
    """The files of a Raspberry Pi that are read."""
    files = {
        "proc/cpuinfo": "processor\t: 0\nFeatures\t: fp asimd asimddp\n\nprocessor\t: 1\nFeatures\t: none\n",
        "proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0",
        "proc/meminfo": "MemTotal:        8245000 kB\nMemFree: 1 kB\n",
        "etc/os-release": 'NAME="Debian"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "ondemand\n",
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "2400000\n",
        "sys/class/thermal/thermal_zone0/temp": "61250\n",
    }
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_a_raspberry_pi_is_described_from_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.platform, "machine", lambda: "aarch64")
    facts = environment(pi(tmp_path))
    assert facts["board"] == facts["cpu"] == "Raspberry Pi 5 Model B Rev 1.0"
    assert facts["flags"]["asimddp"] and not facts["flags"]["sve"]
    assert (facts["governor"], facts["frequency_mhz"], facts["temperature_c"]) == ("ondemand", 2400.0, 61.25)
    assert facts["memory_mib"] == 8051
    assert facts["system"].startswith("Debian")


@pytest.mark.parametrize(
    ("machine", "files", "emulated"),
    [
        ("aarch64", {"proc/sys/kernel/arch": "x86_64", "proc/cpuinfo": "CPU implementer : 0x41"}, True),
        ("aarch64", {"sys/devices/system/cpu/modalias": "cpu:type:x86,ven0002:feature:,0000"}, True),
        ("aarch64", {"proc/cpuinfo": "vendor_id : AuthenticAMD"}, True),
        ("x86_64", {"proc/sys/kernel/arch": "aarch64"}, True),
        ("aarch64", {"proc/sys/kernel/arch": "aarch64"}, False),
        ("armv7l", {"proc/sys/kernel/arch": "aarch64"}, False),
        ("i686", {"proc/sys/kernel/arch": "x86_64"}, False),
        ("aarch64", {"proc/cpuinfo": "CPU implementer : 0x41"}, False),
        ("aarch64", {}, None),
    ],
)
def test_an_emulated_processor_is_told_by_what_the_kernel_says_of_itself(
    machine: str, files: dict[str, str], emulated: bool | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module.platform, "machine", lambda: machine)
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"{text}\n")
    assert environment(tmp_path)["emulated"] is emulated


def test_what_cannot_be_read_is_null_and_no_error(tmp_path: Path) -> None:
    facts = environment(tmp_path)
    unknown = ("cpu", "board", "governor", "frequency_mhz", "temperature_c", "memory_mib", "system", "virtualised")
    assert {name: facts[name] for name in unknown} == dict.fromkeys(unknown)
    json.dumps(facts, allow_nan=False)


def test_versions_are_told_without_importing_the_libraries() -> None:
    program = (
        "import sys; from edgebrain.runtime.environment import versions; "
        "print(versions()['numpy'], *({'numpy', 'openvino', 'tensorflow'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert len(done.stdout.split()) == 1 and done.stdout[0].isdigit()


def test_peak_memory_is_the_processes_own_and_not_its_parents() -> None:
    ballast = bytearray(b"x") * (200 << 20)
    program = "from edgebrain.runtime.environment import peak_rss_mib; print(peak_rss_mib())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    mine = peak_rss_mib()
    assert mine is not None and mine > len(ballast) / 2**20
    assert float(done.stdout) < 100


def test_memory_now_is_at_most_the_peak() -> None:
    now, peak = rss_mib(), peak_rss_mib()
    assert now is not None and peak is not None and 0 < now <= peak
