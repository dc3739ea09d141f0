"""The forward pass against transformers, and what the calibration promises, on a small encoder."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from invoked import refuse
from transformers import XLMRobertaForMaskedLM

from focus_plugin.checkpoint.checkpoint import Checkpoint
from focus_plugin.checkpoint.forward import head_states, hidden_states, layer_states
from focus_plugin.checkpoint.names import OUTPUT_BIAS, OUTPUT_EMBEDDING
from focus_plugin.checkpoint.read import read_checkpoint
from focus_plugin.text import Text
from focus_plugin.transfer.calibration import Calibration, calibrated_bias, text_ids
from focus_plugin.vocabulary.tokenizers import load_tokenizer
from focus_plugin.vocabulary.vocabulary import MASK, PAD


@pytest.fixture(scope="module")
def encoder(release) -> Checkpoint:
    """With an output layer as flat as a trained one's, so that no token takes all probability."""
    read = read_checkpoint(release)
    return replace(read, tensors={**read.tensors, OUTPUT_EMBEDDING: 0.1 * read.tensors[OUTPUT_EMBEDDING]})


@pytest.fixture(scope="module")
def text(release, target_text, encoder) -> np.ndarray:
    tokenizer = load_tokenizer(release / "sentencepiece.bpe.model")
    return text_ids(Text.of(target_text), tokenizer, encoder.vocabulary, seed=1)


def test_reading_the_text_reports_its_bytes(release, target_text, encoder, text):
    told: list[int] = []
    tokenizer = load_tokenizer(release / "sentencepiece.bpe.model")
    again = text_ids(Text.of(target_text), tokenizer, encoder.vocabulary, seed=1, progress=told.append)
    np.testing.assert_array_equal(again, text)
    assert sum(told) == target_text.stat().st_size


def calibrated(encoder: Checkpoint, text: np.ndarray, bias: torch.Tensor, **options) -> torch.Tensor:
    tensors = {**encoder.tensors, OUTPUT_BIAS: bias}
    kept = np.zeros(len(encoder.vocabulary), dtype=bool)
    how = Calibration(**{"tokens": 4096, "kept": kept, "seed": 1, **options})
    return calibrated_bias(encoder.config, tensors, encoder.vocabulary, text, how)


def test_the_forward_pass_is_that_of_transformers(release, hugging_face):
    encoder = read_checkpoint(release)
    model = XLMRobertaForMaskedLM.from_pretrained(hugging_face).eval()
    ids = torch.randint(4, len(encoder.vocabulary), (3, 17), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        want = model(ids, output_hidden_states=True)
        states = hidden_states(encoder.config, encoder.tensors, ids)
        logits = head_states(encoder.tensors, states) @ encoder.tensors[OUTPUT_EMBEDDING].T
    torch.testing.assert_close(states, want.hidden_states[-1], atol=1e-5, rtol=0)
    torch.testing.assert_close(logits + encoder.tensors[OUTPUT_BIAS], want.logits, atol=1e-4, rtol=0)


def test_the_states_of_all_layers_are_those_of_transformers_with_padding(release, hugging_face):
    encoder = read_checkpoint(release)
    model = XLMRobertaForMaskedLM.from_pretrained(hugging_face).eval()
    ids = torch.randint(4, len(encoder.vocabulary), (3, 17), generator=torch.Generator().manual_seed(1))
    padding = torch.arange(17) >= torch.tensor([[17], [9], [1]])
    ids = ids.masked_fill(padding, encoder.vocabulary.ids[PAD])
    with torch.inference_mode():
        want = model(ids, attention_mask=(~padding).long(), output_hidden_states=True).hidden_states
        found = list(layer_states(encoder.config, encoder.tensors, ids, padding))
    assert len(found) == len(want) == encoder.config.layers + 1
    for mine, theirs in zip(found, want, strict=True):
        torch.testing.assert_close(mine[~padding], theirs[~padding], atol=1e-5, rtol=0)


def test_the_model_comes_to_say_each_token_as_often_as_the_text(encoder, text):
    """Prior correction is a fixed point there: what is calibrated already hardly changes again."""
    first = calibrated(encoder, text, encoder.tensors[OUTPUT_BIAS])
    second = calibrated(encoder, text, first)
    before = (first - encoder.tensors[OUTPUT_BIAS]).abs().mean()
    assert (second - first).abs().mean() < before / 5


def test_special_tokens_and_constants_do_not_count(encoder, text):
    bias = encoder.tensors[OUTPUT_BIAS]
    fitted, shifted = calibrated(encoder, text, bias), calibrated(encoder, text, bias + 3)
    special = torch.from_numpy(encoder.vocabulary.special)
    assert torch.equal(fitted[special], bias[special])
    torch.testing.assert_close(shifted, fitted + 3, atol=1e-3, rtol=0)
    assert torch.equal(fitted, calibrated(encoder, text, bias))


def test_a_token_the_model_never_says_gets_a_finite_bias(encoder, text):
    bias = encoder.tensors[OUTPUT_BIAS].clone()
    bias[100] = -1e4
    assert torch.isfinite(calibrated(encoder, text, bias)).all()


def test_kept_tokens_keep_their_bias(encoder, text):
    kept = np.arange(len(encoder.vocabulary)) % 2 == 0
    bias = encoder.tensors[OUTPUT_BIAS]
    fitted = calibrated(encoder, text, bias, kept=kept)
    assert torch.equal(fitted[kept], bias[kept])
    others = ~kept & ~encoder.vocabulary.special
    assert (fitted[others] != bias[others]).all()


def test_predictions_on_other_text_get_better(encoder, text):
    """The loss at masked positions of text that was not calibrated on."""
    ids = torch.from_numpy(text[-1600:].astype(np.int64)).view(-1, 32)
    masked = torch.zeros_like(ids, dtype=torch.bool)
    masked[:, 3::7] = True
    hidden = ids.masked_fill(masked, encoder.vocabulary.ids[MASK])
    with torch.inference_mode():
        states = head_states(encoder.tensors, hidden_states(encoder.config, encoder.tensors, hidden)[masked])
        logits = states @ encoder.tensors[OUTPUT_EMBEDDING].T
    bias = encoder.tensors[OUTPUT_BIAS]
    losses = [
        torch.nn.functional.cross_entropy(logits + one, ids[masked]).item()
        for one in (bias, calibrated(encoder, text[:-1600], bias))
    ]
    assert losses[1] < 0.95 * losses[0]


def test_too_little_text_is_told(release, vocabulary, target_text, tmp_path):
    (tmp_path / "short.txt").write_text("\n".join(target_text.read_text().splitlines()[:3]) + "\n")
    base = ("focus", "convert", "--source", release, "--vocab", vocabulary, "--corpus", tmp_path / "short.txt")
    says = "too few to calibrate on"
    refuse(*base, "--min-count", 1, "--dim", 5, "--output", tmp_path / "x", says=says)
    assert not (tmp_path / "x").exists()
