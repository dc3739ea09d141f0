"""Computes predictions for Parquet files with Ray, on all machines of a cluster.

    python examples/ray_predict.py --model sw.onnx --input texts.parquet --output predictions --workers 4

The texts are in the column `text` (`--column`). Every machine must be able to read `--model` and the files.
"""

import argparse
from pathlib import Path

import ray.data
from focus_export.runtime import Predictor


def main() -> None:
    """Read, predict, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("model", "input", "output"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--column", default="text")
    parser.add_argument(
        "--workers", type=int, default=1, help="Largest number of processes, each with its own copy of the model."
    )
    parser.add_argument("--cores", type=int, default=1, help="CPU cores of each process.")
    arguments = parser.parse_args()
    ray.data.read_parquet(arguments.input).map_batches(
        Predictor,  # the class: each worker loads the model once
        fn_constructor_args=(Path(arguments.model).absolute(), arguments.column),
        fn_constructor_kwargs={"truncate": True, "threads": arguments.cores},
        concurrency=(1, arguments.workers),  # a fixed number that uses every core leaves none for reading the files
        num_cpus=arguments.cores,
        batch_size=4096,
    ).write_parquet(arguments.output)


if __name__ == "__main__":
    main()
