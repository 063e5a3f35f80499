"""Renew the pins of the wheels for devices: `make locks`. Needs uv and a network; writes edgebrain/kit/locks/.

uv resolves once a Python and processor; of its two outputs one names the files with their hashes, the other says which
package needs which.
"""

import re
import subprocess
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgebrain.files import write_json
from edgebrain.kit.wheels import LOCKS

ROOT = Path(__file__).parents[1]
PYTHONS = ("3.11", "3.12", "3.13")
MACHINES = ("aarch64", "x86_64")
# Debian 12's; older wheels are listed too, and run with newer C libraries.
GLIBC = "2_36"
EXTRAS = ("edge", "onnx", "openvino")
# Needed to convert models, not to run them.
NOT_ON_A_DEVICE = ("onnx", "sympy")
# Of the packages that every edgebrain needs, those that the runtime imports.
ON_EVERY_DEVICE = ("msgspec", "numpy")


def main() -> None:
    """Write a file of pins for each Python and processor."""
    requirements = _requirements()
    for python in PYTHONS:
        for machine in MACHINES:
            pins = {"python": python, "machine": machine, "packages": _resolve(requirements, python, machine)}
            path = LOCKS / f"cp{python.replace('.', '')}-{machine}.json"
            write_json(path, pins)
            print(f"{path}: {len(pins['packages'])} packages")


def _requirements() -> str:
    """What the device extras of pyproject.toml ask for, and what the runtime itself needs."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [line for extra in EXTRAS for line in project["optional-dependencies"][extra]]
    wanted += [line for line in project["dependencies"] if _name(line) in ON_EVERY_DEVICE]
    return "\n".join(dict.fromkeys(line for line in wanted if _name(line) not in NOT_ON_A_DEVICE))


def _resolve(requirements: str, python: str, machine: str) -> dict[str, Any]:
    options = ["--python-platform", f"{machine}-manylinux_{GLIBC}", "--python-version", python]
    named = tomllib.loads(_compile(requirements, [*options, "--format", "pylock.toml"]))
    via = _compile(requirements, [*options, "--annotation-style", "line"])
    packages: dict[str, Any] = {}
    for package in named["packages"]:
        wheels = {Path(wheel["url"]).name: wheel["hashes"]["sha256"] for wheel in package["wheels"]}
        packages[package["name"]] = {"version": package["version"], "needs": [], "wheels": wheels}
    for needed, needers in re.findall(r"^(\S+)==\S+\s+# via (.+)$", via, re.MULTILINE):
        for needer in set(needers.split(", ")) & set(packages):
            packages[needer]["needs"].append(needed)
    return packages


def _compile(requirements: str, options: Sequence[str]) -> str:
    command = ["uv", "pip", "compile", "-", "--quiet", "--no-header", "--only-binary", ":all:", *options]
    return subprocess.run(command, input=requirements, capture_output=True, text=True, check=True).stdout


def _name(requirement: str) -> str:
    return re.split(r"[<>=!~\[;]", requirement)[0]


if __name__ == "__main__":
    main()
