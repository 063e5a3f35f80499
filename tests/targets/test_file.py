"""Targets by name, by file and as user@host, and what is said of those that cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgebrain.errors import BadTarget, TargetFailed
from edgebrain.runtime.engines import libedgetpu
from edgebrain.targets import TARGETS, find_target, refuse_doubles
from edgebrain.targets.file import TargetFile, from_login, load_file
from edgebrain.targets.ssh_connection import refusal

EXAMPLE = Path(__file__).parents[2] / "deploy" / "pi.toml"


def written(folder: Path, text: str, name: str = "pi") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.toml"
    path.write_text(text)
    return path


def test_the_example_is_a_target_and_names_every_key() -> None:
    assert load_file(EXAMPLE) == TargetFile("pi", "raspberrypi.local", "pi")
    commented = EXAMPLE.read_text()
    for key in ("host", "user", "port", "threads", "engine", "device", "keep", "folder", "config", "emulated"):
        assert f"{key} = " in commented


def test_a_file_is_read_with_its_config_beside_it(tmp_path: Path) -> None:
    path = written(tmp_path, 'host = "h"\nport = 2222\nthreads = [1, 4]\nkeep = false\nconfig = "c"\n')
    found = load_file(path)
    assert (found.port, found.threads, found.keep, found.config) == (2222, (1, 4), False, tmp_path / "c")
    assert found.by_hand == f"ssh -F {tmp_path}/c -p 2222 h"
    assert found.known_as == "'[h]:2222'"
    assert load_file(written(tmp_path, 'host = "h"\nthreads = 2\n')).threads == (2,)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("host = ", "is not TOML"),
        ("user = 'pi'", "key 'host' is missing or empty"),
        ("host = 'h'\nhots = 'x'", "unknown key 'hots'"),
        ("host = '-oProxyCommand=touch x'", "host = '-oProxyCommand=touch x' is not a word"),
        ("host = 7", "host = 7: expected str, got int"),
        ("host = 'h'\nport = 70000", "port = 70000: expected int <= 65535"),
        ("host = 'h'\nport = true", "port = True: expected int"),
        ("host = 'h'\nthreads = []", "threads = [] names no thread count"),
        ("host = 'h'\nthreads = [0]", "threads[0] = 0: expected int >= 1"),
        ("host = 'h'\nkeep = 'no'", "keep = 'no': expected bool, got str"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_what_is_wrong(text: str, said: str, tmp_path: Path) -> None:
    path = written(tmp_path, text)
    with pytest.raises(BadTarget) as caught:
        load_file(path)
    assert caught.value.message.startswith(f"{path}: ") and said in caught.value.message
    assert caught.value.hint


def test_a_login_is_a_target_of_that_name() -> None:
    found = from_login("pi@raspberrypi.local")
    assert (found.name, found.host, found.user, found.keep) == (
        "pi@raspberrypi.local",
        "raspberrypi.local",
        "pi",
        True,
    )
    assert found.title == "pi@raspberrypi.local"


@pytest.mark.parametrize("login", ["@host", "user@", "user@-oProxyCommand=x", "us er@host"])
def test_a_login_that_is_none_is_refused(login: str) -> None:
    with pytest.raises(BadTarget, match="is no user@host"):
        find_target(login)


def test_names_are_looked_for_in_the_deploy_folder_and_the_known_ones_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    written(Path("deploy"), 'host = "h"\n', "ward")
    target = find_target("ward")
    target.close()
    assert target.name == "ward" and not target.here
    with pytest.raises(BadTarget) as caught:
        find_target("wrad")
    assert caught.value.hint == f"use --target {' or '.join([*TARGETS, 'ward', 'user@host'])}"
    with pytest.raises(BadTarget, match=r"ward2\.toml: no such target file"):
        find_target("ward2.toml")


def test_a_file_with_the_name_of_a_built_in_target_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    written(Path("deploy"), 'host = "h"\n', "cpu")
    with pytest.raises(BadTarget, match="two targets are called cpu"):
        find_target("cpu")


@pytest.mark.parametrize("names", [["cpu", "cpu"], ["pi", "elsewhere/pi.toml"]])
def test_two_targets_of_one_name_are_refused(names: list[str]) -> None:
    with pytest.raises(BadTarget, match=f"two targets are called {names[0]}"):
        refuse_doubles(names)


def test_a_coral_says_in_one_line_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEBRAIN_LIBEDGETPU", "libnowhere.so.1")
    with pytest.raises(TargetFailed, match=r"coral: libnowhere\.so\.1: cannot be loaded") as caught:
        find_target("coral")
    assert "install libedgetpu" in caught.value.hint
    monkeypatch.setattr(libedgetpu, "installed", lambda name: False)
    with pytest.raises(TargetFailed, match="coral: ai-edge-litert is not installed") as caught:
        find_target("coral")
    assert caught.value.hint == "pip install 'edgebrain[edge]'"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("ssh: connect to host h port 22: No route to host", "there is no route to it"),
        ("ssh: connect to host h port 22: Network is unreachable", "there is no route to it"),
        ("ssh: connect to host h port 22: Connection timed out", "it does not answer"),
        ("u@h: Permission denied (publickey,password).", "it asks for a password"),
        ("u@h: Permission denied (publickey).", "it does not take your key"),
        ("Received disconnect from h: 2: Too many authentication failures", "too many keys"),
        ("kex_exchange_identification: banner", "connecting failed (kex_exchange_identification: banner)"),
        ("", "connecting failed (it gave no reason)"),
    ],
)
def test_what_ssh_says_becomes_what_a_person_can_do(words: str, said: str) -> None:
    problem = refusal(TargetFile("pi", "h", "u"), words)
    assert problem.message.startswith("pi (u@h): connecting") and said in problem.message
    assert problem.hint
