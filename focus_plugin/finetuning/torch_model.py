"""An encoder with the head of a task in PyTorch."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fairseq import checkpoint_utils
from fairseq.models.roberta import RobertaModel
from focus_export.head import ServingHead
from omegaconf import open_dict
from torch import Tensor, nn
from torch.nn import functional

from focus_plugin.checkpoint.release import RELEASE_MODEL
from focus_plugin.errors import FocusError
from focus_plugin.finetuning.declaration import Forward, TaskHead
from focus_plugin.finetuning.kept_head import KeptHead
from focus_plugin.trusted import trust_fairseq_checkpoints

_MULTIPLE = 8  # of tokens that the encoder reads: on a CPU, PyTorch keeps code and memory for each shape of a batch


@dataclass(frozen=True, kw_only=True)
class TorchModel:
    """model: fairseq's. head: as it is served. module: the head's, if the task declares one. lower_layers: the numbers
    of layers besides the last whose hidden states the head gets."""

    model: RobertaModel
    task: TaskHead
    head: ServingHead
    module: nn.Module | None
    lower_layers: tuple[int, ...] = ()

    def __call__(self, ids: Tensor, lengths: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
        """The hidden states of the last layer (batch, length, width), and the outputs of the head by name.

        ids: (batch, length), padded on the right. lengths: (batch,).
        """
        length, pad = ids.shape[1], self.model.encoder.dictionary.pad()
        padded = functional.pad(ids, (0, -length % _MULTIPLE), value=pad)
        hidden, more = self.model(padded, features_only=True, return_all_hiddens=bool(self.lower_layers))
        hidden = hidden[:, :length]
        lower = {number: more["inner_states"][number].transpose(0, 1)[:, :length] for number in self.lower_layers}
        given = Forward(
            model=self.model, head=self.head, module=self.module, hidden=hidden, lengths=lengths, lower=lower
        )
        return hidden, self.task.forward(given)


def load_model(directory: Path, task: TaskHead, kept: KeptHead, device: str = "cpu") -> TorchModel:
    """The model of a release, ready to predict. Raises FocusError if its tensors do not fit the task's module."""
    import focus_plugin.models.focus_roberta  # noqa: F401  registers the architecture of factorized embeddings

    trust_fairseq_checkpoints()
    file = str(directory / RELEASE_MODEL)
    state = checkpoint_utils.load_checkpoint_to_cpu(file, {"data": str(directory)})
    with open_dict(state["cfg"]):
        state["cfg"].model.load_checkpoint_heads = True  # overrides change existing settings only
    # not strict: the tensors of a task's own module are not part of fairseq's model
    models, _, _ = checkpoint_utils.load_model_ensemble_and_task([file], strict=False, state=state)
    model: RobertaModel = models[0].eval().to(device)
    if kept.head.encoder_layers:
        del model.encoder.sentence_encoder.layers[kept.head.encoder_layers :]
    module = None
    if task.module:
        module = task.module(kept.head, model.args.encoder_embed_dim)
        try:
            module.load_state_dict(kept.tensors)
        except RuntimeError as error:
            reason = " ".join(str(error).split())
            raise FocusError(
                f"{directory / RELEASE_MODEL}: does not fit the head of {task.name} ({reason})."
            ) from error
        module.eval().to(device)
    return TorchModel(model=model, task=task, head=kept.head, module=module)
