"""What `make test-isa` cannot ask of an engine."""

from __future__ import annotations

import os

import pytest

CAP = "ONEDNN_MAX_CPU_ISA"


def skip_openvino_under_a_cap(engine: str = "openvino") -> None:
    """Skip what OpenVINO cannot do under AVX2 on a processor that has more.

    It compiles no INT8 model with a float layer and no float16 one, and answers nonsense to INT8 TFLite: its own code
    generators do not know of oneDNN's cap. Where the processor itself has no more it does all three, as seen under
    emulation; compression/test_quantize.py keeps an eye on it.
    """
    if engine == "openvino" and os.environ.get(CAP) == "AVX2":
        pytest.skip(f"OpenVINO's own code does not keep to {CAP}=AVX2")


def skip_bfloat16_under_a_cap() -> None:
    """Skip what TensorFlow cannot compute in bfloat16 under a cap on a processor that has it.

    It asks the processor, not oneDNN, whose kernels it then lacks. Where the processor itself has no bfloat16,
    TensorFlow has kernels of its own; training takes none under a cap (`training.precision`).
    """
    from edgebrain.training.precision import CAPS_WITHOUT_BFLOAT16

    if os.environ.get(CAP) in CAPS_WITHOUT_BFLOAT16:
        pytest.skip(f"TensorFlow's bfloat16 does not keep to {CAP}={os.environ[CAP]}")
