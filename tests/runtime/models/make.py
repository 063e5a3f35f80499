"""Write tiny_float32.tflite and tiny_int8.tflite: a network with known weights that marks what is bright.

Run by hand (it needs TensorFlow); the two files it writes are kept beside it, so that the tests need none.
The mask is a sigmoid of 24 x (3x3 mean - 0.5), the class a softmax of the slice's mean brightness: the brighter the
slice, the nearer to the last class. `tests/runtime/tiny.py` writes the same network as OpenVINO and ONNX.
"""

from pathlib import Path

import numpy as np
import tensorflow as tf

HERE = Path(__file__).parent
SIDE = 16


class Tiny(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec((1, SIDE, SIDE, 1), tf.float32)])
    def __call__(self, slice_: tf.Tensor) -> dict[str, tf.Tensor]:
        mean = tf.nn.conv2d(slice_, tf.fill((3, 3, 1, 1), 1 / 9), 1, "SAME")
        logit = tf.nn.conv2d(mean, tf.fill((1, 1, 1, 1), 24.0), 1, "SAME") - 12.0
        brightness = tf.reduce_mean(mean, axis=(1, 2))
        scores = tf.linalg.matmul(brightness, [[-8.0, -3.0, 3.0, 8.0]]) + tf.constant([2.0, 1.0, -1.0, -4.0])
        return {"mask": tf.sigmoid(logit), "class": tf.nn.softmax(scores)}


def main() -> None:
    module = Tiny()
    function = module.__call__.get_concrete_function()
    images = np.random.default_rng(0).random((32, SIDE, SIDE, 1), dtype=np.float32)
    images[:8] = np.linspace(0, 1, 8, dtype=np.float32)[:, None, None, None]
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], module)
    (HERE / "tiny_float32.tflite").write_bytes(converter.convert())
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], module)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([image[None]] for image in images)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    (HERE / "tiny_int8.tflite").write_bytes(converter.convert())


if __name__ == "__main__":
    main()
