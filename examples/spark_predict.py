"""Computes predictions for Parquet files with Spark, on all machines of a cluster.

    spark-submit examples/spark_predict.py --model sw.onnx --input texts.parquet --output predictions

The texts are in the column `text` (`--column`). Every machine must be able to read `--model` and the files.
"""

import argparse

from focus_export.runtime import Predictor
from pyspark.sql import SparkSession
from pyspark.sql.types import ArrayType, FloatType, StringType, StructType


def main() -> None:
    """Read, predict, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("model", "input", "output"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--column", default="text")
    arguments = parser.parse_args()
    predictor = Predictor(arguments.model, arguments.column, truncate=True, threads=1)
    table = SparkSession.builder.appName("focus predict").getOrCreate().read.parquet(arguments.input)
    schema = StructType(list(table.schema))
    if predictor.config.labels is None:
        schema.add("embedding", ArrayType(FloatType()))
    else:
        schema.add("label", StringType()).add("scores", ArrayType(FloatType()))
    table.mapInPandas(predictor, schema).write.parquet(arguments.output)


if __name__ == "__main__":
    main()
