"""Labels sentences with Spark: spark-submit examples/spark_label.py INPUT.parquet OUT.parquet [MODEL]."""

import sys
from collections.abc import Iterator
from functools import partial

import pandas as pd
from pyspark.sql import DataFrame, SparkSession

SCHEMA = "sentence_id string, sentence string, labels array<string>, scores map<string, double>"


def label_batches(batches: Iterator[pd.DataFrame], options: dict[str, object]) -> Iterator[pd.DataFrame]:
    from inference import Predictor

    with Predictor(**options) as predictor:  # once for each partition
        for batch in batches:
            found = predictor.predict(batch["sentence"].tolist())
            yield batch.assign(labels=[list(each.labels) for each in found], scores=[each.scores for each in found])


def label(sentences: DataFrame, **options: object) -> DataFrame:
    return sentences.select("sentence_id", "sentence").mapInPandas(partial(label_batches, options=options), SCHEMA)


if __name__ == "__main__":
    spark = SparkSession.builder.config("spark.sql.execution.arrow.maxRecordsPerBatch", 4096).getOrCreate()
    label(spark.read.parquet(sys.argv[1]), model=(sys.argv[3:] or [None])[0]).write.parquet(sys.argv[2])
