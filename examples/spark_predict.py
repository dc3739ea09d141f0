"""Computes predictions for Parquet files with Spark, on all machines of a cluster.

    spark-submit examples/spark_predict.py --model sw.onnx --input texts.parquet --output predictions

The texts are in the column `text` (`--column`). `--results` are the columns that the model adds, with Spark's types, by
default those of classification. Every machine must be able to read `--model` and the files.
"""

import argparse

from focus_export.runtime import Predictor
from pyspark.sql import SparkSession


def main() -> None:
    """Read, predict, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("model", "input", "output"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--column", default="text")
    parser.add_argument("--results", default="label string, scores array<float>")
    arguments = parser.parse_args()
    predictor = Predictor(arguments.model, arguments.column, truncate=True, threads=1)
    table = SparkSession.builder.appName("focus predict").getOrCreate().read.parquet(arguments.input)
    own = ", ".join(f"`{field.name}` {field.dataType.simpleString()}" for field in table.schema)
    table.mapInPandas(predictor, f"{own}, {arguments.results}").write.parquet(arguments.output)


if __name__ == "__main__":
    main()
