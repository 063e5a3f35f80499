"""A model of one operator in two formats, with which it is found out whether an interpreter works at all.

It computes y = relu(x) for float32 of shape (1, 4). tests/runtime/models/make_relu.py writes both.
"""

from __future__ import annotations

from base64 import b85decode

RELU_TFLITE = b85decode(
    "7ytkOR7OlQ000gE7yuLi5C9AS2mk~C4gdfE6aWAKAOHXWC;$Ke<NyEw0{{R30RR912mk;81ONm81ONa41ONa4a%F6F000000RR915C8xG3;+}W5C9AS"
    "2mk~C3;+NC5C8xGJOBUyKmY&$L;wH)0RR915C8xG000UA3;+NC2mk~C3IG5A2mk;83;+NC0RR910RR910RR91000000RR910RR910RR91000000ssI2"
    "Gynhq1ONa4;Q#;s2mk;83;+NC0RR91c>n+a0ssI20RR911ONa43;+xO2mk;8000C43;+NC2mk;83;+NC0RR91cmMzZ0ssI20RR911ONa40RR915C8xG"
    "3;+xO3jhEB000C43;+NC6951J0000J"
)
RELU_ONNX = b85decode("2naep3JeMXcoG45A_P)pY;_U@a%F6FS`!KZcoGf@3<v=d2nqrS0SW>L1Y#2k0eKP*3JeGV5(o+c2muNL2n0d|3IGrd")
