"""What a factorized embedding costs and saves: size and masked-LM loss of `--method ofa` with several factors.

    python benchmarks/factors.py --text DIR --source DIR --work DIR --languages eng swa --factors 0 128 64 32 16 \
        --updates 50 --plot docs/factors.svg

`--text` has LANG.train.txt, and LANG.valid.txt of the target, which is the last language. The word vectors are those of
fastText (skip-gram, 100 dimensions) for the training texts of all languages together, so only words that languages
share bring them into one space. Prints Markdown: numbers in the embedding with its projection, megabytes of `model.pt`,
and the loss before and after a training by the default recipe; 0 factors: not factorized. `--plot` is a file for the
curve of loss and size.
"""

from pathlib import Path

import fasttext
from arguments import program_parser
from steps import loss, prepared, run, trained

from focus_plugin.checkpoint.names import EMBEDDING, PROJECTION
from focus_plugin.checkpoint.read import read_checkpoint


def word_vectors(texts: list[Path], work: Path) -> Path:
    """The vectors of the words of ``texts``, in fastText's text format."""
    output, together = work / "words.vec", work / "together.txt"
    if not output.exists():
        together.write_bytes(b"".join(text.read_bytes() for text in texts))
        model = fasttext.train_unsupervised(str(together), model="skipgram", dim=100, thread=1, verbose=0)
        words = model.get_words()
        rows = (f"{word} {' '.join(f'{value:.5g}' for value in model.get_word_vector(word))}\n" for word in words)
        output.write_text(f"{len(words)} 100\n{''.join(rows)}", encoding="utf-8")
    return output


def plot(points: list[tuple[int, float, float]]) -> str:
    """The losses before and after training by the numbers in the embedding, whose axis begins at zero."""
    left, top, width, height = 60, 30, 420, 200
    right, lows = max(point[0] for point in points), [loss for point in points for loss in point[1:]]
    low, high = min(lows), max(lows)
    parts = [f'<path d="M{left} {top}V{top + height}H{left + width}"/>']
    for value, y in ((high, top), (low, top + height)):
        parts.append(f'<text x="{left - 6}" y="{y + 4}" text-anchor="end">{value:.2f}</text>')
    for value, x in ((0, left), (right, left + width)):
        parts.append(f'<text x="{x}" y="{top + height + 18}" text-anchor="end">{value:,}</text>')
    parts.append(
        f'<text x="{left + width / 2}" y="{top + height + 36}" text-anchor="middle">numbers in the embedding</text>'
    )
    for column, name, color in ((1, "before training", "#2a6fdb"), (2, "after", "#d9822b")):
        at = [
            (left + width * point[0] / right, top + height * (high - point[column]) / (high - low))
            for point in sorted(points)
        ]
        line = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in at)
        dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{color}"/>' for x, y in at)
        parts.append(f'<path d="{line}" style="stroke:{color};stroke-width:2"/>{dots}')
        parts.append(f'<text x="{at[-1][0] + 8:.1f}" y="{at[-1][1] + 4:.1f}" style="fill:{color}">{name}</text>')
    style = "text{font:12px sans-serif;fill:#555}path{fill:none;stroke:#888}"
    head = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 600 280" role="img">'
    title = "<title>Masked-LM loss by the size of a factorized embedding</title>"
    return "\n".join([head, title, f"<style>{style}</style>", *parts, "</svg>"]) + "\n"


def main() -> None:
    """Convert with every number of factors, and measure."""
    parser = program_parser(__doc__, "text", "source", "work")
    parser.add_argument("--languages", nargs="+", required=True)
    parser.add_argument("--factors", nargs="+", type=int, required=True)
    parser.add_argument("--updates", type=int, default=50)
    parser.add_argument("--plot", type=Path)
    arguments = parser.parse_args()
    work, target = arguments.work, arguments.languages[-1]
    work.mkdir(parents=True, exist_ok=True)
    words = word_vectors([arguments.text / f"{language}.train.txt" for language in arguments.languages], work)
    train = prepared(arguments.text, target, work)
    print(f"| factors | numbers in the embedding | MB of model.pt | loss | after {arguments.updates} updates |")
    print("|---:|---:|---:|---:|---:|")
    points = []
    for factors in arguments.factors:
        output = work / f"ofa.{factors}"
        given = ("--source", arguments.source, "--vocab", work / "vocab", "--corpus", train, "--method", "ofa")
        options = ("--multilingual-vectors", words, "--factors", factors, "--output", output)
        run("focus", "convert", *given, *options)
        tensors = read_checkpoint(output).tensors
        numbers = sum(tensors[name].numel() for name in (EMBEDDING, PROJECTION) if name in tensors)
        size = (output / "model.pt").stat().st_size / 1e6
        after = trained(work / "data", output, work / f"ofa.{factors}.trained", arguments.updates)
        points.append((numbers, loss(work / "data", output), loss(work / "data", after)))
        print(f"| {factors} | {numbers:,} | {size:.1f} | {points[-1][1]:.3f} | {points[-1][2]:.3f} |", flush=True)
    if arguments.plot:
        arguments.plot.write_text(plot(points), encoding="utf-8")


if __name__ == "__main__":
    main()
