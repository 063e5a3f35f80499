"""Predict a folder of slices and look at the answers as a table.

python examples/predict_to_dataframe.py slices/
python examples/predict_to_dataframe.py slices/ --bundle runs/demo-1 --out answers
"""

from __future__ import annotations

import argparse

import pandas as pd

import edgebrain


def predict_folder(folder: str, bundle: str | None = None, out: str | None = None) -> pd.DataFrame:
    """The answer for each picture of a folder; masks and overlays are written to `out` as well.

    Returns:
        One row a picture: name, label, probability, area of the lesion, and the error of a picture that cannot be used.
    """
    outcome = edgebrain.predict(folder, bundle, out=out)
    table = pd.DataFrame(outcome.entries)
    return table.drop(columns="class_probabilities", errors="ignore")


def main() -> None:
    """Print the answers, and the area of the lesions by class."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", help="folder with PNG, JPEG or TIFF slices")
    parser.add_argument("--bundle", help="bundle or run folder; the newest finished run when left out")
    parser.add_argument("--out", help="output folder; the next free predictions-N when left out")
    options = parser.parse_args()

    table = predict_folder(options.folder, options.bundle, options.out)
    print(table[["name", "label", "probability", "area_px"]].to_string(index=False))
    print(table.groupby("label")["area_px"].describe()[["count", "mean", "max"]])


if __name__ == "__main__":
    main()
