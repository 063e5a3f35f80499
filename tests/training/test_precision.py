from __future__ import annotations

from pathlib import Path

import pytest

from edgebrain.training import precision
from edgebrain.training.precision import compute_policy


@pytest.mark.parametrize(
    ("cap", "flags", "policy"),
    [
        ("", "avx2 avx512_bf16", "mixed_bfloat16"),
        ("DEFAULT", "avx2 amx_bf16", "mixed_bfloat16"),
        ("AVX2", "avx2 avx512_bf16", "float32"),
        ("avx512_core", "avx2 avx512_bf16", "float32"),
        ("", "avx2", "float32"),
    ],
)
def test_bfloat16_is_taken_where_processor_and_cap_allow_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cap: str, flags: str, policy: str
) -> None:
    (tmp_path / "cpuinfo").write_text(f"flags\t\t: fpu {flags}\n")
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", cap)
    monkeypatch.setattr(precision, "Path", lambda _: tmp_path / "cpuinfo")
    monkeypatch.setattr(precision, "_has_accelerator", lambda: False)
    assert compute_policy("auto") == policy
    assert compute_policy("bfloat16") == "mixed_bfloat16", "who asks for it gets it"
