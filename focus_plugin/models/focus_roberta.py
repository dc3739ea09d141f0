"""The architectures ``focus_roberta``, ``focus_roberta_base`` and ``focus_roberta_large``.

fairseq's RoBERTa, which ``--focus-source`` initializes from a released encoder when the model is first built.
"""

import logging
from argparse import ArgumentParser, Namespace
from pathlib import Path

import torch
from fairseq import utils
from fairseq.models import register_model, register_model_architecture
from fairseq.models.roberta import RobertaModel
from fairseq.models.roberta.model import base_architecture, roberta_large_architecture
from fairseq.tasks import FairseqTask
from torch import Tensor

from focus_plugin.checkpoint.config import EncoderConfig
from focus_plugin.checkpoint.read import read_checkpoint
from focus_plugin.checkpoint.release_state import fairseq_shape
from focus_plugin.distributed import load_on_every_rank
from focus_plugin.errors import FocusError
from focus_plugin.mixing.discovery import find_method
from focus_plugin.transfer.initialize import Target, check_finite, initialize
from focus_plugin.transfer.options import initialization
from focus_plugin.trusted import trust_fairseq_checkpoints
from focus_plugin.vocabulary.files import DICTIONARY
from focus_plugin.vocabulary.readers import form_beside, with_forms

trust_fairseq_checkpoints()
logger = logging.getLogger(__name__)


@register_model("focus_roberta")
class FocusRobertaModel(RobertaModel):
    """A RoBERTa whose first weights come from an encoder with another vocabulary."""

    @staticmethod
    def add_args(parser: ArgumentParser) -> None:
        """Add RoBERTa's options and those of the initialization."""
        RobertaModel.add_args(parser)
        parser.add_argument("--focus-source", metavar="DIR", help="encoder to initialize from, fairseq or Hugging Face")
        parser.add_argument("--focus-auxiliary", metavar="FILE", help="static vectors of the tokens in dict.txt")
        parser.add_argument("--focus-method", choices=("focus", "random"), help="how new tokens get rows [focus]")
        parser.add_argument("--focus-seed", type=int, metavar="N", help="seed for rows that are drawn at random [1]")
        parser.add_argument(
            "--cpu-matmul-precision",
            choices=("highest", "high", "medium"),
            help="torch's float32 matmul precision when training without a GPU; medium multiplies in bfloat16 and "
            "adds in float32 where the CPU has instructions for it, as training on a GPU does [medium]",
        )

    @classmethod
    def build_model(cls, args: Namespace, task: FairseqTask) -> "FocusRobertaModel":
        """Build the model and, where it neither comes from a checkpoint nor is about to, initialize it.

        Raises FocusError, on every rank, if the source does not fit.
        """
        model: FocusRobertaModel = super().build_model(args, task)
        if not getattr(args, "focus_built", False):
            # The mark is saved with every checkpoint: what is built from one takes its weights from there.
            args.focus_built = True
            if args.focus_source:
                load_on_every_rank(model, lambda: _first_weights(args, task))
            if args.cpu or not torch.cuda.is_available():
                torch.set_float32_matmul_precision(args.cpu_matmul_precision)  # after the mixtures were computed
        return model


def _first_weights(args: Namespace, task: FairseqTask) -> dict[str, Tensor] | None:
    """Weights for the task's dictionary, or None where training goes on from a checkpoint."""
    name = Path(args.restore_file)
    checkpoint = Path(args.save_dir) / name if args.restore_file == "checkpoint_last.pt" else name
    if checkpoint.is_file():
        logger.info("%s: training goes on from here, so --focus-source is not used again", checkpoint)
        return None
    if args.finetune_from_model:
        raise FocusError("--focus-source and --finetune-from-model both say where to start from; give one of them.")
    source = read_checkpoint(args.focus_source)
    check_finite(Path(args.focus_source), source)
    _check_shape(args, source.config)
    dictionary = Path(utils.split_paths(args.data)[0]) / DICTIONARY  # the tasks read theirs from there too
    target = with_forms(task.source_dictionary.symbols, form_beside(dictionary))
    logger.info("%s: initializing %d tokens by %s", args.focus_source, len(target), args.focus_method)
    given = {"seed": args.focus_seed, **({"auxiliary": Path(args.focus_auxiliary)} if args.focus_auxiliary else {})}
    how = initialization(find_method(args.focus_method), given)
    made = Target(vocabulary=target, tokenizer=None, language=dictionary.parent)
    return initialize(source, made, how).tensors


def _check_shape(args: Namespace, source: EncoderConfig) -> None:
    for name, theirs in fairseq_shape(source).items():
        ours = getattr(args, name)
        if theirs != ours:
            raise FocusError(
                f"{args.focus_source}: the encoder has {name} {theirs}, but --arch {args.arch} with its options has "
                f"{ours}; --arch focus_roberta takes the shape from the encoder."
            )


def _options(args: Namespace) -> None:
    """Defaults of the options above, in the way fairseq sets those of an architecture."""
    args.focus_source = getattr(args, "focus_source", None)
    args.focus_auxiliary = getattr(args, "focus_auxiliary", None)
    args.focus_method = getattr(args, "focus_method", "focus")
    args.focus_seed = getattr(args, "focus_seed", 1)
    args.cpu_matmul_precision = getattr(args, "cpu_matmul_precision", "medium")
    args.max_positions = getattr(args, "max_positions", 512)
    if getattr(args, "bf16", False):
        # fairseq-train takes --bf16 for a wish to train on a TPU, and then finds neither GPU nor CPU.
        args.tpu = False


@register_model_architecture("focus_roberta", "focus_roberta")
def focus_roberta(args: Namespace) -> None:
    """The shape of ``--focus-source``, or RoBERTa base; options that give a shape come before both."""
    # fairseq applies an architecture again to what it builds from; then base_architecture has left its mark.
    if getattr(args, "focus_source", None) and not hasattr(args, "max_source_positions"):
        for name, value in fairseq_shape(read_checkpoint(Path(args.focus_source)).config).items():
            setattr(args, name, getattr(args, name, value))
    focus_roberta_base(args)


@register_model_architecture("focus_roberta", "focus_roberta_base")
def focus_roberta_base(args: Namespace) -> None:
    """12 layers, 768 wide: XLM-R base."""
    _options(args)
    base_architecture(args)


@register_model_architecture("focus_roberta", "focus_roberta_large")
def focus_roberta_large(args: Namespace) -> None:
    """24 layers, 1024 wide: XLM-R large."""
    _options(args)
    roberta_large_architecture(args)
