"""`make test-isa` caps the instructions that oneDNN may use; a cap that nobody keeps to would test nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.instruction_sets import CAP
from tests.runtime.tiny import tiny_bundle


@pytest.mark.delicate
@pytest.mark.skipif(os.environ.get(CAP) != "AVX2", reason=f"{CAP} is not AVX2: see `make test-isa`")
def test_openvino_keeps_to_avx2_where_it_is_told_to(tmp_path: Path) -> None:
    import openvino

    bundle = tiny_bundle(tmp_path / "tiny", "openvino")
    compiled = openvino.Core().compile_model(bundle.path / "model.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    kernels = {
        node.get_rt_info()["layerType"].astype(str): node.get_rt_info()["primitiveType"].astype(str)
        for node in compiled.get_runtime_model().get_ordered_ops()
    }
    assert "avx512" not in kernels["Convolution"]
