"""INT8 on an emulated Arm: every step gives, to the byte, what it gives on this machine; `make test-arm`.

`make test-arm-full` compares more slices, and a person's own networks.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edgebrain.bundle import Bundle, write_bundle
from edgebrain.runtime.session import STEPS
from tests.arm.answers import answers_here, answers_there, compared, differing, header
from tests.targets.sshd import Server

pytestmark = pytest.mark.slow
# A slice of the full network takes a few seconds there, and each processor's arithmetic is the same for all slices.
GRID = [("half", "cortex-a76", 50), ("half", "cortex-a72", 5), ("full", "cortex-a76", 5), ("full", "cortex-a72", 5)]


def first(slices: dict[str, bytes], count: int) -> dict[str, bytes]:
    return dict(list(slices.items())[:count])


@pytest.mark.parametrize(("network", "cpu", "count"), GRID)
def test_every_step_gives_the_bytes_of_this_machine(
    network: str,
    cpu: str,
    count: int,
    networks: dict[str, Bundle],
    boards: Callable[[str], Server],
    unseen: dict[str, bytes],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = compared(network, networks[network], first(unseen, count), boards(cpu), cpu, tmp_path)
    with capsys.disabled():
        print(f"\n{header()}\n{found.row}")
    assert found.slices == count
    assert found.delegates == ("XNNPACK", "XNNPACK")
    assert found.differing == dict.fromkeys(STEPS, 0) and found.other_class == 0


@pytest.mark.parametrize("network", ["half", "full"])
def test_the_networks_are_trained_so_that_equal_bytes_mean_something(
    network: str, networks: dict[str, Bundle], unseen: dict[str, bytes]
) -> None:
    answers = answers_here(networks[network], unseen)["slices"].values()
    assert sum(one["marked"] > 0 for one in answers) >= len(unseen) / 2, "an empty mask is alike anywhere"
    assert len({one["label"] for one in answers}) >= 3


@pytest.mark.parametrize("network", ["half", "full"])
def test_one_flipped_weight_byte_is_noticed(
    network: str, networks: dict[str, Bundle], board: Server, unseen: dict[str, bytes], tmp_path: Path
) -> None:
    slices, bundle = first(unseen, 2), networks[network]
    model = bytearray(bundle.contents["model.tflite"])
    # The last layers' weights lie around the middle of the file.
    model[len(model) // 2] ^= 0x40
    flipped = write_bundle(tmp_path / "flipped", bundle.manifest, {**bundle.contents, "model.tflite": bytes(model)})
    found = differing(answers_here(bundle, slices), answers_there(board, tmp_path, flipped, slices))
    assert found["decode"] == found["resize"] == found["input tensor"] == 0
    assert found["raw outputs (mask)"] > 0
