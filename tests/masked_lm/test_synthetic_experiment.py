"""What the experiment with derived languages computes from encoders and rows; its trainings are not run here."""

import argparse
import json
import shutil

import pytest
import torch
from fairseq_models import CONFIG, make_world
from safetensors.torch import save_file
from synthetic import PUBLISHED_SHARES, nearest_is_twin, new_encoder, of_language, settings, table

from focus_plugin.bilingual.pairs import TokenPair
from focus_plugin.checkpoint.languages import LANGUAGE_FILE, LANGUAGE_ROWS
from focus_plugin.checkpoint.names import EMBEDDING, OUTPUT_BIAS, OUTPUT_EMBEDDING, POSITIONS
from focus_plugin.checkpoint.read import read_checkpoint
from focus_plugin.vocabulary.readers import read_dictionary


def test_a_twin_competes_with_all_tokens_of_its_language():
    """By hand: b's twin is not its nearest, c's is, although tokens of c's own language are nearer."""
    ids = {token: i for i, token in enumerate(["a", "b", "c", "A", "B", "C", "other"])}
    rows = [[1, 0], [0.9, 0.1], [0, 1], [5, 0], [1, 1], [0.1, 3], [0, 1]]
    pairs = [TokenPair((token,), (token.upper(),)) for token in "abc"]
    assert nearest_is_twin(torch.tensor(rows, dtype=torch.float), pairs, ids).tolist() == [True, False, True]


def test_settings_are_all_different_and_begin_with_the_main_comparison():
    found = list(settings([1, 2, 3]))
    assert len({str(setting) for setting in found}) == len(found) == 3 * 4 + 2 * 4 + 2 + 2
    assert [setting.language for setting in found[:12]] == 12 * ["transliteration+inversion"]
    with_syntax = {str(setting) for setting in settings([1, 2, 3], syntax=True)} - {str(setting) for setting in found}
    assert len(with_syntax) == 4
    assert all(name.startswith("transliteration+syntax.") for name in with_syntax)
    assert {setting.share for setting in found if setting.objective == "tlm"} == {PUBLISHED_SHARES["tlm"]}


def test_another_language_is_exact(tmp_path):
    """There and back again is the same, and padding stays zero."""
    encoder = make_world(tmp_path).source
    rows = torch.randn(2, CONFIG.width)
    assert of_language(encoder, encoder, tmp_path / "none", ("target", "source")) == encoder
    save_file({LANGUAGE_ROWS: rows}, encoder / LANGUAGE_FILE)
    other = of_language(encoder, encoder, tmp_path / "other", ("target", "source"))
    before, after = (read_checkpoint(path).tensors[POSITIONS] for path in (encoder, other))
    torch.testing.assert_close(after[2:] - before[2:], (rows[0] - rows[1]).expand_as(before[2:]))
    assert torch.equal(after[:2], before[:2])
    back = read_checkpoint(of_language(other, encoder, tmp_path / "back", ("source", "target")))
    torch.testing.assert_close(back.tensors[POSITIONS], before)


def test_a_new_encoder_has_the_doubled_vocabulary(tmp_path):
    vocabulary = make_world(tmp_path).source
    vocabulary.rename(tmp_path / "doubled")
    arguments = argparse.Namespace(work=tmp_path, width=32, layers=2, length=20, start=None)
    made = read_checkpoint(new_encoder(arguments, 1))
    assert (made.config.layers, made.config.width, made.config.max_positions) == (2, 32, 20)
    assert made.vocabulary == read_dictionary(tmp_path / "doubled" / "dict.txt")
    assert made.tensors[EMBEDDING].std() > 0.1
    assert not made.tensors[POSITIONS][1].any()


def test_the_layers_of_another_encoder_are_kept(tmp_path):
    start = make_world(tmp_path).source
    shutil.copytree(start, tmp_path / "doubled")
    old, new = (
        read_checkpoint(start),
        read_checkpoint(new_encoder(argparse.Namespace(work=tmp_path, start=start, width=1, layers=1, length=1), 1)),
    )
    assert new.config == old.config
    changed = {name for name, weight in old.tensors.items() if not torch.equal(weight, new.tensors[name])}
    assert changed == {EMBEDDING, OUTPUT_EMBEDDING, OUTPUT_BIAS}
    torch.testing.assert_close(new.tensors[EMBEDDING].std(), old.tensors[EMBEDDING].std())
    assert not new.tensors[OUTPUT_BIAS].any()


def row(setting, aligned, scores, losses):
    chosen = json.loads(json.dumps(setting.__dict__))
    names = ("pos.bs", "pos.bz", "ner.bs", "ner.bz")
    alignment = {"all": aligned, "dictionary": aligned, "held out": aligned}
    return {"setting": chosen, "alignment": alignment, "losses": losses, **dict(zip(names, scores, strict=True))}


def test_the_table_has_means_over_seeds_and_the_correlation():
    found = {str(setting): setting for setting in settings([1, 2])}
    name = "transliteration+inversion"
    mlm, again = (found[f"{name}.mlm.1.seed{seed}"] for seed in (1, 2))
    aligned, weightless = (found[f"{name}.align-mlm.0.5{variant}.seed1"] for variant in ("", ".weightless"))
    rows = [
        row(mlm, 0.0, (95, 55, 80, 40), {"10": 3.5, "20": 3.0}),
        row(again, 2.0, (95, 57, 80, 41), {"20": 3.2}),
        row(aligned, 90.0, (95, 92, 80, 64), {"20": 3.1}),
        row(weightless, 1.0, (95, 56, 80, 40), {"10": 3.5, "20": 3.0}),
    ]
    lines = list(table(rows))
    assert f"| {name} | mlm |  | 2 | 95.0 / 56.0 | 80.0 / 40.5 | 1.0 % | 1.0 % | 3.100 |" in lines
    assert "Spearman of alignment with BS - BZ, pos: -1.00 over 4 runs." in lines
    assert any(line.startswith("With a weight of zero, the losses are the same as masked LM") for line in lines)
    rows[-1]["losses"]["20"] = 3.000001
    assert any(line.startswith("With a weight of zero, the losses are NOT those of") for line in table(rows))


@pytest.mark.parametrize("objective", ["mlm", "align-mlm"])
def test_names_can_be_chosen_by_a_part(objective):
    found = [setting for setting in settings([1]) if f".{objective}." in str(setting)]
    assert found
    assert {setting.objective for setting in found} == {objective}
