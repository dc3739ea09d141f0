"""The shapes of the batches that the encoder reads in a fine-tuning."""

import torch
from fairseq_models import CONFIG, World
from focus_export.heads.embedding import EmbeddingHead

from focus_plugin.finetuning.kept_head import KeptHead
from focus_plugin.finetuning.torch_model import load_model
from focus_plugin.heads.embedding import HEAD

PAD = 1


def test_the_encoder_reads_few_shapes_and_the_results_have_the_length_that_was_given(world: World) -> None:
    """Up to the longest row that it can read. The hidden states are those without more padding."""
    model = load_model(world.source, HEAD, KeptHead(EmbeddingHead()))
    read: list[int] = []
    model.model.encoder.register_forward_pre_hook(lambda _, given: read.append(given[0].shape[1]))
    lengths = set()
    for length in range(3, CONFIG.max_positions + 1):
        ids = torch.randint(5, 100, (2, length), generator=torch.Generator().manual_seed(length))
        ids[1, length // 2 :] = PAD
        with torch.no_grad():
            hidden, _ = model(ids, ids.ne(PAD).sum(1))
            lengths.add(read[-1])
            alone = model.model(ids, features_only=True)[0]
        assert hidden.shape == alone.shape
        real = ids.ne(PAD)
        torch.testing.assert_close(hidden[real], alone[real], rtol=1e-5, atol=1e-5)
    assert lengths == set(range(8, 65, 8))
