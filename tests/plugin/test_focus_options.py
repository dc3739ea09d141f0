"""The plugin makes what ``focus convert`` makes with the same options, from one reading of the source."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import fasttext
import pytest
import torch
from fairseq_models import PLUGIN, USER_DIR, World, make_world, train_options
from invoked import run

BUILD = """
import json, sys, torch
from fairseq import options, tasks
from fairseq.dataclass.utils import convert_namespace_to_omegaconf

opened = []
sys.addaudithook(lambda event, given: event == "open" and opened.append(str(given[0])))
job = json.load(open(sys.argv[1]))
for arguments, output in zip(job["arguments"], job["outputs"], strict=True):
    del opened[:]
    sys.argv[1:] = arguments
    args = options.parse_args_and_arch(options.get_training_parser())
    cfg = convert_namespace_to_omegaconf(args)
    model = tasks.setup_task(cfg.task).build_model(cfg.model)
    torch.save(model.state_dict(), output)
    print("opened", sum(path.endswith("source/model.pt") for path in opened))
from focus_plugin.checkpoint.read import read_checkpoint
del opened[:]
read_checkpoint(job["source"])
print("once", sum(path.endswith("source/model.pt") for path in opened))
"""


REFUSE = """
import contextlib, io, json, sys
from fairseq import options, tasks
from fairseq.dataclass.utils import convert_namespace_to_omegaconf

for arguments in json.load(open(sys.argv[1])):
    sys.argv[1:], errors = arguments, io.StringIO()
    try:
        with contextlib.redirect_stderr(errors):
            args = options.parse_args_and_arch(options.get_training_parser())
        cfg = convert_namespace_to_omegaconf(args)
        tasks.setup_task(cfg.task).build_model(cfg.model)
    except SystemExit:
        print(json.dumps(errors.getvalue()))
    except Exception as error:
        print(json.dumps(f"{type(error).__name__}: {error}"))
"""
RANDOM = ("--focus-method", "random")


def in_a_process(program: str, directory: Path, job: object) -> str:
    """What a program prints that reads ``job`` from a file. fairseq imports the plugin once in a process."""
    (directory / "job.json").write_text(json.dumps(job))
    (directory / "program.py").write_text(program)
    environment = {**os.environ, "PYTHONPATH": f"{USER_DIR.parent}:{os.environ.get('PYTHONPATH', '')}"}
    command = [sys.executable, str(directory / "program.py"), str(directory / "job.json")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """With ``vocabulary`` and ``data`` of it, ``extended`` and ``extended.data``, and vectors of tokens and words."""
    world = make_world(tmp_path_factory.mktemp("world"))
    root, text = world.root, ("--train", world.train, "--valid", world.valid)
    (root / "target.txt").write_text(world.valid.read_text().replace("a", "au").replace("b", "mb"))
    (root / "more.txt").write_text("Mba kau.\n" * 5)
    run("focus", "vocab", "--input", root / "target.txt", "--size", 150, "--output", root / "vocabulary")
    run("focus", "prepare", "--vocab", root / "vocabulary", *text, "--output", root / "data")
    given = ("--source", world.source, "--vocab", root / "vocabulary", "--extend", "--method", "random")
    run("focus", "convert", *given, "--output", root / "extended")
    run("focus", "prepare", "--vocab", root / "extended", *text, "--output", root / "extended.data")
    given = ("--corpus", root / "target.txt", "--vocab", root / "vocabulary", "--dim", 8, "--min-count", 3)
    run("focus", "auxiliary", *given, "--trainer", "fasttext", "--output", root / "tokens.bin")
    words = fasttext.train_unsupervised(str(root / "target.txt"), dim=8, minCount=1, thread=1, verbose=0)
    words.save_model(str(root / "words.bin"))
    return world


def options(root: Path) -> dict[str, list[object]]:
    """The options of each conversion, as ``focus convert`` takes them."""
    corpus, small = ["--corpus", root / "target.txt", "--corpus", root / "more.txt"], ["--dim", 8, "--min-count", 2]
    fasttext = ["--trainer", "fasttext", "--epochs", 2, "--sample-mb", 1]
    return {
        "corpus": [*corpus, *small, *fasttext, "--match-fuzzy", "--fill", "mean", "--calibrate", 3000, "--seed", 5],
        "paper": ["--auxiliary", root / "tokens.bin", "--paper"],
        "words": ["--word-vectors", root / "words.bin", *corpus, "--rank-bias"],
        "matrix": ["--matrix", root / "corpus" / "mixing.safetensors"],
        "pieces": ["--method", "pieces", "--norm", "source", "--pieces", "last"],
        "extend": ["--extend", *corpus, *small, "--special-anchors", "--rare", "fill"],
    }


def as_plugin(root: Path, given: list[object], save_dir: Path) -> list[str]:
    """The same options as the plugin takes them."""
    extend = given[0] == "--extend"
    own = [f"--focus-{word[2:]}" if str(word).startswith("--") else word for word in given[extend:]]
    own += ["--focus-vocab", root / "vocabulary"] if extend else []
    base = [*PLUGIN, "--arch", "focus_roberta", "--focus-source", root / "source", *own]
    return [*map(str, [*base, *train_options(root / ("extended.data" if extend else "data"), save_dir, 1)])]


@pytest.fixture(scope="module")
def built(world: World) -> tuple[dict[str, dict[str, torch.Tensor]], str]:
    """What the plugin builds with the options of each conversion, which is made too, and what the process said."""
    root, jobs = world.root, options(world.root)
    for name, given in jobs.items():
        files = ("--source", world.source, "--vocab", root / "vocabulary", "--output", root / name)
        run("focus", "convert", *files, *given)
    arguments = [as_plugin(root, given, root / "save") for given in jobs.values()]
    outputs = [str(root / f"{name}.built.pt") for name in jobs]
    job = {"arguments": arguments, "outputs": outputs, "source": str(world.source)}
    said = in_a_process(BUILD, root, job)
    return {name: torch.load(path) for name, path in zip(jobs, outputs, strict=True)}, said


@pytest.mark.parametrize("name", ["corpus", "paper", "words", "matrix", "pieces", "extend"])
def test_the_weights_are_those_of_focus_convert_with_the_same_options(world, built, name):
    found, want = built[0][name], torch.load(world.root / name / "model.pt")["model"]
    assert found.keys() - want.keys() == {"encoder.sentence_encoder.version"}
    for tensor, value in want.items():
        fitted = tensor == "encoder.lm_head.bias"  # by forward passes, whose last bit depends on where weights lie
        torch.testing.assert_close(found[tensor], value, atol=1e-6 if fitted else 0, rtol=0, msg=tensor)
    counts = json.loads((world.root / name / "focus.json").read_text())["counts"]
    assert counts["mixed"] > 10


def test_no_two_conversions_are_alike(built):
    """Otherwise an option that is passed over would not be noticed."""
    rows = [weights["encoder.sentence_encoder.embed_tokens.weight"] for weights in built[0].values()]
    digests = [matrix.double().sum().item() for matrix in rows]
    digests[3] = digests[0] + 1  # the matrix is the first conversion's
    assert len(set(digests)) == len(digests)


def test_the_source_is_read_once(built):
    counted = [int(count) for count in re.findall(r"^opened (\d+)$", built[1], re.MULTILINE)]
    once = int(re.search(r"^once (\d+)$", built[1], re.MULTILINE)[1])
    assert once > 0
    assert counted == [once] * 6


WRONG = {  # what the plugin says of options, which are given with those of a training on the data
    "FocusError: There is no method 'absent'": ["--focus-method", "absent"],
    "unrecognized arguments: --focus-norm": [*RANDOM, "--focus-norm", "source"],
    "FocusError: The method 'focus' needs auxiliary embeddings: give --focus-corpus (target text)": [],
    "declares no published settings; leave out --focus-paper": [*RANDOM, "--focus-paper"],
    "FocusError: --focus-match-fuzzy has no effect with --focus-matrix; leave it out.": [
        *("--focus-matrix", "x", "--focus-match-fuzzy"),
    ],
    "argument --focus-calibrate: -1 is not between 0 and inf": ["--focus-calibrate", "-1"],
    "does not extend the source's; leave out --focus-vocab": [*RANDOM, "--focus-vocab", "x"],
    "has encoder_layers 2, but --arch focus_roberta_base": [*RANDOM, "--arch", "focus_roberta_base"],
    "both say where to start from": [*RANDOM, "--finetune-from-model", "x.pt"],
}


def test_what_does_not_fit_is_told_in_the_plugins_own_words(world, tmp_path):
    base = [*PLUGIN, "--arch", "focus_roberta", "--focus-source", world.source]
    data = train_options(world.root / "data", tmp_path, 1)
    extended = train_options(world.root / "extended.data", tmp_path, 1)
    jobs = [*([*base, *data, *given] for given in WRONG.values()), [*base, *RANDOM, *extended]]
    told = in_a_process(REFUSE, tmp_path, [[*map(str, job)] for job in jobs]).splitlines()
    says = [*WRONG, "its vocabulary extends the source's; give the language's own"]
    for line, want in zip(told, says, strict=True):
        assert want in json.loads(line)
