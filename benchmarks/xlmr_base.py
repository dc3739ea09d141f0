"""Time and memory of the conversion at the size of XLM-R base, from files to files.

    python benchmarks/xlmr_base.py --text sw.train.txt --work DIR

The source has XLM-R base's shape and random weights: 250,002 x 768, 12 layers, 1.1 GB. The target has 40,002 tokens
trained on `--text`, of which the source holds 18,145. Prints what each command took: seconds, and its peak memory as a
multiple of the source's file.
"""

from pathlib import Path

import torch
from arguments import program_parser
from measure import run

from focus_plugin.checkpoint.config import EncoderConfig
from focus_plugin.checkpoint.names import EMBEDDING, OUTPUT_EMBEDDING, expected_names
from focus_plugin.checkpoint.release import write_release
from focus_plugin.vocabulary.readers import read_dictionary

CONFIG = EncoderConfig(layers=12, width=768, feedforward=3072, attention_heads=12, max_positions=512)
TOKENS, TARGET, OVERLAP = 250_002, 40_000, 18_145


def random_tensors(tokens: int, scale: float = 0.1, config: EncoderConfig = CONFIG) -> dict[str, torch.Tensor]:
    """Weights of the shape ``config`` over ``tokens`` tokens, normal of deviation ``scale``; normalizations about 1."""
    width, inner, positions = config.width, config.feedforward, config.max_positions + 2
    shapes = {"embed_tokens": (tokens, width), "embed_positions": (positions, width), "fc1": (inner, width)}
    shapes |= {"fc2": (width, inner), "lm_head": (tokens, width)}
    draw = torch.Generator().manual_seed(1)
    tensors = {}
    for name in expected_names(config.layers):
        part, kind = name.split(".")[-2:]
        rows, columns = shapes.get(part, (width, width))
        vector = kind == "bias" or "norm" in part
        tensors[name] = torch.randn(rows if vector else (rows, columns), generator=draw) * scale
        if "norm" in part and kind == "weight":
            tensors[name] += 1
    tensors[OUTPUT_EMBEDDING] = tensors[EMBEDDING]
    return tensors


def write_source(directory: Path, vocabulary: Path) -> None:
    """A release of XLM-R base's shape whose dictionary shares OVERLAP tokens with ``vocabulary``."""
    shared = read_dictionary(vocabulary / "dict.txt").tokens[4 : 4 + OVERLAP]
    others = (f"source{i}" for i in range(TOKENS - 5 - len(shared)))
    dictionary = directory.with_name("source.dict.txt")
    dictionary.write_text("".join(f"{token} 1\n" for token in (*shared, *others)), encoding="utf-8")
    directory.mkdir()
    write_release(directory, CONFIG, random_tensors(TOKENS), dictionary, vocabulary / "sentencepiece.bpe.model")


def main() -> None:
    """Make the files and measure."""
    parser = program_parser(__doc__, "text", "work")
    arguments = parser.parse_args()
    work, text = arguments.work, arguments.text
    work.mkdir(parents=True, exist_ok=True)
    vectors = work / "vectors.safetensors"
    took = {"focus vocab": run("focus", "vocab", "--input", text, "--size", TARGET, "--output", work / "vocab")}
    made = ("--corpus", text, "--vocab", work / "vocab", "--output", vectors)
    took["focus auxiliary"] = run("focus", "auxiliary", *made, "--min-count", 2)
    if not (work / "source").exists():
        write_source(work / "source", work / "vocab")
    job = ("--source", work / "source", "--vocab", work / "vocab", "--auxiliary", vectors, "--output", work / "target")
    took["focus convert"] = run("focus", "convert", *job)
    size = (work / "source" / "model.pt").stat().st_size
    for name, (seconds, peak) in took.items():
        print(
            f"{name}: {seconds:.0f} s, peak {peak / 1e9:.1f} GB, {peak / size:.2f} x the source's {size / 1e9:.2f} GB"
        )


if __name__ == "__main__":
    main()
