"""Serving on a GPU: our exports beside optimum's level O4, PyTorch's scaled_dot_product_attention and TensorRT.

Jobs of `scripts/gpu measure`. The encoder has XLM-R base's shape and random weights. All systems read token ids from
the memory of the machine; ours and PyTorch copy the embeddings, means over the tokens, back to it. Of O4 the hidden
states remain on the GPU, so its pooling and this copy cost nothing. The GPU's peak is its best product of square
matrices, in whichever of fp16 and bf16 it is faster. Texts of real lengths are random tokens; their lengths are
distributed as those of a corpus of Swahili lines, log-normal. They are divided into batches by our runtime, for all.
"""

import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import onnxruntime
import torch
from focus_export.batching import batches_by_length, padded
from focus_export.providers import CUDA, CUDA_SETTINGS, TENSORRT, start_session
from focus_export.runtime import GPU_TOKEN_BUDGET, run_bound
from gpu_checks import ROOT, SOURCE, command
from gpu_results import Job, Place, Row, read
from xlmr_base import CONFIG, random_tensors

from focus_plugin.checkpoint.release import write_release
from focus_plugin.errors import FocusError
from focus_plugin.files import whole_directory
from focus_plugin.vocabulary.readers import read_dictionary

ROWS, LENGTHS, LONGEST = (1, 8, 64, 512), (16, 32, 64, 128, 256, 512), 512
TENSORRT_SHAPES = ((1, 128), (64, 128))  # it compiles the model anew for every shape
TEXTS, MEDIAN_LENGTH, DEVIATION = 20_000, 27.0, 0.61  # tokens; the standard deviation of their logarithm
PEAK_SIZES = (4096, 8192, 16384)
TURNS = 7

Batch = tuple[np.ndarray, np.ndarray]  # ids, int32 (rows, length), padded on the right, and lengths, int32 (rows,)
Encode = Callable[[np.ndarray, np.ndarray], object]


def encoder(place: Place) -> Path:
    """The encoder in our layout; in small, that of the sample."""
    directory = place.work / "encoder"
    if place.small:
        return SOURCE
    if not directory.exists():
        dictionary = SOURCE / "dict.txt"
        tensors = random_tensors(len(read_dictionary(dictionary)), 0.05)
        with whole_directory(directory) as new:
            write_release(new, CONFIG, tensors, dictionary, SOURCE / "sentencepiece.bpe.model")
    return directory


def exported(place: Place, precision: str) -> Path:
    """The ONNX file of our export in ``precision``."""
    text = place.work / "words.txt"
    place.work.mkdir(exist_ok=True)
    text.write_text("neno\nmaneno mengi\n", encoding="utf-8")
    reduced = ("--precision", precision, "--valid", text, "--max-loss", 1)
    command("export", "--onnx", "--model", encoder(place), *reduced, "--output", place.work / precision)
    return place.work / precision / "model.onnx"


def hugging_face(place: Place) -> Path:
    """The encoder for transformers."""
    command("export", "--hf", "--model", encoder(place), "--output", place.work / "hf")
    return place.work / "hf"


def ours(place: Place, precision: str = "fp16", provider: str = "") -> Encode:
    """Our export as our runtime runs it."""
    session = start_session(exported(place, precision), provider or place.device, place.device == "cuda")
    return lambda ids, lengths: run_bound(session, {"input_ids": ids, "lengths": lengths}, ["embedding"], place.device)


def optimum(place: Place) -> Encode | None:
    """What optimum exports at level O4; None without a GPU or without optimum."""
    program, fused = ROOT / ".gpu" / "peers" / "bin" / "optimum-cli", place.work / "O4"
    if place.device == "cpu" or not program.exists():
        return None
    if not fused.exists():
        with whole_directory(fused) as new:
            options = ["--task", "feature-extraction", "--optimize", "O4", "--device", "cuda"]
            subprocess.run([program, "export", "onnx", "--model", hugging_face(place), *options, new], check=True)
    onnxruntime.preload_dlls()
    session = onnxruntime.InferenceSession(str(fused / "model.onnx"), providers=[(CUDA, CUDA_SETTINGS)])

    def encode(ids: np.ndarray, lengths: np.ndarray) -> None:
        """Copy a batch to the GPU and run the model; the states stay there."""
        mask = np.arange(ids.shape[1]) < lengths[:, None]
        binding = session.io_binding()
        for name, values in (("input_ids", ids), ("attention_mask", mask)):
            there = onnxruntime.OrtValue.ortvalue_from_numpy(values.astype(np.int64), "cuda", 0)
            binding.bind_ortvalue_input(name, there)
        binding.bind_output(session.get_outputs()[0].name, "cuda")
        session.run_with_iobinding(binding)
        binding.synchronize_outputs()

    return encode


def pytorch(place: Place) -> Encode:
    """transformers' model in bf16."""
    from transformers import AutoModel

    model = AutoModel.from_pretrained(hugging_face(place), dtype=torch.bfloat16, attn_implementation="sdpa")
    model = model.eval().to(place.device)

    @torch.inference_mode()
    def encode(ids: np.ndarray, lengths: np.ndarray) -> torch.Tensor:
        """The mean of the last hidden states of each row, on the CPU."""
        tokens = torch.from_numpy(ids).to(place.device).long()
        count = torch.from_numpy(lengths).to(place.device)[:, None]
        mask = torch.arange(ids.shape[1], device=place.device) < count
        hidden = model(input_ids=tokens, attention_mask=mask.long()).last_hidden_state
        return ((hidden * mask[..., None]).sum(1) / count).float().cpu()

    return encode


SYSTEMS: dict[str, Callable[[Place], Encode | None]] = {
    "ours, fp16": ours,
    "ours, bf16": lambda place: ours(place, "bf16") if place.device == "cuda" else None,
    "optimum, O4": optimum,
    "PyTorch, bf16": pytorch,
}


def seconds(job: Callable[[], object], turns: int = TURNS) -> float:
    """The median of ``turns`` after one that does not count; all of what the GPU does is finished in it."""
    wait = torch.cuda.synchronize if torch.cuda.is_available() else lambda: None
    found = []
    for _ in range(turns + 1):
        wait()
        start = time.perf_counter()
        job()
        wait()
        found.append(time.perf_counter() - start)
    return median(found[1:])


def peak(place: Place) -> Iterator[Row]:
    """Operations a second in the best product of square matrices."""
    for kind in (torch.float16, torch.bfloat16):
        found = []
        for size in (128,) if place.small else PEAK_SIZES:
            one, other = torch.randn(2, size, size, dtype=kind, device=place.device)
            found.append(2 * size**3 / seconds(partial(torch.matmul, one, other)))
        name = torch.cuda.get_device_name() if place.device == "cuda" else "CPU"
        software = f"PyTorch {torch.__version__}, ONNX Runtime {onnxruntime.__version__}"
        yield {"device": name, "software": software, "precision": str(kind)[6:], "teraflops": max(found) / 1e12}


def peak_found(place: Place) -> float:
    """Operations a second, by the job peak."""
    rows = read(place).get("peak")
    if not rows:
        raise FocusError("The share of the peak needs the result of the job peak, which has not run.")
    return 1e12 * max(row["teraflops"] for row in rows)


def operations(rows: float, length: float) -> float:
    """Multiplications and additions in the matrix products of an encoding of ``rows`` texts of ``length`` tokens."""
    weights = 4 * CONFIG.width**2 + 2 * CONFIG.width * CONFIG.feedforward
    return 2.0 * CONFIG.layers * rows * length * (weights + 2 * CONFIG.width * length)


def full(rows: int, length: int) -> Batch:
    """A batch of random tokens without padding."""
    ids = np.random.default_rng(1).integers(4, 500, (rows, length), np.int32)
    return ids, np.full(rows, length, np.int32)


def grid(place: Place, system: str) -> Iterator[Row]:
    """Tokens a second, and the share of the peak, by number and length of the texts of a batch."""
    encode, best = SYSTEMS[system](place), peak_found(place)
    if encode is None:
        return
    shapes = [(1, 8), (4, 16)] if place.small else [(rows, length) for rows in ROWS for length in LENGTHS]
    for rows, length in shapes:
        took = seconds(partial(encode, *full(rows, length)))
        cell = f"{rows * length / took:,.0f}, {operations(rows, length) / took / best:.0%}"
        yield {"rows x length": f"{rows} x {length}", "system": system, "result": cell}


def tensorrt(place: Place) -> Iterator[Row]:
    """The same for our fp16 export by TensorRT, where it is installed."""
    if TENSORRT not in onnxruntime.get_available_providers():
        return
    try:
        encode = ours(place, provider="tensorrt")
    except FocusError:
        return
    for rows, length in TENSORRT_SHAPES:
        took = seconds(partial(encode, *full(rows, length)))
        yield {"rows x length": f"{rows} x {length}", "system": "TensorRT", "result": f"{rows * length / took:,.0f}"}


def text_lengths(place: Place) -> np.ndarray:
    """The lengths in tokens of texts of real lengths, at most LONGEST; int64."""
    longest = 60 if place.small else LONGEST  # the sample's encoder reads no more
    drawn = np.random.default_rng(1).lognormal(np.log(MEDIAN_LENGTH), DEVIATION, 50 if place.small else TEXTS)
    return np.clip(drawn, 3, longest).astype(np.int64)


def batches_of(lengths: np.ndarray, token_budget: int = GPU_TOKEN_BUDGET) -> list[Batch]:
    """Random tokens of ``lengths`` as the batches of our runtime."""
    draw = np.random.default_rng(2)
    texts = [draw.integers(4, 500, length, np.int32) for length in lengths.tolist()]
    return [
        padded([texts[index] for index in chosen], 1) for chosen in batches_by_length(lengths.tolist(), token_budget)
    ]


def in_batches(encode: Encode, batches: list[Batch]) -> Callable[[], object]:
    """What encodes one batch after the other."""
    return lambda: [encode(*batch) for batch in batches]


def texts(place: Place) -> Iterator[Row]:
    """Texts of real lengths: the systems take turns, and ratios are medians of those within a turn."""
    lengths, best = text_lengths(place), peak_found(place)
    batches = batches_of(lengths)
    encoders = {name: encode for name, load in SYSTEMS.items() if (encode := load(place))}
    turns = [
        {name: seconds(in_batches(encode, batches), 1) for name, encode in encoders.items()}
        for _ in range(1 if place.small else 3)
    ]
    needed = sum(operations(1, length) for length in lengths.tolist())
    for name in encoders:
        took = median(turn[name] for turn in turns)
        peer = "optimum, O4" if "optimum, O4" in encoders else "PyTorch, bf16"
        yield {
            "system": name,
            "texts a second": round(len(lengths) / took),
            "tokens a second": round(int(lengths.sum()) / took),
            "share of the peak": f"{needed / took / best:.1%}",
            "speed": median(turn[peer] / turn[name] for turn in turns),
            "relative to": peer,
        }


PIVOT = ("rows x length", "system", "result")
GRID = "Serving: tokens a second, and the share of the peak"
PEAK = [Job("peak", "Peak: products of square matrices", peak)]
JOBS = [
    Job("serving-texts", "Serving: texts of real lengths", texts),
    *(Job(f"serving-{number}", GRID, partial(grid, system=name), PIVOT) for number, name in enumerate(SYSTEMS, 1)),
    Job("serving-tensorrt", GRID, tensorrt, PIVOT),
]
