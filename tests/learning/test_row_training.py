"""The training of rows: gradients against plain autograd, the optimizer against its definition, samples of text."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from learned_rows import given_to_learn
from torch.nn.functional import cross_entropy

from focus_plugin.checkpoint.forward import head_states, hidden_states
from focus_plugin.checkpoint.names import EMBEDDING, OUTPUT_BIAS, OUTPUT_EMBEDDING
from focus_plugin.learning.encoder import RowEncoder, prediction_loss
from focus_plugin.learning.options import RowTrainingOptions
from focus_plugin.learning.text import drawn_lines, masked, text_samples, token_ids
from focus_plugin.learning.training import AVERAGING, DAMPING, MOMENTUM, RowAdam, safe_rate, schedule, train_rows
from focus_plugin.mixing.declaration import Given
from focus_plugin.vocabulary.vocabulary import BEGIN, END


@pytest.fixture(scope="module")
def given(release, vocabulary, target_text) -> Given:
    return given_to_learn(release, vocabulary, target_text, RowTrainingOptions())


def row_encoder(given: Given, untied: bool) -> RowEncoder:
    draw = torch.Generator().manual_seed(3)
    rows, width = len(given.target), given.model.config.width
    embedding = torch.randn(rows, width, generator=draw)
    output = torch.randn(rows, width, generator=draw) if untied else embedding
    bias = torch.randn(rows, generator=draw)
    tensors = {**given.model.tensors, EMBEDDING: embedding, OUTPUT_EMBEDDING: output, OUTPUT_BIAS: bias}
    config = type(given.model.config)(**{**vars(given.model.config), "untied": untied})
    new = np.arange(7, rows, 3)
    copied = np.where(np.isin(np.arange(rows), new), -1, np.arange(rows) % len(given.source))
    return RowEncoder.of(config, tensors, copied, new, "cpu")


@pytest.mark.parametrize("untied", [False, True])
def test_gradients_are_those_of_the_whole_embedding_at_the_new_rows(given, untied):
    encoder = row_encoder(given, untied)
    ids = torch.randint(5, len(given.target), (3, 9), generator=torch.Generator().manual_seed(4))
    places = ids % 3 == 0
    tensors = encoder.tensors()
    loss = prediction_loss(tensors, hidden_states(encoder.config, tensors, ids)[places], ids[places])
    loss.backward()

    whole = {name: tensor.clone().requires_grad_() for name, tensor in encoder.frozen.items()}
    whole[OUTPUT_EMBEDDING] = whole[OUTPUT_EMBEDDING] if untied else whole[EMBEDDING]
    states = head_states(whole, hidden_states(encoder.config, whole, ids))
    logits = states @ whole[OUTPUT_EMBEDDING].T + whole[OUTPUT_BIAS]
    want = cross_entropy(logits[places], ids[places])
    want.backward()
    torch.testing.assert_close(loss, want)
    torch.testing.assert_close(encoder.rows.grad, whole[EMBEDDING].grad[encoder.new], atol=1e-6, rtol=1e-4)
    torch.testing.assert_close(encoder.bias.grad, whole[OUTPUT_BIAS].grad, atol=1e-6, rtol=1e-4)
    if untied:
        torch.testing.assert_close(
            encoder.output_rows.grad, whole[OUTPUT_EMBEDDING].grad[encoder.new], atol=1e-6, rtol=1e-4
        )
    assert not any(tensor.requires_grad for tensor in encoder.frozen.values())


def test_training_lowers_the_loss_of_what_it_reads_and_changes_nothing_else(given):
    encoder = row_encoder(given, untied=False)
    before = {name: tensor.clone() for name, tensor in encoder.frozen.items()}
    ids = encoder.new[torch.randint(len(encoder.new), (4, 12), generator=torch.Generator().manual_seed(6))]
    read = ids.masked_fill(torch.arange(12) % 4 == 0, given.target.ids["<mask>"])
    losses = []

    def loss(_: int) -> torch.Tensor:
        tensors = encoder.tensors()
        found = prediction_loss(tensors, hidden_states(encoder.config, tensors, read)[:, ::4].flatten(0, 1), wanted)
        losses.append(found.item())
        return found

    wanted, told = ids[:, ::4].flatten(), []
    train_rows(replace(given, progress=told.append), encoder, 60, loss, 1.0)
    assert losses[-1] < 0.9 * losses[0]
    assert sum(told) == len(given.target)
    assert all(torch.equal(encoder.frozen[name], tensor) for name, tensor in before.items())


def test_the_result_has_biases_on_the_level_of_those_that_copied_tokens_keep(given):
    encoder = row_encoder(given, untied=True)
    source_bias = torch.randn(len(given.source), generator=torch.Generator().manual_seed(5))
    made = encoder.result(source_bias)
    kept = np.flatnonzero(made.copied >= 0)
    level = np.mean(source_bias.numpy()[made.copied[kept]] - encoder.bias.detach().numpy()[kept])
    np.testing.assert_allclose(made.bias, encoder.bias.detach().numpy()[made.ids] + level, atol=1e-5)
    assert torch.equal(made.output_embedding, encoder.output_rows)
    assert (made.copied[made.ids] < 0).all()


def test_rows_move_as_the_optimizer_is_defined():
    draw = torch.Generator().manual_seed(1)
    rows, bias = (torch.randn(*shape, generator=draw).requires_grad_() for shape in ((4, 3), (4,)))
    start = rows.detach().clone(), bias.detach().clone()
    optimizer = RowAdam([rows, bias], 0.01)
    gradients = [(torch.randn(4, 3, generator=draw), torch.randn(4, generator=draw)) for _ in range(3)]
    for pair in gradients:
        rows.grad, bias.grad = (part.clone() for part in pair)
        optimizer.step()
    for parameter, before, part in ((rows, start[0], 0), (bias, start[1], 1)):
        want, mean, second = before.numpy().astype(float), 0.0, np.zeros(4)
        for i, pair in enumerate(gradients, 1):
            gradient = pair[part].numpy().astype(float)
            mean = MOMENTUM * mean + (1 - MOMENTUM) * gradient
            second = AVERAGING * second + (1 - AVERAGING) * (gradient.reshape(4, -1) ** 2).mean(1)
            moment = second / (1 - AVERAGING**i)
            scale = np.sqrt(moment) + DAMPING * np.sqrt(moment.mean())
            want = want - 0.01 * mean / (1 - MOMENTUM**i) / (scale[:, None] if part == 0 else scale)
        np.testing.assert_allclose(parameter.detach(), want, atol=1e-6)


def test_a_row_without_gradient_stays_where_it_is():
    rows = torch.ones(3, 2, requires_grad=True)
    rows.grad = torch.zeros(3, 2)
    optimizer = RowAdam([rows], 0.1)
    optimizer.step()
    rows.grad[1] = 1
    optimizer.step()
    assert (rows.detach()[[0, 2]] == 1).all()
    assert (rows.detach()[1] < 1).all()


def test_the_learning_rate_follows_the_entries_and_the_width():
    narrow, wide = torch.full((5, 64), 0.2), torch.full((5, 1024), -0.2)
    assert safe_rate(narrow) == pytest.approx(0.2)
    assert safe_rate(wide) == pytest.approx(0.2 / 4, rel=1e-4)
    shares = [schedule(i, 40) for i in range(40)]
    assert shares.index(max(shares)) == 3
    assert shares[:4] == pytest.approx([0.25, 0.5, 0.75, 1])
    np.testing.assert_allclose(np.diff(shares[4:]), -1 / 36)
    assert shares[-1] == pytest.approx(1 / 36)
    assert schedule(0, 1) > 0


def test_samples_are_running_text_of_runs_of_lines(given):
    lines = [f"{chr(97 + i % 26)} {i}" for i in range(100)]
    drawn = [line for batch in drawn_lines(lines, 1) for line in batch]
    assert sorted(drawn) == sorted(lines)
    assert drawn != lines
    first = lines.index(drawn[0])
    assert drawn[:4] == lines[first : first + 4]
    assert drawn == [line for batch in drawn_lines(lines, 1) for line in batch]
    text = [["ba ba", "", "chi"], ["nga"]]
    ids = token_ids(text, given.target_tokenizer, given.target, 1000)
    ends = ids == given.target.ids[END]
    assert ends.sum() == 3, "an empty line is left out"
    assert ends[-1]
    assert len(token_ids(text, given.target_tokenizer, given.target, 4)) == 4
    samples = text_samples(np.arange(10, 33), given.target, 6)
    assert (samples[:, 0] == given.target.ids[BEGIN]).all()
    np.testing.assert_array_equal(samples[:, 1:].flatten(), np.arange(10, 30))
    assert text_samples(np.arange(3), given.target, 100).shape == (1, 4)


def test_masks_are_those_of_bert_and_spare_special_tokens(given):
    vocabulary, draw = given.target, torch.Generator().manual_seed(1)
    original = torch.arange(len(vocabulary)).repeat(200).view(200, -1)
    read, predicted = masked(original, vocabulary, draw)
    special = torch.from_numpy(vocabulary.special)[original]
    assert not predicted[special].any()
    assert torch.equal(read[~predicted], original[~predicted])
    count = predicted.sum().item()
    assert count / (~special).sum().item() == pytest.approx(0.3, abs=0.005)
    at_mask = (read[predicted] == vocabulary.ids["<mask>"]).sum().item() / count
    same = (read[predicted] == original[predicted]).sum().item() / count
    assert at_mask == pytest.approx(0.8, abs=0.01)
    assert same == pytest.approx(0.1, abs=0.01)
    assert not vocabulary.special[read[predicted & (read != vocabulary.ids["<mask>"])].numpy()].any()
