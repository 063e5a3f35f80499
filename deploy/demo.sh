#!/bin/sh
# The whole line: train, evaluate, quantize, explain, bench, report, predict. On the built-in phantoms, or on the folder in DATA.
# EPOCHS shortens it.
set -eu

number=1
while [ -e "runs/demo-$number" ]; do number=$((number + 1)); done
run="runs/demo-$number"

step() {
    printf '\n$ %s\n' "$*"
    "$@"
}

step edgebrain train demo --out "$run" ${DATA:+--data "$DATA"} ${EPOCHS:+--epochs "$EPOCHS"}
step edgebrain evaluate "$run/float" --split test
# What a network of minutes has learnt hangs on the processor. Where the gate refuses its INT8, layers stay in float.
step edgebrain quantize "$run" --int8 --keep-float auto
int8=$(find "$run/bundles" -maxdepth 1 -name 'tflite-int8*' | head -n 1)
step edgebrain explain "$int8"
# 3 is a verdict, not an accident: a network of minutes may well lose more than half a point.
step edgebrain bench "$run" --target cpu || [ $? -eq 3 ]
step edgebrain report "$run"
if [ -n "${DATA:-}" ]; then
    picture=$(find "$DATA" -path '*test*' -name '*.jpg' | sort | head -n 1)
else
    step edgebrain data phantom "$run/new-phantoms" --count 24 --seed 7
    picture=$(find "$run/new-phantoms/images" -name '*.png' | sort | head -n 1)
fi
step edgebrain predict "$picture" --bundle "$int8" --out "$run/prediction"
printf '\nreport: %s/report.html\n' "$run"
