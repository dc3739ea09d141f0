"""The engines that serving_cpus.py compares, each given token ids, or texts if it is ours.

    python serving_engines.py WORK      # JSON jobs on standard input, JSON answers on standard output

A job is [engine, precision, kind of texts, way]. WORK has ours (`fp32`, `int8`), optimum's exports (`optimum/plain`,
`optimum/int8`), `ctranslate2`, and, for each kind of texts, `KIND.txt` and `KIND.json`, the token ids. The peers get
the batches of our own runtime, already encoded. Each engine has two settings, as its documentation advises: one core a
batch with as many batches at once as cores, or all cores for one text.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
from focus_export.batching import batches_by_length, padded
from focus_export.runtime import CPU_TOKEN_BUDGET

CORES = len(os.sched_getaffinity(0))
CLIENTS = 8
PAD = 1

Ids = tuple[np.ndarray, np.ndarray]
Run = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Texts:
    """Texts and their token ids."""

    texts: Sequence[str]
    ids: Sequence[np.ndarray]

    def batches(self) -> list[Ids]:
        """Ids (rows, length) and lengths (rows,) of our runtime's batches."""
        chosen = batches_by_length([len(row) for row in self.ids], CPU_TOKEN_BUDGET)
        return [padded([self.ids[i] for i in batch], PAD) for batch in chosen]

    def single(self) -> list[Ids]:
        """Each text as a batch."""
        return [padded([row], PAD) for row in self.ids]


def read_texts(work: Path, kind: str) -> Texts:
    """The texts of a kind."""
    rows = json.loads((work / f"{kind}.json").read_text(encoding="utf-8"))
    lines = (work / f"{kind}.txt").read_text(encoding="utf-8").split("\n")[:-1]
    return Texts(lines, [np.array(row, np.int32) for row in rows])


def mask(ids: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """1 for tokens and 0 for padding, int64, (rows, length)."""
    return (np.arange(ids.shape[1]) < lengths[:, None]).astype(np.int64)


def means(hidden: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Embeddings (rows, width) from hidden states (rows, length, width)."""
    weights = (np.arange(hidden.shape[1]) < lengths[:, None])[:, :, None]
    return (hidden * weights).sum(1) / lengths[:, None]


@cache
def onnxruntime_engine(work: Path, precision: str, at_once: bool) -> Run:
    """ONNX Runtime on optimum's export."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1 if at_once else CORES
    model = work / "optimum" / {"fp32": "plain", "int8": "int8"}[precision]
    file = next(iter(sorted(model.glob("*.onnx"))))
    run = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"]).run
    return lambda ids, lengths: means(
        run(None, {"input_ids": ids.astype(np.int64), "attention_mask": mask(ids, lengths)})[0], lengths
    )


@cache
def ctranslate2_engine(work: Path, precision: str, at_once: bool) -> Run:
    """CTranslate2, which has no bfloat16 on a CPU."""
    import ctranslate2

    encoder = ctranslate2.Encoder(
        str(work / "ctranslate2"),
        compute_type={"fp32": "float32", "int8": "int8", "bf16": "bfloat16"}[precision],
        inter_threads=CORES if at_once else 1,
        intra_threads=1 if at_once else CORES,
    )
    view = ctranslate2.StorageView.from_array
    return lambda ids, lengths: means(
        np.array(encoder.forward_batch(view(ids), lengths=view(lengths)).last_hidden_state), lengths
    )


@cache
def openvino_engine(work: Path, precision: str, at_once: bool) -> Run:
    """OpenVINO on optimum's export; in int8 on the one with dynamically quantized products."""
    import openvino

    model = work / "optimum" / ("int8" if precision == "int8" else "plain")
    settings = {
        "PERFORMANCE_HINT": "THROUGHPUT" if at_once else "LATENCY",
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
        "INFERENCE_NUM_THREADS": CORES,
        "NUM_STREAMS": CORES if at_once else 1,
    }
    compiled = openvino.Core().compile_model(next(iter(sorted(model.glob("*.onnx")))), "CPU", settings)
    requests: SimpleQueue[Any] = SimpleQueue()
    for _ in range(CORES if at_once else 1):
        requests.put(compiled.create_infer_request())

    def run(ids: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """The embeddings of a batch, by the next request that is free."""
        request = requests.get()
        try:
            found = request.infer({"input_ids": ids.astype(np.int64), "attention_mask": mask(ids, lengths)})
            return means(found[0], lengths)
        finally:
            requests.put(request)

    return run


ENGINES = {
    "ONNX Runtime": onnxruntime_engine,
    "CTranslate2": ctranslate2_engine,
    "OpenVINO": openvino_engine,
}


@cache
def ours(work: Path, precision: str, at_once: bool) -> Any:
    """Our runtime, from texts."""
    from focus_export.runtime import Predictor

    return Predictor(work / precision, threads=CORES, workers=CORES if at_once else 1)


def steps(work: Path, engine: str, precision: str, texts: Texts, way: str) -> list[Callable[[], np.ndarray]]:
    """What has to be done for all texts, in parts that can be done at once: the batches, or each text alone."""
    at_once = way != "one by one"
    if engine == "ours":
        predictor = ours(work, precision, at_once)
        if way == "sorted":
            return [lambda: predictor.rows(texts.texts)]
        return [partial(predictor.rows, [text]) for text in texts.texts]
    run = ENGINES[engine](work, precision, at_once)
    parts = texts.batches() if way == "sorted" else texts.single()
    return [partial(run, *part) for part in parts]


def measured(parts: Sequence[Callable[[], np.ndarray]], way: str, threads: int) -> dict[str, float]:
    """Seconds of all parts, ``threads`` at a time, and the 50th and 99th percentile of those of one part."""
    took = []

    def timed(part: Callable[[], np.ndarray]) -> None:
        start = time.perf_counter()
        part()
        took.append(time.perf_counter() - start)

    start = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(timed, parts))
    middle, high = np.percentile(took, [50, 99])
    return {"seconds": time.perf_counter() - start, "p50": float(middle), "p99": float(high)}


def difference(parts: Sequence[Callable[[], np.ndarray]], work: Path, texts: Texts) -> float:
    """How far the embeddings of one part that ours and a peer have in common are from ours in fp32: 1 - the cosine."""
    found = parts[0]()[0]
    order = batches_by_length([len(row) for row in texts.ids], CPU_TOKEN_BUDGET)
    text = texts.texts[int(order[0][0])] if len(parts) == len(order) else texts.texts[0]
    want = ours(work, "fp32", False).rows([text])[0]
    return float(1 - found @ want / np.linalg.norm(found) / np.linalg.norm(want))


def answer(work: Path, job: Sequence[str]) -> dict[str, float | str]:
    """The figures of a job, or why it cannot be done."""
    engine, precision, kind, way = job
    texts = read_texts(work, kind)
    try:
        parts = steps(work, engine, precision, texts, way)
        away = difference(parts, work, texts)
    except Exception as error:  # the engines have exceptions of their own
        return {"fault": f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"}
    threads = {"sorted": CORES, "one by one": 1, "clients": CLIENTS}[way]
    return {"away": away, **measured(parts, way, threads)}


def main() -> None:
    """Answer jobs until the end of the input."""
    work = Path(sys.argv[1])
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what libraries print is no answer
    for line in sys.stdin:
        answers.write(json.dumps(answer(work, json.loads(line))) + "\n")


if __name__ == "__main__":
    main()
