"""The architectures ``focus_roberta``, ``focus_roberta_base`` and ``focus_roberta_large``.

They are fairseq's RoBERTa. With ``--focus-source`` a new model is initialized from a released encoder, in the same ways
as by ``focus convert``.
"""

from argparse import ArgumentParser, Namespace
from typing import Any

import torch
from fairseq.models import register_model, register_model_architecture
from fairseq.models.roberta import RobertaModel
from fairseq.models.roberta.model import base_architecture, roberta_large_architecture
from fairseq.tasks import FairseqTask
from torch import Tensor, nn

from focus_plugin.checkpoint.languages import LANGUAGE_ROWS
from focus_plugin.checkpoint.release_state import fairseq_shape
from focus_plugin.distributed import load_on_every_rank
from focus_plugin.finetuning.declaration import TASK_HEAD
from focus_plugin.masked_lm.cross_entropy import summed_cross_entropy
from focus_plugin.mixing.discovery import find_method
from focus_plugin.models.factorized import factorize, output_states
from focus_plugin.models.fast_layers import use_fast_layers
from focus_plugin.models.first_weights import first_weights, source_encoder
from focus_plugin.models.positions import use_sample_positions
from focus_plugin.optimization.adam import FocusAdam  # noqa: F401  registers --optimizer focus_adam
from focus_plugin.optimization.groups import freeze, mark_groups
from focus_plugin.transfer.arguments import add_options, peek
from focus_plugin.transfer.options import DEFAULT_METHOD, method_options, shared_options
from focus_plugin.trusted import trust_fairseq_checkpoints

trust_fairseq_checkpoints()
CPU_PRECISIONS = ("float32", "products", "bfloat16")
_HALF = ("fp16", "bf16", "amp", "memory_efficient_fp16", "memory_efficient_bf16")  # fairseq's own, which come first


@register_model("focus_roberta")
class FocusRobertaModel(RobertaModel):
    """RoBERTa with initial weights from an encoder with another vocabulary, and with the head of a task."""

    mixed_precision = False

    @staticmethod
    def add_args(parser: ArgumentParser) -> None:
        """Add RoBERTa's options, those of the initialization, and those of the method that ``--focus-method`` names."""
        RobertaModel.add_args(parser)
        parser.add_argument(
            "--focus-source",
            metavar="DIR",
            help="encoder to initialize from: a directory, or NAME[@REVISION] on the Hugging Face Hub",
        )
        parser.add_argument(
            "--focus-method",
            metavar="NAME|FILE",
            help=f"how new rows are made: a method by name, or a .py file that declares one [{DEFAULT_METHOD}]",
        )
        parser.add_argument(
            "--focus-vocab",
            metavar="DIR",
            help="where the data's vocabulary extends the source's: the directory of the language's own, "
            "which is the --vocab of focus convert --extend",
        )
        parser.add_argument(
            "--focus-paper",
            action="store_true",
            help="do what the software of the method's authors does, with its defaults",
        )
        named = find_method(peek("--focus-method") or DEFAULT_METHOD).declaration
        add_options(parser, (*shared_options(), *method_options(named)))
        parser.add_argument(
            "--embedding-factors",
            type=int,
            metavar="N",
            help="factorize the embedding: rows of N values and a projection to the width that all tokens share",
        )
        parser.add_argument(
            "--freeze-layers",
            type=int,
            metavar="N",
            help="do not train the embeddings and the first N layers; 0: the embeddings only",
        )
        parser.add_argument(
            "--fairseq-attention",
            action="store_true",
            help="compute self-attention, dropout and GELU by fairseq's own code, which is slower on CPUs",
        )
        parser.add_argument(
            "--cpu-precision",
            choices=CPU_PRECISIONS,
            help="precision of a training without a GPU: bfloat16 computes products of matrices and most of what is "
            "between them in bfloat16 where the CPU has instructions for it, and keeps weights in float32, as training "
            "on a GPU does; products only multiplies in bfloat16 and adds in float32 [bfloat16]",
        )
        parser.add_argument(
            "--restart-positions",
            action="store_true",
            help="count positions anew at each <s> of a sample, as TLM does",
        )
        parser.add_argument(
            "--language-embeddings",
            action="store_true",
            help="add an embedding of its language to each token",
        )

    @classmethod
    def build_model(cls, args: Namespace, task: FairseqTask) -> "FocusRobertaModel":
        """Build the model. Initialize it unless its weights are from a checkpoint, or will be loaded from one.

        Raises FocusError, on every rank, if the source does not fit.
        """
        model: FocusRobertaModel = super().build_model(args, task)
        if args.embedding_factors:
            factorize(model, args.embedding_factors)
        if args.restart_positions or args.language_embeddings:
            begin = task.source_dictionary.bos() if args.restart_positions else None
            use_sample_positions(model.encoder.sentence_encoder.embed_positions, begin, args.language_embeddings)
        mark_groups(model)
        if args.freeze_layers is not None:
            freeze(model, args.freeze_layers)
        if not args.fairseq_attention:
            use_fast_layers(model)
        if not getattr(args, "focus_built", False):
            # This is saved with every checkpoint: a model built from a checkpoint gets its weights from there.
            args.focus_built = True
            if args.focus_source:
                load_on_every_rank(model, lambda: first_weights(args, task))
                source_encoder.cache_clear()
            if args.cpu or not torch.cuda.is_available():
                torch.set_float32_matmul_precision("highest" if args.cpu_precision == "float32" else "medium")
                model.mixed_precision = (
                    args.cpu_precision == "bfloat16" and has_bfloat16() and not any(map(vars(args).get, _HALF))
                )
        return model

    def forward(
        self,
        src_tokens: Tensor,
        *given: Any,
        languages: Tensor | None = None,
        targets: Tensor | None = None,
        masked_tokens: Tensor | None = None,
        **named: Any,
    ) -> Any:
        """See fairseq. In a training on a CPU, most is computed in bfloat16, see ``--cpu-precision``.

        ``languages``: that of each token, shape (batch, length), with ``--language-embeddings``. ``targets``: the ids
        of the tokens that are predicted at ``masked_tokens``; the first result is then not their logits but the sum of
        their cross-entropies.
        """
        if languages is not None:
            self.encoder.sentence_encoder.embed_positions.languages = languages
        with torch.autocast("cpu", torch.bfloat16, enabled=self.mixed_precision and self.training):
            if targets is None:
                return super().forward(src_tokens, *given, masked_tokens=masked_tokens, **named)
            features, extra = super().forward(src_tokens, features_only=True)
            head = self.encoder.lm_head
            states = output_states(head, features[masked_tokens])
            return summed_cross_entropy(states, head.weight, head.bias, targets), extra

    def attach_head(self, module: nn.Module) -> None:
        """Make a task's module a part of the model; its tensors' names begin with ``TASK_HEAD``."""
        setattr(self, TASK_HEAD, module)
        mark_groups(self)

    def register_classification_head(self, *names: Any, **settings: Any) -> None:
        """Make a classification head of fairseq's a part of the model."""
        super().register_classification_head(*names, **settings)
        mark_groups(self)

    def upgrade_state_dict_named(self, state_dict: dict[str, Tensor], name: str) -> None:
        """Prepare a checkpoint for loading. If its head does not fit the model's, the model's head keeps its weights.

        fairseq does the same with its classification heads.
        """
        super().upgrade_state_dict_named(state_dict, name)
        rows = f"{name}.{LANGUAGE_ROWS}" if name else LANGUAGE_ROWS
        if self.args.language_embeddings and rows not in state_dict:  # an encoder without languages
            state_dict[rows] = self.encoder.sentence_encoder.embed_positions.language_rows.weight.detach()
        prefix = f"{name}.{TASK_HEAD}." if name else f"{TASK_HEAD}."
        theirs = {key: tensor for key, tensor in state_dict.items() if key.startswith(prefix)}
        module = getattr(self, TASK_HEAD, None)
        ours = {f"{prefix}{key}": tensor for key, tensor in module.state_dict().items()} if module else {}
        if {key: tensor.shape for key, tensor in theirs.items()} != {key: tensor.shape for key, tensor in ours.items()}:
            for key in theirs:
                del state_dict[key]
            state_dict.update(ours)


def has_bfloat16() -> bool:
    """Whether the CPU has instructions for products in bfloat16, without which they are slower than in float32."""
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _options(args: Namespace) -> None:
    """Set the defaults of the options above, as functions of fairseq's architectures do."""
    for name in ("source", "method", "vocab", "matrix"):
        setattr(args, f"focus_{name}", getattr(args, f"focus_{name}", None))
    args.focus_paper = getattr(args, "focus_paper", False)
    args.embedding_factors = getattr(args, "embedding_factors", None) or 0
    args.freeze_layers = getattr(args, "freeze_layers", None)
    args.cpu_precision = getattr(args, "cpu_precision", None) or "bfloat16"
    for name in ("fairseq_attention", "restart_positions", "language_embeddings"):
        setattr(args, name, getattr(args, name, False))
    args.max_positions = getattr(args, "max_positions", 512)
    if getattr(args, "bf16", False):
        # with --bf16, fairseq-train would look for a TPU, and use neither a GPU nor the CPU
        args.tpu = False


@register_model_architecture("focus_roberta", "focus_roberta")
def focus_roberta(args: Namespace) -> None:
    """The shape of ``--focus-source``, or else of RoBERTa base; options for the shape override it."""
    # fairseq calls this function again when it builds the model; max_source_positions is then set by the first call
    if getattr(args, "focus_source", None) and not hasattr(args, "max_source_positions"):
        for name, value in fairseq_shape(source_encoder(args.focus_source).config).items():
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
