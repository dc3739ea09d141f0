"""The initial weights of ``focus_roberta`` from ``--focus-source``, computed as by ``focus convert``."""

import logging
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from fairseq import utils
from fairseq.tasks import FairseqTask
from torch import Tensor

from focus_plugin.checkpoint.checkpoint import Checkpoint
from focus_plugin.checkpoint.config import EncoderConfig
from focus_plugin.checkpoint.hub import locate
from focus_plugin.checkpoint.read import read_checkpoint
from focus_plugin.checkpoint.release_state import fairseq_shape
from focus_plugin.errors import FocusError
from focus_plugin.files import Progress, silent
from focus_plugin.mixing.discovery import find_method
from focus_plugin.transfer.arguments import PREFIX, given
from focus_plugin.transfer.initialize import Target, check_finite, initialize, require_device
from focus_plugin.transfer.options import (
    DEFAULT_METHOD,
    Initialization,
    initialization,
    method_options,
    shared_options,
    without_effect,
)
from focus_plugin.vocabulary.files import DICTIONARY, tokenizer_file
from focus_plugin.vocabulary.readers import form_beside, with_forms
from focus_plugin.vocabulary.tokenizers import load_tokenizer
from focus_plugin.vocabulary.vocabulary import Vocabulary

logger = logging.getLogger(__name__)


def first_weights(args: Namespace, task: FairseqTask) -> dict[str, Tensor] | None:
    """Initial weights for the task's dictionary, or None if the training resumes from a checkpoint."""
    name = Path(args.restore_file)
    checkpoint = Path(args.save_dir) / name if args.restore_file == "checkpoint_last.pt" else name
    if checkpoint.is_file():
        logger.info("%s: training goes on from here, so --focus-source is not used again", checkpoint)
        return None
    if args.finetune_from_model:
        raise FocusError("--focus-source and --finetune-from-model both say where to start from; give one of them.")
    how = _initialization(args)
    require_device(how.options.device)
    source = source_encoder(args.focus_source)
    _check_shape(args, source.config)
    check_finite(Path(args.focus_source), source)
    target = _target(args, task.source_dictionary.symbols, source.vocabulary)
    logger.info("%s: initializing %d tokens", args.focus_source, len(target.vocabulary))
    done = initialize(source, target, how, _phase)
    factors = source.config.of(done.tensors).factors
    if factors != args.embedding_factors:
        raise FocusError(
            f"The new embedding has {factors or 'no'} factors, but the model {args.embedding_factors or 'none'}; give "
            f"--embedding-factors {factors}."
        )
    for note in done.notes:
        logger.info("%s", note)
    return done.tensors


def _initialization(args: Namespace) -> Initialization:
    found = find_method(args.focus_method or DEFAULT_METHOD)
    chosen = given(args, (*shared_options(), *method_options(found.declaration)))
    named = {"method": args.focus_method} if args.focus_method else {}
    if sentence := without_effect(found.declaration, {**chosen, **named}, PREFIX):
        raise FocusError(sentence)
    return initialization(found, chosen, paper=args.focus_paper, prefix=PREFIX)


def _target(args: Namespace, symbols: list[str], source: Vocabulary) -> Target:
    """The vocabulary of the data. It extends the source's if it has all tokens of the source and more."""
    directory = Path(utils.split_paths(args.data)[0])  # where the tasks read their dictionary
    vocabulary = with_forms(symbols, form_beside(directory / DICTIONARY))
    extends = len(vocabulary) > len(source) and all(token in vocabulary.ids for token in source.tokens)
    if extends and not (args.focus_vocab or args.focus_matrix):
        raise FocusError(
            f"{directory}: its vocabulary extends the source's; give the language's own, of which new tokens are made, "
            "as --focus-vocab: the --vocab of focus convert --extend."
        )
    if args.focus_vocab and not extends:
        raise FocusError(f"{directory}: its vocabulary does not extend the source's; leave out --focus-vocab.")
    file = tokenizer_file(directory)
    return Target(
        vocabulary=vocabulary,
        tokenizer=load_tokenizer(file) if file else None,
        language=Path(args.focus_vocab or directory),
        extends=extends,
    )


@lru_cache(maxsize=1)
def source_encoder(name: str) -> Checkpoint:
    """The encoder to initialize from. It is read once, for its shape and then for its weights."""
    return read_checkpoint(locate(Path(name)).directory)


@contextmanager
def _phase(label: str, total: int) -> Iterator[Progress]:
    logger.info("%s", label)
    yield silent


def _check_shape(args: Namespace, source: EncoderConfig) -> None:
    for name, theirs in fairseq_shape(source).items():
        ours = getattr(args, name)
        if theirs != ours:
            raise FocusError(
                f"{args.focus_source}: the encoder has {name} {theirs}, but --arch {args.arch} with its options has "
                f"{ours}; --arch focus_roberta takes the shape from the encoder."
            )
