"""The predictor as Ray and Spark use it: pickled, and called with tables."""

import os
import pickle
import runpy
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas
import pyarrow
import pyarrow.parquet
import pytest
from export_models import LABELS, random_words, texts_of_mixed_lengths
from focus_export.runtime import Predictor

from focus_plugin.errors import FocusError

EXAMPLES = Path(__file__).parents[2] / "examples"
TEXTS = texts_of_mixed_lengths(120, seed=9)


@pytest.fixture(scope="module")
def classifier(exports):
    return Predictor(exports["mood"][0], truncate=True)


@pytest.fixture
def table(tmp_path):
    """A Parquet file of texts and their numbers."""
    columns = {"number": list(range(len(TEXTS))), "text": TEXTS}
    pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "texts.parquet")
    return tmp_path / "texts.parquet"


def assert_predicted(rows, classifier):
    """Rows with all that a row of the table had, in any order, and the predictions of its text."""
    assert sorted(row["number"] for row in rows) == list(range(len(TEXTS)))
    want = list(classifier.predict(TEXTS))
    for row in rows:
        assert row["text"] == TEXTS[row["number"]]
        assert row["label"] == want[row["number"]].label
        np.testing.assert_allclose(row["scores"], list(want[row["number"]].scores.values()), atol=1e-5)


def test_it_is_pickled_as_its_arguments(exports, tmp_path, monkeypatch):
    shutil.copytree(exports["mood"][0], tmp_path / "model")
    monkeypatch.chdir(tmp_path)
    pickled = pickle.dumps(Predictor("model", "line", token_budget=50, truncate=True))
    assert len(pickled) < 1000, "not the model"
    monkeypatch.chdir("/")
    again = pickle.loads(pickled)
    assert again.model.token_budget == 50
    long = " ".join(random_words(30, seed=4))
    assert again({"line": np.array([long, "ka"])})["label"].shape == (2,)
    shutil.rmtree(tmp_path / "model")
    with pytest.raises(FocusError, match="model: no such directory"):
        pickle.loads(pickled)


def test_tables_of_every_kind_get_columns(exports, classifier):
    numbers = np.arange(len(TEXTS))
    arrays = classifier({"number": numbers, "text": np.array(TEXTS, object)})
    assert arrays["scores"].dtype == np.float32
    assert arrays["scores"].shape == (len(TEXTS), len(LABELS))
    assert_predicted([dict(zip(arrays, row, strict=True)) for row in zip(*arrays.values(), strict=True)], classifier)
    frame = pandas.DataFrame({"number": numbers, "text": TEXTS}, index=numbers + 7)
    assert_predicted(classifier(frame).to_dict("records"), classifier)
    assert classifier(frame).index.equals(frame.index)
    assert list(frame) == ["number", "text"], "the table that was given stays as it is"
    parts = classifier(frame[start : start + 50] for start in (0, 50, 100))
    assert_predicted(pandas.concat(parts).to_dict("records"), classifier)
    embedder = Predictor(exports["mean"][0])
    np.testing.assert_array_equal(np.stack(embedder(frame)["embedding"]), embedder.rows(TEXTS))
    empty = classifier(frame[:0])
    assert list(empty) == ["number", "text", "label", "scores"]
    assert empty["label"].dtype == empty["scores"].dtype == classifier(frame)["label"].dtype == object
    for texts in (TEXTS, np.array(TEXTS), pyarrow.array(TEXTS).to_pylist()):
        np.testing.assert_array_equal(classifier({"text": texts})["scores"], arrays["scores"])


def test_a_table_that_does_not_fit_is_told(classifier):
    with pytest.raises(FocusError, match="no column 'text'; it has 'number', 'line'"):
        classifier({"number": np.arange(2), "line": np.array(["ka", "ta"])})
    with pytest.raises(FocusError, match="already has a column 'label'"):
        classifier(pandas.DataFrame({"text": ["ka"], "label": ["hasi"]}))
    with pytest.raises(FocusError, match="Text 2: is a NoneType, not text"):
        classifier({"text": np.array(["ka", None], object)})
    with pytest.raises(FocusError, match="two columns 'text'; it has 'text', 'text'"):
        classifier(pandas.DataFrame([["ka", "ta"]], columns=["text", "text"]))
    with pytest.raises(FocusError, match=r"DataFrame, but a pyarrow\.lib\.Table was given"):
        classifier(pyarrow.table({"text": ["ka"]}))
    for parts in (["ka"], pandas.Series(["ka"])):
        with pytest.raises(FocusError, match=r"DataFrame, but a builtins\.str was given"):
            list(classifier(parts))
    with pytest.raises(FocusError, match=r"a builtins\.str was given"):
        classifier("ka")
    with pytest.raises(FocusError, match="put it in a list"):
        classifier({"text": "ka"})


def killed_once(killed):
    """A class of predictors whose process is killed at its second batch, unless the file ``killed`` is there."""

    class KilledOnce(Predictor):  # here, so that Ray sends the code itself: its workers do not find this module
        batches = 0

        def __call__(self, table):
            self.batches += 1
            if self.batches == 2 and not killed.exists():
                killed.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return super().__call__(table)

    return KilledOnce


def test_ray_maps_the_predictor_and_its_class(exports, table, classifier, tmp_path, monkeypatch):
    """A real Ray on this machine; the class in the example, an instance here."""
    ray = pytest.importorskip("ray")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_worker_niceness", "0")  # else the other tests leave the workers no time
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        files = ("--model", exports["mood"][0], "--input", table, "--output", tmp_path / "out", "--workers", "2")
        monkeypatch.setattr(sys, "argv", ["ray_predict.py", *map(str, files)])
        runpy.run_path(str(EXAMPLES / "ray_predict.py"), run_name="__main__")
        assert_predicted(pyarrow.parquet.read_table(tmp_path / "out").to_pylist(), classifier)
        rows = ray.data.read_parquet(str(table)).map_batches(classifier, batch_size=50).take_all()
        assert_predicted(rows, classifier)
        killed = ray.data.read_parquet(str(table)).map_batches(
            killed_once(tmp_path / "killed"),
            fn_constructor_args=(exports["mood"][0],),
            fn_constructor_kwargs={"truncate": True},
            concurrency=1,
            batch_size=20,
        )
        assert_predicted(killed.take_all(), classifier)
        assert (tmp_path / "killed").exists()
    finally:
        ray.shutdown()


@pytest.mark.skipif(shutil.which("java") is None, reason="Spark needs Java")
def test_spark_maps_the_predictor(exports, table, classifier, tmp_path):
    """The example, on a real Spark on this machine."""
    pytest.importorskip("pyspark")
    files = ("--model", exports["mood"][0], "--input", table, "--output", tmp_path / "out")
    command = [sys.executable, EXAMPLES / "spark_predict.py", *files]
    environment = {**os.environ, "SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable}
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert_predicted(pyarrow.parquet.read_table(tmp_path / "out").to_pylist(), classifier)
