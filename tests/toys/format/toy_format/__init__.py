"""A format that edgebrain does not have, compressed ONNX files, with the engine that runs them.

The two rows are all that is imported before the format is used.
"""

from edgebrain.formats import EngineInfo, Format

FORMAT = Format(
    "toyz",
    "compressed ONNX",
    files=("model.onnx.zlib",),
    graph="toy_format.graph",
    exporter="toy_format.exporter",
    packages=("onnx", "tf2onnx"),
)
ENGINE = EngineInfo("toyz", "toy_format.engine", formats=("toyz",), library="onnxruntime", package="onnxruntime")
