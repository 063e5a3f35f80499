"""Wheels for a platform: which are chosen, how they are fetched and checked, and what our own one holds."""

import base64
import hashlib
import io
import json
import os
import subprocess
import sys
import zipfile

import pytest
from packaging.tags import compatible_tags, cpython_tags
from packaging.utils import parse_wheel_filename

from edgebrain.errors import NoWheels
from edgebrain.files import sha256_bytes, write_bytes, write_json
from edgebrain.kit import wheels
from edgebrain.kit.wheels import Platform, choose_wheels, known_platforms, runtime_wheel, runtime_wheel_name, wheels_for

PI = Platform("aarch64", "2.36", "3.11")
ON_A_PI = ["ai-edge-litert", "msgspec", "numpy", "opencv-python-headless"]


def tiny_wheel(name):
    """A wheel that pip accepts, with nothing in it."""
    about = f"{name}-1.0.dist-info"
    contents = {
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: false\nTag: cp311-cp311-linux\n",
    }
    contents[f"{about}/RECORD"] = "".join(f"{path},,\n" for path in contents)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path, text in contents.items():
            archive.writestr(path, text)
    return packed.getvalue()


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """An index of one package with wheels for two C libraries, pinned; pip looks nowhere else."""
    index, locks = tmp_path / "index", tmp_path / "locks"
    files = {f"tiny-1.0-cp311-cp311-manylinux_2_{glibc}_aarch64.whl": tiny_wheel("tiny") for glibc in (28, 34)}
    for name, content in files.items():
        write_bytes(index / name, content)
    pins = {"version": "1.0", "needs": [], "wheels": {name: sha256_bytes(files[name]) for name in files}}
    write_json(locks / "cp311-aarch64.json", {"packages": {"tiny": pins}})
    monkeypatch.setattr(wheels, "LOCKS", locks)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    return index


def test_a_pi_gets_wheels_of_its_own_processor_python_and_c_library():
    chosen = {wheel.package: wheel for wheel in choose_wheels(ON_A_PI, PI)}
    assert set(ON_A_PI) < set(chosen)
    assert "typing-extensions" in chosen, "what ai-edge-litert needs comes along"
    assert chosen["ai-edge-litert"].name.startswith("ai_edge_litert-")
    assert "-cp311-cp311-manylinux" in chosen["ai-edge-litert"].name
    assert all("x86_64" not in wheel.name for wheel in chosen.values())
    assert "openvino" not in chosen


def test_an_older_c_library_gets_the_older_wheel():
    newest, older = (
        choose_wheels(["opencv-python-headless"], Platform("aarch64", glibc, "3.11")) for glibc in ("2.41", "2.27")
    )
    names = [next(wheel.name for wheel in chosen if wheel.package.startswith("opencv")) for chosen in (newest, older)]
    assert "manylinux_2_28" in names[0]
    assert "manylinux_2_17" in names[1]


def test_a_c_library_too_old_is_refused_with_the_one_that_would_do():
    with pytest.raises(NoWheels, match=r"no wheel of ai-edge-litert .* fits aarch64, glibc 2.24") as caught:
        choose_wheels(ON_A_PI, Platform("aarch64", "2.24", "3.11"))
    assert "glibc 2.27 or newer" in caught.value.hint


@pytest.mark.parametrize("platform", [Platform("armv7l", "2.36", "3.11"), Platform("aarch64", "2.36", "3.9")])
def test_a_platform_without_pins_is_refused_with_those_that_have_some(platform):
    with pytest.raises(
        NoWheels, match=f"no wheels are pinned for {platform.machine} with Python {platform.python}"
    ) as caught:
        choose_wheels(ON_A_PI, platform)
    assert "aarch64 with Python 3.11" in caught.value.hint
    assert "aarch64 with Python 3.11" in known_platforms()


def by_packaging(names, platform):
    """The wheel that pip would take of these, by `packaging`; None where none fits."""
    major, minor = map(int, platform.glibc.split("."))
    older = {version: name for name, version in wheels.OLD_TAGS.items()}
    tags = []
    for one in range(minor, 4, -1):
        tags.append(f"manylinux_{major}_{one}_{platform.machine}")
        tags += [f"{older[major, one]}_{platform.machine}"] if (major, one) in older else []
    python = tuple(map(int, platform.python.split(".")))
    order = [*cpython_tags(python, platforms=tags), *compatible_tags(python, f"cp{python[0]}{python[1]}", tags)]
    found = [(order.index(tag), name) for name in names for tag in parse_wheel_filename(name)[3] if tag in order]
    return min(found)[1] if found else None


@pytest.mark.parametrize("lock", sorted(wheels.LOCKS.glob("*.json")), ids=lambda lock: lock.stem)
def test_the_wheel_chosen_is_the_one_that_packaging_ranks_first(lock):
    tag, machine = lock.stem.split("-", 1)
    packages = json.loads(lock.read_text())["packages"]
    for minor in range(5, 42, 3):
        platform = Platform(machine, f"2.{minor}", f"{tag[2]}.{tag[3:]}")
        for name, pin in packages.items():
            try:
                chosen = wheels._choose(name, pin, platform).name
            except NoWheels:
                chosen = None
            assert chosen == by_packaging(pin["wheels"], platform), platform


def test_an_unknown_package_is_refused_with_those_that_are_pinned():
    with pytest.raises(NoWheels, match="tensorflow is not pinned"):
        choose_wheels(["tensorflow"], PI)


def test_a_wheel_is_fetched_once_and_then_comes_from_the_cache(shelf):
    first = wheels_for(["tiny"], PI)
    assert [path.name for path in first] == ["tiny-1.0-cp311-cp311-manylinux_2_34_aarch64.whl"]
    for path in shelf.iterdir():
        path.unlink()
    assert wheels_for(["tiny"], PI) == first


def test_a_damaged_wheel_in_the_cache_is_fetched_again(shelf):
    (path,) = wheels_for(["tiny"], PI)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    wheels_for(["tiny"], PI)
    assert path.read_bytes() == whole


def test_a_wheel_with_another_hash_is_not_taken(shelf, tmp_path):
    for path in shelf.iterdir():
        path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(NoWheels, match=r"tiny-1\.0.* is not in the cache and cannot be fetched"):
        wheels_for(["tiny"], PI)
    assert not (tmp_path / "cache/edgebrain/wheels").exists()


def test_without_a_network_the_message_names_the_wheel_the_platform_and_the_folder(shelf, tmp_path):
    for path in shelf.iterdir():
        path.unlink()
    with pytest.raises(NoWheels, match=r"for aarch64, glibc 2\.36, Python 3\.11 is not in the cache") as caught:
        wheels_for(["tiny"], PI)
    assert str(tmp_path / "cache/edgebrain/wheels") in caught.value.hint


def test_our_own_wheel_holds_the_runtime_and_what_it_imports_and_nothing_else():
    with zipfile.ZipFile(io.BytesIO(runtime_wheel())) as archive:
        names = set(archive.namelist())
        ours = {name for name in names if not name.startswith(f"edgebrain-{wheels.__version__}.dist-info/")}
        record = archive.read(f"edgebrain-{wheels.__version__}.dist-info/RECORD").decode()
        for name in ours:
            digest = base64.urlsafe_b64encode(hashlib.sha256(archive.read(name)).digest()).rstrip(b"=").decode()
            assert f"{name},sha256={digest}," in record
    assert "edgebrain/runtime/worker.py" in ours
    assert "edgebrain/runtime/engines/litert.py" in ours
    roots = {name.split("/")[1] for name in ours}
    assert roots == {
        "__init__.py",
        "bundle",
        "errors.py",
        "files.py",
        "formats.py",
        "libraries.py",
        "plugins.py",
        "progress.py",
        "settings.py",
        "signature.py",
        "text.py",
        "runtime",
    }


def test_our_own_wheel_has_the_same_bytes_each_time():
    assert runtime_wheel() == runtime_wheel()


def test_the_worker_starts_from_our_own_wheel_alone(tmp_path):
    path = tmp_path / runtime_wheel_name()
    path.write_bytes(runtime_wheel())
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path / "site")
    done = subprocess.run(
        [sys.executable, "-c", "import edgebrain.runtime.__main__ as m, edgebrain.runtime.worker; print(m.__file__)"],
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.stdout.startswith(str(tmp_path / "site")), done.stderr
