"""Mistakes that people make, planted for real, each of which must be caught by its name.

One file a family. Models are written files run by the real interpreters; what is planted in a worker runs in a real
worker. Each test asserts the words that name the mistake, the bundle or file, and the way out; for each detector there
is an honest counterpart that passes.

    test_calibration.py  noise, test slices, one class, foreign pictures, changed pixels, unseen images, an edited list
    test_exports.py      input inverted or scaled; masks inverted, turned, shifted or raw; classes reordered; constant,
                         empty, saturated or NaN answers; marks on every healthy slice; float written for int8
    test_bundles.py      outputs swapped, thresholds at 0, scales forgotten, manifests edited, files exchanged, float
                         called int8, weights of another network, free shapes
    test_splits.py       groups and copies on two sides, a split made anew after training
    test_answers.py      cached, random, mixed up, skipped answers, another resolution
    test_reports.py      means, drops, outcomes and suites that were edited
    test_machines.py     boards that are held back, hot, slow or shared
    test_pictures.py     coloured pictures
"""
