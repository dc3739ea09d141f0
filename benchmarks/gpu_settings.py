"""Settings of serving on a GPU that only a measurement can decide, each with our fp16 export on texts of real lengths.

Jobs of `scripts/gpu measure`. "relative" is the speed divided by that of the first value, which is today's setting.

- Cost of a batch: how many tokens it costs, by a straight line through the seconds of batches without padding; and the
  speed with other costs and token budgets than those of `export/batching.py` and `export/runtime.py`.
- Batches in flight: threads that run batches on one session. Today one.
- Pinned buffers: today's copies, against inputs and outputs that remain on the GPU. Pinned buffers cannot gain more.
- Packed attention: today's padding, against batches of the same tokens without padding. Packing cannot gain more.
"""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import product

import focus_export.batching as batching
import numpy as np
import onnxruntime
from focus_export.providers import start_session
from focus_export.runtime import GPU_TOKEN_BUDGET
from gpu_results import Job, Place, Row
from gpu_serving import Batch, batches_of, exported, full, in_batches, ours, seconds, text_lengths

BUDGETS, COSTS = (8_192, 4_096, 16_384, 32_768, 65_536), (256, 64, 1_024)  # tokens; the first ones are today's
TODAY = batching.COSTS_PER_BUDGET


def compared(setting: str, tokens: int, ways: Mapping[str, Callable[[], object]]) -> Iterator[Row]:
    """A row for each way to encode ``tokens`` tokens."""
    first = 0.0
    for value, way in ways.items():
        took = seconds(way, 3)
        first = first or took
        yield {"setting": setting, "value": value, "tokens a second": round(tokens / took), "relative": first / took}


def with_cost(lengths: np.ndarray, budget: int, cost: int) -> list[Batch]:
    """Batches for which a batch costs as many tokens as ``cost``."""
    batching.COSTS_PER_BUDGET = max(1, budget // cost)
    try:
        return batches_of(lengths, budget)
    finally:
        batching.COSTS_PER_BUDGET = TODAY


def cost(place: Place) -> Iterator[Row]:
    """What a batch costs, and the speed by cost and budget."""
    encode, lengths = ours(place), text_lengths(place)
    length = 8 if place.small else 64
    shapes = [(rows, length) for rows in (1, 2, 4, 8, 16, 32, 64, 128)]
    took = [seconds(partial(encode, *full(*shape))) for shape in shapes]
    slope, constant = np.polyfit([rows * length for rows, _ in shapes], took, 1)
    yield {
        "setting": "cost of a batch",
        "value": f"{constant / slope:,.0f} tokens",
        "tokens a second": round(1 / slope),
        "relative": 1.0,
    }
    pairs = product(BUDGETS, COSTS) if not place.small else [(BUDGETS[0], COSTS[0])]
    ways = {}
    for budget, each in pairs:
        batches = with_cost(lengths, budget, each)
        padding = 1 - lengths.sum() / sum(ids.size for ids, _ in batches)
        value = f"{budget:,}, {each:,}: {len(batches)} batches, {padding:.1%} padding"
        ways[value] = in_batches(encode, batches)
    yield from compared("token budget, cost", int(lengths.sum()), ways)


def flight(place: Place) -> Iterator[Row]:
    """Several threads, each of which runs a batch."""
    encode, lengths = ours(place), text_lengths(place)
    batches = batches_of(lengths)

    def by(threads: int) -> None:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(lambda batch: encode(*batch), batches))

    ways = {str(threads): partial(by, threads) for threads in (1, 2, 3)}
    yield from compared("batches in flight", int(lengths.sum()), ways)


def pinned(place: Place) -> Iterator[Row]:
    """Inputs and outputs that remain on the GPU."""
    encode, lengths = ours(place), text_lengths(place)
    session = start_session(exported(place, "fp16"), place.device, place.device == "cuda")
    batches = batches_of(lengths)
    bindings = []
    for ids, sizes in batches:
        binding = session.io_binding()
        for name, values in (("input_ids", ids), ("lengths", sizes)):
            value = onnxruntime.OrtValue.ortvalue_from_numpy(values, place.device, 0)
            binding.bind_ortvalue_input(name, value)
        binding.bind_output("embedding", place.device, 0)
        bindings.append(binding)

    def bound() -> None:
        for binding in bindings:
            session.run_with_iobinding(binding)

    ways = {"copied": in_batches(encode, batches), "nothing copied": bound}
    yield from compared("buffers", int(lengths.sum()), ways)


def packed(place: Place) -> Iterator[Row]:
    """Batches of as many tokens, none of which is padding."""
    encode, lengths = ours(place), text_lengths(place)
    batches = batches_of(lengths)
    dense = [full(max(1, round(int(sizes.sum()) / ids.shape[1])), ids.shape[1]) for ids, sizes in batches]
    ways = {
        f"padded, at most {GPU_TOKEN_BUDGET:,}": in_batches(encode, batches),
        "no padding": in_batches(encode, dense),
    }
    yield from compared("attention", int(lengths.sum()), ways)


JOBS = [
    Job(f"setting-{name}", "Settings of serving left open", run)
    for name, run in {"cost": cost, "flight": flight, "pinned": pinned, "packed": packed}.items()
]
