"""The machine under a measurement: processor, flags, governor, heat, memory, versions. What cannot be read is None.

Versions come from the libraries' metadata; none is imported. /proc and /sys are read here and not by psutil, which has
neither peak memory nor governor, takes temperatures from other sensors, and would be one more wheel on each device.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from edgebrain import __version__
from edgebrain.formats import ENGINES

# Instructions that decide how fast an int8 or a bfloat16 model is; x86-64 first, then Arm.
FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_int8", "amx_bf16")
ARM_FLAGS = ("neon", "asimd", "asimddp", "i8mm", "bf16", "sve")
PACKAGES = tuple(
    dict.fromkeys(("numpy", "opencv-python-headless", *(engine.package for engine in ENGINES.values()), "tensorflow"))
)
# A Raspberry Pi's own program for power and heat; it answers in milliseconds or not at all.
VCGENCMD, PATIENCE_S = "vcgencmd", 2.0
CPUFREQ = "sys/devices/system/cpu/cpu0/cpufreq"


def environment(root: Path = Path("/")) -> dict[str, Any]:
    """Facts about this machine; the fields are those of `benchmarking.report_environment.Environment`.

    Args:
        root: Parent of /proc and /sys.

    Returns:
        Facts by name; units are in the names (memory_mib, frequency_mhz, temperature_c in degrees Celsius). flags:
        name -> present, for the instructions that matter on this kind of processor.
    """
    cpuinfo = _cpuinfo(root)
    machine = platform.machine()
    flags = set(cpuinfo.get("flags", cpuinfo.get("Features", "")).split())
    return {
        "machine": machine,
        "cpu": cpuinfo.get("model name") or _text(root / "proc/device-tree/model") or None,
        "board": _text(root / "proc/device-tree/model") or _text(root / "sys/class/dmi/id/product_name"),
        "cores": os.cpu_count(),
        "cores_usable": len(os.sched_getaffinity(0)),
        "flags": {flag: flag in flags for flag in (ARM_FLAGS if machine.startswith(("arm", "aarch")) else FLAGS)},
        "virtualised": "hypervisor" in flags if "flags" in cpuinfo else None,
        "emulated": _emulated(machine, root, cpuinfo),
        "memory_mib": _memory_mib(root),
        "kernel": platform.release(),
        "system": _system(root),
        "libc": " ".join(filter(None, platform.libc_ver())) or None,
        "python": platform.python_version(),
        "versions": versions(),
        **condition(root),
    }


def condition(root: Path = Path("/")) -> dict[str, Any]:
    """What changes while one measures: governor, frequency_mhz, temperature_c, load (1 min mean), throttled.

    Args:
        root: Parent of /sys.

    Returns:
        throttled is the bits of `vcgencmd get_throttled`; None where there is no such program.
    """
    frequency = _number(root / CPUFREQ / "scaling_cur_freq")
    temperature = _number(root / "sys/class/thermal/thermal_zone0/temp")
    return {
        "governor": _governor(root),
        "frequency_mhz": None if frequency is None else frequency / 1e3,
        "temperature_c": None if temperature is None else temperature / 1e3,
        "load": os.getloadavg()[0],
        "throttled": _throttled(),
    }


def versions() -> dict[str, str | None]:
    """Version of each library that a figure can depend on, None where it is not installed."""
    return {"edgebrain": __version__, **{package: _version(package) for package in PACKAGES}}


def rss_mib() -> float | None:
    """Memory that this process holds now, in MiB."""
    return _status_mib("VmRSS")


def peak_rss_mib() -> float | None:
    """The most memory that this process has held, in MiB.

    Not `getrusage`: its figure survives exec, so that a small child of a large parent would show the parent's size.
    """
    return _status_mib("VmHWM")


def _governor(root: Path) -> str | None:
    """The governor; with its driver where that follows the load whatever the governor is called (kernel.org,
    admin-guide/pm/intel_pstate: `powersave` there is what `schedutil` is elsewhere)."""
    governor, driver = (_text(root / CPUFREQ / name) for name in ("scaling_governor", "scaling_driver"))
    return f"{governor} ({driver})" if governor and driver and "pstate" in driver else governor


def _throttled() -> int | None:
    """The answer `throttled=0x50005` as a number: raspberrypi.com/documentation/computers/os.html, get_throttled."""
    program = shutil.which(VCGENCMD)
    if program is None:
        return None
    try:
        output = subprocess.run([program, "get_throttled"], capture_output=True, text=True, timeout=PATIENCE_S).stdout
        return int(output.strip().removeprefix("throttled="), 16)
    # Without rights on its device the program answers an error text.
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None


def _emulated(machine: str, root: Path, cpuinfo: Mapping[str, str]) -> bool | None:
    """Whether another kind of processor than the kernel's runs our code; None where that cannot be determined.

    An emulator of user programs answers `uname` and, of late, shows a /proc/cpuinfo of its own, but not the kernel's
    own name (/proc/sys/kernel/arch, since Linux 6.1) nor the processors of /sys.
    """
    modalias = (_text(root / "sys/devices/system/cpu/modalias") or "").removeprefix("cpu:type:").split(",")[0]
    shown = "x86_64" if "vendor_id" in cpuinfo else "aarch64" if "CPU implementer" in cpuinfo else None
    kernel = _text(root / "proc/sys/kernel/arch") or modalias or shown
    return None if not kernel else _family(kernel) != _family(machine)


def _family(machine: str) -> str:
    """32 and 64 bit of one kind of processor are alike: either kernel runs the programs of both."""
    name = machine.lower()
    if name.startswith(("arm", "aarch64")):
        return "arm"
    return "x86" if name in ("i386", "i686") or name.startswith("x86") else name


def _status_mib(key: str) -> float | None:
    for line in (_text(Path("/proc/self/status")) or "").splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) / 1024
    return None


def _cpuinfo(root: Path) -> dict[str, str]:
    """The first processor's entry of /proc/cpuinfo."""
    first = (_text(root / "proc/cpuinfo") or "").split("\n\n", 1)[0]
    pairs = (line.partition(":") for line in first.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def _memory_mib(root: Path) -> int | None:
    for line in (_text(root / "proc/meminfo") or "").splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) // 1024
    return None


def _system(root: Path) -> str | None:
    for line in (_text(root / "etc/os-release") or "").splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip('"')
    return None


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _text(path: Path) -> str | None:
    # The device tree ends its texts with NUL.
    try:
        return path.read_text(errors="replace").strip().strip("\0") or None
    except OSError:
        return None


def _number(path: Path) -> float | None:
    try:
        return float(_text(path) or "")
    except ValueError:
        return None
