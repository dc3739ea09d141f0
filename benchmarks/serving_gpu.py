"""Serving on a GPU: our fp16 and bf16 beside optimum's level O4 and PyTorch's scaled_dot_product_attention in bf16.

    focus export --onnx --precision fp16 --valid texts.txt --model DIR/encoder --output DIR/fp16
    focus export --onnx --precision bf16 --valid texts.txt --model DIR/encoder --output DIR/bf16
    python benchmarks/serving_gpu.py --work DIR

`--work` is the directory of serving.py. Needs optimum-onnx, transformers, PyTorch for the GPU and onnxruntime-gpu, but
nothing of ours. Batches have no padding and lie on the card, as their results do. The card's peak is its best product
of square matrices, in whichever of fp16 and bf16 it is faster. Prints Markdown.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import onnxruntime
import torch
from serving_systems import FEEDFORWARD, LAYERS, WIDTH

DEVICE, PROVIDER = "cuda", "CUDAExecutionProvider"
SETTINGS = {"use_tf32": "0", "enable_skip_layer_norm_strict_mode": "1"}  # export/providers.py
ROWS, LENGTHS = (1, 8, 64, 512), (16, 32, 64, 128, 256, 512)
PEAK_SIZES = (4096, 8192, 16384)
TURNS = 7

Job = Callable[[], object]
System = Callable[[torch.Tensor], Job]


def ours(model: Path) -> System:
    """Our graph, its inputs and output bound on the card."""
    session = onnxruntime.InferenceSession(str(model), providers=[(PROVIDER, SETTINGS)])

    def job(ids: torch.Tensor) -> Job:
        binding = session.io_binding()
        lengths = np.full(len(ids), ids.shape[1], np.int32)
        for name, values in (("input_ids", ids.numpy().astype(np.int32)), ("lengths", lengths)):
            binding.bind_ortvalue_input(name, onnxruntime.OrtValue.ortvalue_from_numpy(values, DEVICE, 0))
        binding.bind_output("embedding", DEVICE)
        return lambda: session.run_with_iobinding(binding)

    return job


def optimum(directory: Path) -> System:
    """optimum's model, which binds its inputs and outputs on the card."""
    from optimum.onnxruntime import ORTModelForFeatureExtraction

    return on_card(ORTModelForFeatureExtraction.from_pretrained(directory, provider=PROVIDER, use_io_binding=True))


def pytorch(directory: Path) -> System:
    """transformers' model in bf16."""
    from transformers import AutoModel

    model = AutoModel.from_pretrained(directory, dtype=torch.bfloat16, attn_implementation="sdpa")
    return on_card(model.eval().to(DEVICE))


def on_card(model: Callable[..., object]) -> System:
    """A model that takes ids and mask as tensors of the card."""

    def job(ids: torch.Tensor) -> Job:
        there = ids.to(DEVICE)
        return torch.inference_mode()(lambda: model(input_ids=there, attention_mask=torch.ones_like(there)))

    return job


def seconds(job: Job) -> float:
    """The median of TURNS after one that does not count."""
    found = []
    for _ in range(TURNS + 1):
        torch.cuda.synchronize()
        start = time.perf_counter()
        job()
        torch.cuda.synchronize()
        found.append(time.perf_counter() - start)
    return median(found[1:])


def peak() -> float:
    """Operations a second in the card's best product of square matrices."""
    best = 0.0
    for kind in (torch.float16, torch.bfloat16):
        for size in PEAK_SIZES:
            one, other = torch.randn(2, size, size, dtype=kind, device=DEVICE)
            best = max(best, 2 * size**3 / seconds(lambda one=one, other=other: one @ other))
    return best


def operations(rows: int, length: int) -> float:
    """Multiplications and additions in the matrix products of an encoding of ``rows`` texts of ``length`` tokens."""
    weights = 4 * WIDTH**2 + 2 * WIDTH * FEEDFORWARD
    return 2.0 * LAYERS * rows * length * (weights + 2 * WIDTH * length)


def main() -> None:
    """Export with optimum and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    work = parser.parse_args().work
    fused = work / "optimum" / "O4"
    if not fused.exists():
        from optimum.exporters.onnx import main_export

        options = {"optimize": "O4", "device": DEVICE, "library_name": "transformers"}
        main_export(str(work / "hf"), fused, "feature-extraction", **options)
    systems = {
        "ours, fp16": ours(work / "fp16" / "model.onnx"),
        "ours, bf16": ours(work / "bf16" / "model.onnx"),
        "optimum, O4": optimum(fused),
        "PyTorch, bf16": pytorch(work / "hf"),
    }
    best = peak()
    print(f"Tokens a second, and share of {best / 1e12:.0f} teraflops, the peak of {torch.cuda.get_device_name()}:\n")
    print("| rows x length | " + " | ".join(systems) + " |", "|---|" + "---:|" * len(systems), sep="\n")
    draw = torch.Generator().manual_seed(1)
    for rows in ROWS:
        for length in LENGTHS:
            ids = torch.randint(4, 40_000, (rows, length), generator=draw)
            took = [seconds(job(ids)) for job in systems.values()]
            share = operations(rows, length) / best
            cells = (f"{rows * length / each:,.0f}, {share / each:.0%}" for each in took)
            print(f"| {rows} x {length} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
