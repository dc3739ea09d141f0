"""The systems that serving.py compares, each run by the Python in which it is installed.

    python serving_systems.py export WORK            # what optimum makes of WORK/hf
    python serving_systems.py serve WORK             # names of jobs on standard input, seconds on standard output
    python serving_systems.py first SYSTEM WORK      # one embedding in a new process, then a line on standard output

WORK has `hf` (for transformers), `fp32` and `int8` (ours), `optimum` (its exports), `texts.txt`, and a batch without
padding: `batch.txt` and, as token ids (rows, length), `batch.npy`. Every system may use all cores, as told by its
documentation.
Packages are imported where they are used, so that a first embedding pays for its own alone.
"""

import os
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

CORES = len(os.sched_getaffinity(0))
LEVELS = ("O2", "O3")
SETTLE = 0.5  # seconds until ONNX Runtime's threads have stopped waiting for more work, which would slow the next job
PRODUCT_TOKENS, LAYERS, WIDTH, FEEDFORWARD = 1024, 12, 768, 3072

Job = Callable[[], np.ndarray]
Encode = Callable[[list[str]], np.ndarray]


def session_options(threads: int = CORES) -> Any:
    """ONNX Runtime with all cores, or some."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return options


def session(model: str | bytes, threads: int = CORES) -> Any:
    """A plain ONNX Runtime session of a file or of its bytes."""
    import onnxruntime

    return onnxruntime.InferenceSession(model, session_options(threads), providers=["CPUExecutionProvider"])


def batch_in_onnxruntime(model: Path, batch: np.ndarray) -> Job:
    """Hidden states (rows, length, width) of ``batch`` by an exported model that takes a mask."""
    run = session(str(model)).run
    inputs = {"input_ids": batch.astype(np.int64), "attention_mask": np.ones_like(batch, np.int64)}
    return lambda: run(None, inputs)[0]


def batch_in_ours(directory: Path, texts: list[str]) -> Job:
    """Embeddings (rows, width) of the texts that are the batch, by our runtime."""
    return partial(texts_in_ours(directory), texts)


def batch_in_pytorch(model: Path, batch: np.ndarray) -> Job:
    """Hidden states (rows, length, width) of ``batch`` by transformers."""
    import torch
    from transformers import AutoModel

    torch.set_num_threads(CORES)
    encoder = AutoModel.from_pretrained(model).eval()
    ids = torch.from_numpy(batch).long()

    def run() -> np.ndarray:
        with torch.inference_mode():
            return encoder(ids, attention_mask=torch.ones_like(ids)).last_hidden_state.numpy()

    return run


def products() -> Job:
    """The products of an encoder's weights with PRODUCT_TOKENS tokens, in ONNX Runtime, and nothing else.

    Each core has its share of the tokens, which is a little faster than all cores on one product.
    """
    from onnx import TensorProto, helper, numpy_helper

    draw = np.random.default_rng(1)
    shapes = [*[(WIDTH, WIDTH)] * 4, (WIDTH, FEEDFORWARD), (FEEDFORWARD, WIDTH)] * LAYERS
    nodes, weights, values = [], [], "tokens"
    for index, shape in enumerate(shapes):
        weight = draw.standard_normal(shape, np.float32) / np.sqrt(shape[0], dtype=np.float32)
        weights.append(numpy_helper.from_array(weight, f"weight{index}"))
        nodes.append(helper.make_node("MatMul", [values, f"weight{index}"], [f"product{index}"]))
        values = f"product{index}"
    info = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, WIDTH]) for name in ("tokens", values)]
    graph = helper.make_graph(nodes, "products", info[:1], info[1:], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    run = session(model.SerializeToString(), threads=1).run
    shares = np.array_split(draw.standard_normal((PRODUCT_TOKENS, WIDTH), np.float32), CORES)
    pool = ThreadPoolExecutor(CORES)
    return lambda: np.concatenate(list(pool.map(lambda tokens: run(None, {"tokens": tokens})[0], shares)))


def texts_in_ours(directory: Path) -> Encode:
    """Our runtime."""
    from focus_export.runtime import Predictor

    predictor = Predictor(directory, threads=CORES)
    return lambda texts: np.stack(list(predictor.predict(texts)))


@cache
def optimum(directory: Path) -> tuple[Any, Any]:
    """optimum's model and transformers' tokenizer."""
    from optimum.onnxruntime import ORTModelForFeatureExtraction
    from transformers import AutoTokenizer

    model = ORTModelForFeatureExtraction.from_pretrained(directory, session_options=session_options())
    return model, AutoTokenizer.from_pretrained(directory)


def texts_in_optimum(directory: Path, rows: int = 32, by_length: bool = False) -> Encode:
    """optimum, ``rows`` texts at a time, in their order or by length."""
    model, tokenizer = optimum(directory)

    def encode(texts: list[str]) -> np.ndarray:
        """The mean of the last hidden states of each text, in the order of the texts."""
        order = sorted(range(len(texts)), key=lambda index: len(texts[index])) if by_length else range(len(texts))
        embeddings = np.empty((len(texts), model.config.hidden_size), np.float32)
        for start in range(0, len(texts), rows):
            chosen = order[start : start + rows]
            tokens = tokenizer([texts[index] for index in chosen], padding=True, return_tensors="np")
            mask = tokens["attention_mask"][:, :, None]
            embeddings[chosen] = (model(**tokens).last_hidden_state * mask).sum(1) / mask.sum(1)
        return embeddings

    return encode


@cache
def fastembed(directory: Path) -> Any:
    """fastembed with a model of one's own."""
    from fastembed import TextEmbedding
    from fastembed.common.model_description import ModelSource, PoolingType

    TextEmbedding.add_custom_model(
        model="own/encoder",
        pooling=PoolingType.MEAN,
        normalization=False,
        sources=ModelSource(hf="own/encoder"),
        dim=WIDTH,
        model_file="model.onnx",
    )
    return TextEmbedding("own/encoder", threads=CORES, specific_model_path=str(directory))


def texts_in_fastembed(directory: Path, rows: int = 256) -> Encode:
    """fastembed, ``rows`` texts at a time."""
    model = fastembed(directory)
    return lambda texts: np.stack(list(model.embed(texts, batch_size=rows)))


def ids_in_onnxruntime(model: Path, batch: np.ndarray) -> Encode:
    """A plain session without a tokenizer: the first row of ``batch`` stands for the text."""
    run = batch_in_onnxruntime(model, batch[:1])
    return lambda _: run()


def jobs(work: Path) -> dict[str, Callable[[], Job]]:
    """By name, what makes each system ready for its job: the batch, or the texts from file to embeddings."""
    exports = work / "optimum"
    batch = np.load(work / "batch.npy")
    batch_texts = (work / "batch.txt").read_text(encoding="utf-8").split("\n")[:-1]
    texts = (work / "texts.txt").read_text(encoding="utf-8").split("\n")[:-1]

    def on_texts(make: Callable[[], Encode]) -> Job:
        encode = make()
        return lambda: encode(texts)

    encoders: dict[str, Callable[[], Encode]] = {
        "texts, ours": partial(texts_in_ours, work / "fp32"),
        "texts, ours int8": partial(texts_in_ours, work / "int8"),
        "texts, optimum 32": partial(texts_in_optimum, exports / "plain"),
        "texts, optimum 32 by length": partial(texts_in_optimum, exports / "plain", by_length=True),
        "texts, optimum int8": partial(texts_in_optimum, exports / "int8"),
        "texts, fastembed 32": partial(texts_in_fastembed, exports / "plain", 32),
        "texts, fastembed 256": partial(texts_in_fastembed, exports / "plain"),
    }
    return {
        "texts, products": products,
        "batch, ours": partial(batch_in_ours, work / "fp32", batch_texts),
        "batch, plain": partial(batch_in_onnxruntime, exports / "plain" / "model.onnx", batch),
        **{f"batch, {level}": partial(batch_in_onnxruntime, exports / level / "model.onnx", batch) for level in LEVELS},
        "batch, PyTorch": partial(batch_in_pytorch, work / "hf", batch),
        **{name: partial(on_texts, make) for name, make in encoders.items()},
    }


def serve(work: Path, known: Mapping[str, Callable[[], Job]]) -> None:
    """Answer each name of a job in ``known`` with the seconds it took; its result goes to ``WORK/results``."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what libraries print is no answer
    ready: dict[str, Job] = {}
    for name in map(str.strip, sys.stdin):
        if name not in ready:
            ready[name] = known[name]()
            np.save(work / "results" / f"{name}.npy", ready[name]())
        time.sleep(SETTLE)
        start = time.perf_counter()
        ready[name]()
        answers.write(f"{time.perf_counter() - start}\n")


def first(system: str, work: Path) -> None:
    """Embed one text as a program does that has just been started."""
    exports = work / "optimum" / "plain"
    makers: dict[str, Callable[[], Encode]] = {
        "ours": partial(texts_in_ours, work / "fp32"),
        "optimum": partial(texts_in_optimum, exports),
        "fastembed": partial(texts_in_fastembed, exports),
        "plain": lambda: ids_in_onnxruntime(exports / "model.onnx", np.load(work / "batch.npy")),
    }
    with open(work / "texts.txt", encoding="utf-8") as texts:
        text = texts.readline().rstrip("\n")
    print(makers[system]()([text]).shape, flush=True)


def export(work: Path) -> None:
    """optimum's ONNX models of ``WORK/hf``: plain, at each of LEVELS, and plain with int8 weights."""
    from optimum.exporters.onnx import main_export
    from optimum.onnxruntime import ORTQuantizer
    from optimum.onnxruntime.configuration import AutoQuantizationConfig

    exports = work / "optimum"
    for level in (None, *LEVELS):
        output = exports / (level or "plain")
        main_export(str(work / "hf"), output, "feature-extraction", optimize=level, library_name="transformers")
    quantizer = ORTQuantizer.from_pretrained(exports / "plain")
    config = AutoQuantizationConfig.avx512_vnni(is_static=False, per_channel=True)
    quantizer.quantize(config, exports / "int8")


if __name__ == "__main__":
    commands: dict[str, Callable[..., None]] = {
        "export": export,
        "serve": lambda work: serve(work, jobs(work)),
        "first": first,
    }
    if len(sys.argv) < 3 or sys.argv[1] not in commands:
        sys.exit(__doc__)
    commands[sys.argv[1]](*sys.argv[2:-1], Path(sys.argv[-1]))
