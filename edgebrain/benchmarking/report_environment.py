"""The part of a bench report that describes machines: what they are, and their state while they measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from edgebrain.settings import Meta


@dataclass(frozen=True, kw_only=True)
class Condition:
    """What changes on a machine while it measures; None where it cannot be read."""

    governor: Annotated[str | None, Meta(description="frequency governor of the first core")]
    frequency_mhz: Annotated[float | None, Meta(description="clock of the first core in MHz")]
    temperature_c: Annotated[float | None, Meta(description="first thermal zone in degrees Celsius")]
    load: Annotated[float, Meta(description="mean number of runnable processes over 1 min")]
    throttled: Annotated[
        int | None,
        Meta(
            description="bits of a Raspberry Pi's `vcgencmd get_throttled`: 0 under-voltage, 1 clock capped, "
            "2 throttled, 3 soft temperature limit; 16 to 19 the same since it started"
        ),
    ] = None


@dataclass(frozen=True)
class Ticks:
    """CPU time of all cores since the machine started, in hundredths of a second."""

    total: Annotated[int, Meta(description="hundredths of a second of all cores together")]
    steal: Annotated[int, Meta(description="of these, what the host of a virtual machine took")]


@dataclass(frozen=True, kw_only=True)
class MachineState(Condition):
    """A machine just before or just after a block of queries."""

    ticks: Annotated[Ticks | None, Meta(description="CPU time since it started: `total`, `steal`")] = None


@dataclass(frozen=True, kw_only=True)
class Environment(Condition):
    """The machine of a target, before measuring."""

    machine: Annotated[str, Meta(description="processor architecture")]
    cpu: Annotated[str | None, Meta(description="processor model")]
    board: Annotated[str | None, Meta(description="board or computer model")]
    cores: Annotated[int, Meta(description="logical processors")]
    cores_usable: Annotated[int, Meta(description="logical processors that the process may use")]
    flags: Annotated[
        dict[str, bool],
        Meta(description="instruction set -> present, for those that decide int8 and bfloat16 speed"),
    ]
    virtualised: Annotated[bool | None, Meta(description="runs under a hypervisor")]
    memory_mib: Annotated[int | None, Meta(description="memory of the machine in MiB")]
    kernel: Annotated[str, Meta(description="kernel release")]
    system: Annotated[str | None, Meta(description="operating system")]
    python: Annotated[str, Meta(description="Python version")]
    versions: Annotated[dict[str, str | None], Meta(description="library -> version, null where not installed")]
    libc: Annotated[str | None, Meta(description="C library and its version")] = None
    emulated: Annotated[
        bool | None,
        Meta(
            description="our code runs on an emulated processor of another kind than the kernel's; null where that "
            "cannot be determined"
        ),
    ] = None
