"""Train a network, compress it to INT8, and measure what that costs and gains on this machine.

python examples/train_quantize_bench.py
python examples/train_quantize_bench.py --recipe brisc-unet128 --data brisc2025
"""

from __future__ import annotations

import argparse

import edgebrain


def main() -> None:
    """Train, compress and measure, with the defaults of the command line."""
    options = _options()
    trained = edgebrain.train(options.recipe, options.data, epochs=options.epochs, progress=show, notify=print)
    print(f"\nfloat model: validation Dice {trained.scores['summary']['dice']}")

    for result in edgebrain.quantize(trained.run, "int8", progress=show):
        # A format whose converter is missing, or whose model has collapsed, does not stop the others.
        print(result.error.message if result.error else f"{result.name}: written")

    report = edgebrain.bench(trained.run, threads=1, queries=options.queries, progress=show)
    print()
    for row in report.results:
        print(f"{row.bundle:<28} p50 {row.latency_ms.p50:8.2f} ms   Dice {row.dice}")


def show(what: str, done: int, total: int) -> None:
    """A line that is overwritten, and stays when the work is done."""
    print(f"\r{what}: {done} of {total}", end="\n" if done == total else "", flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="demo", help="a shipped recipe's name or a .toml file")
    parser.add_argument("--data", help="folder of a data set; the built-in phantoms when left out")
    parser.add_argument("--epochs", type=int, help="instead of the recipe's")
    parser.add_argument("--queries", type=int, default=704, help="timed queries of each bundle")
    return parser.parse_args()


if __name__ == "__main__":
    main()
