"""Encoders read from both layouts, against the reference implementations."""

import argparse
import json
import os
import random
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from encoder_models import with_config
from fairseq.models.roberta import XLMRModel
from safetensors.torch import load_file, save_file
from transformers import RobertaConfig, RobertaForMaskedLM, XLMRobertaForMaskedLM

from focus_plugin.checkpoint.names import EMBEDDING, OUTPUT_EMBEDDING
from focus_plugin.checkpoint.read import checkpoint_files, read_checkpoint
from focus_plugin.checkpoint.release import load_fairseq, write_release
from focus_plugin.errors import FocusError


def equal(one, other) -> bool:
    return list(one) == list(other) and all(torch.equal(one[name], other[name]) for name in one)


def test_both_layouts_give_the_same_checkpoint(hugging_face, release):
    one, other = read_checkpoint(hugging_face), read_checkpoint(release)
    assert one.config == other.config
    assert one.vocabulary == other.vocabulary
    assert equal(one.tensors, other.tensors)
    assert one.tokenizer.count(["ba che di", ""]) == other.tokenizer.count(["ba che di", ""]) > 0


def test_fairseq_computes_what_transformers_computes(hugging_face, release):
    reference = XLMRobertaForMaskedLM.from_pretrained(hugging_face).eval()
    model = XLMRModel.from_pretrained(str(release)).model.eval()
    ids = torch.tensor([[0, 5, 77, 300, 601, 9, 2], [0, 8, 2, 1, 1, 1, 1]])
    with torch.no_grad():
        want = reference(input_ids=ids, attention_mask=ids != 1, output_hidden_states=True)
        hidden = model(ids, features_only=True)[0]
        logits = model(ids)[0]
    real = ids != 1
    torch.testing.assert_close(hidden[real], want.hidden_states[-1][real], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(logits[real], want.logits[real], atol=1e-4, rtol=1e-5)


def test_pytorch_bin_and_half_precision_are_read(hugging_face, tmp_path):
    pickled = with_config(hugging_face, tmp_path / "pickled")
    weights = load_file(pickled / "model.safetensors")
    (pickled / "model.safetensors").unlink()
    torch.save(weights, pickled / "pytorch_model.bin")
    assert equal(read_checkpoint(pickled).tensors, read_checkpoint(hugging_face).tensors)
    half = with_config(hugging_face, tmp_path / "half")
    save_file({name: tensor.half() for name, tensor in weights.items()}, half / "model.safetensors")
    tensors = read_checkpoint(half).tensors
    assert all(tensor.dtype == torch.float32 for tensor in tensors.values())
    assert torch.equal(tensors[EMBEDDING], read_checkpoint(hugging_face).tensors[EMBEDDING].half().float())


def test_token_types_become_part_of_the_positions(hugging_face, tmp_path):
    typed = with_config(hugging_face, tmp_path / "typed")
    weights = load_file(typed / "model.safetensors")
    name = "roberta.embeddings.token_type_embeddings.weight"
    weights[name] = torch.randn_like(weights[name])
    save_file(weights, typed / "model.safetensors", {"format": "pt"})
    tensors = read_checkpoint(typed).tensors
    reference = XLMRobertaForMaskedLM.from_pretrained(typed).roberta.embeddings
    got = tensors[EMBEDDING][7] + tensors["encoder.sentence_encoder.embed_positions.weight"][2]
    want = reference.word_embeddings.weight[7] + reference.position_embeddings.weight[2]
    torch.testing.assert_close(got, want + reference.token_type_embeddings.weight[0])


def test_old_fairseq_names_are_read(release, tmp_path):
    """As in 2019: the encoder is called decoder, and the three projections are one matrix."""
    checkpoint = read_checkpoint(release)
    old = {}
    for name, tensor in checkpoint.tensors.items():
        name = name.replace("encoder.", "decoder.", 1).replace("layernorm_embedding", "emb_layer_norm")
        if ".q_proj." in name:
            packed = [
                checkpoint.tensors[name.replace("decoder.", "encoder.", 1).replace("q_proj", f"{p}_proj")]
                for p in "qkv"
            ]
            old[name.replace("q_proj.", "in_proj_")] = torch.cat(packed)
        elif ".k_proj." not in name and ".v_proj." not in name:
            old[name] = tensor
    args = argparse.Namespace(arch="roberta_base", encoder_attention_heads=4)
    shutil.copytree(release, tmp_path / "old")
    torch.save({"args": args, "model": old}, tmp_path / "old" / "model.pt", _use_new_zipfile_serialization=False)
    again = read_checkpoint(tmp_path / "old")
    assert again.config == checkpoint.config
    assert equal(again.tensors, checkpoint.tensors)


def test_roberta_with_byte_level_tokens(tmp_path, target_text):
    from tokenizers import ByteLevelBPETokenizer

    tokenizer = ByteLevelBPETokenizer()
    tokenizer.train([str(target_text)], 500, special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    directory = tmp_path / "roberta"
    model = RobertaForMaskedLM(
        RobertaConfig(
            vocab_size=504,  # four rows more than tokens, as models padded to a round number have
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=32,
            max_position_embeddings=34,
            type_vocab_size=1,
            layer_norm_eps=1e-5,
        )
    )
    model.save_pretrained(directory)
    tokenizer.save_model(str(directory))
    by_vocab = read_checkpoint(directory)
    tokenizer.save(str(directory / "tokenizer.json"))
    by_json = read_checkpoint(directory)
    assert by_vocab.vocabulary == by_json.vocabulary
    assert any(form.startswith("▁") for form in by_json.vocabulary.forms)
    assert len(by_json.tensors[EMBEDDING]) == len(by_json.vocabulary) == 500
    lines = target_text.read_text().splitlines()[:50]
    assert (
        by_vocab.tokenizer.count(lines)
        == by_json.tokenizer.count(lines)
        == sum(len(tokenizer.encode(x)) for x in lines)
    )


def test_untied_output_embedding_is_kept_apart(release, tmp_path):
    checkpoint = read_checkpoint(release)
    assert checkpoint.tensors[OUTPUT_EMBEDDING] is checkpoint.tensors[EMBEDDING]
    untied = {**checkpoint.tensors, OUTPUT_EMBEDDING: checkpoint.tensors[OUTPUT_EMBEDDING] + 1}
    shutil.copytree(release, tmp_path / "untied")
    config = replace(checkpoint.config, untied=True)
    write_release(tmp_path / "untied", config, untied, release / "dict.txt", release / "sentencepiece.bpe.model")
    again = read_checkpoint(tmp_path / "untied")
    assert again.config.untied
    assert torch.equal(again.tensors[OUTPUT_EMBEDDING], checkpoint.tensors[EMBEDDING] + 1)
    model = XLMRModel.from_pretrained(str(tmp_path / "untied")).model
    assert torch.equal(model.encoder.lm_head.weight, again.tensors[OUTPUT_EMBEDDING])
    assert torch.equal(model.encoder.sentence_encoder.embed_tokens.weight, again.tensors[EMBEDDING])


def test_a_tied_embedding_is_written_once_and_in_full_precision(release, tmp_path):
    """Also where its two names come from a half-precision training, as two tensors."""
    checkpoint = read_checkpoint(release)
    half = {name: tensor.half() for name, tensor in checkpoint.tensors.items()}
    write_release(tmp_path, checkpoint.config, half, release / "dict.txt", release / "sentencepiece.bpe.model")
    assert (tmp_path / "model.pt").stat().st_size == (release / "model.pt").stat().st_size
    assert equal(read_checkpoint(tmp_path).tensors, {name: tensor.float() for name, tensor in half.items()})


class Malicious:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_a_pickle_that_wants_to_run_code_is_refused(release, hugging_face, tmp_path):
    trace = tmp_path / "was-run"
    shutil.copytree(release, tmp_path / "fairseq")
    torch.save({"args": Malicious(trace), "model": {}}, tmp_path / "fairseq" / "model.pt")
    with pytest.raises(FocusError, match=r"model\.pt: refused.*mkdir"):
        read_checkpoint(tmp_path / "fairseq")
    pickled = with_config(hugging_face, tmp_path / "hf")
    (pickled / "model.safetensors").unlink()
    torch.save({"x": Malicious(trace)}, pickled / "pytorch_model.bin")
    with pytest.raises(FocusError, match=r"pytorch_model\.bin: refused.*mkdir"):
        read_checkpoint(pickled)
    assert not trace.exists()


def test_damaged_checkpoints_are_told(release, hugging_face, tmp_path):
    with pytest.raises(FocusError, match="no such directory"):
        read_checkpoint(tmp_path / "absent")
    with pytest.raises(FocusError, match=r"neither model\.pt .* nor config\.json"):
        read_checkpoint(tmp_path)
    whole = (release / "model.pt").read_bytes()
    for length in (0, 10, len(whole) // 2, len(whole) - 30):
        broken = tmp_path / f"cut{length}"
        shutil.copytree(release, broken)
        (broken / "model.pt").write_bytes(whole[:length])
        with pytest.raises(FocusError, match=r"model\.pt: damaged"):
            read_checkpoint(broken)
    cut = with_config(hugging_face, tmp_path / "cut.hf")
    (cut / "model.safetensors").write_bytes((hugging_face / "model.safetensors").read_bytes()[:2000])
    with pytest.raises(FocusError, match=r"model\.safetensors: missing, damaged"):
        read_checkpoint(cut)


def test_any_byte_of_a_pickle_may_be_wrong(release, tmp_path):
    """What the unpickler makes of it is either tensors or one sentence."""
    whole = (release / "model.pt").read_bytes()
    begin = whole.index(b"data.pkl") + len(b"data.pkl")
    draw = random.Random(1)
    kinds = set()
    for _ in range(150):
        broken = bytearray(whole)
        for _ in range(draw.choice([1, 1, 3])):
            broken[begin + draw.randrange(3000)] = draw.randrange(256)
        (tmp_path / "model.pt").write_bytes(broken)
        try:
            load_fairseq(tmp_path / "model.pt")
        except FocusError as error:
            kinds.add(str(error).partition("model.pt: ")[2][:20])
    assert any("damaged" in kind for kind in kinds), kinds


def safetensors(header: object, length: int | None = None, data: bytes = bytes(64)) -> bytes:
    written = json.dumps(header).encode() if not isinstance(header, bytes) else header
    return (len(written) if length is None else length).to_bytes(8, "little") + written + data


def entry(**changes: object) -> dict[str, object]:
    return {"dtype": "F32", "shape": [16], "data_offsets": [0, 64], **changes}


@pytest.mark.parametrize(
    "content",
    [
        safetensors({"a": entry()}, length=2**63),
        safetensors({"a": entry()}, length=120_000_000),
        safetensors({"a": entry(shape=[2**62, 4])}),
        safetensors({"a": entry(shape=[17])}),
        safetensors({"a": entry(data_offsets=[64, 0])}),
        safetensors({"a": entry(data_offsets=[0, 2**40])}),
        safetensors({"a": entry(), "b": entry()}),
        safetensors({"a": entry(dtype="O")}),
        safetensors({"a": entry(), "__metadata__": {"a": {"b": 1}}}),
        safetensors(b"[" * 100_000),
        safetensors(b"\xff\xfe"),
        safetensors({}, data=b""),
        b"",
        b"1234567",
    ],
    ids=lambda content: repr(content[:40]),
)
def test_safetensors_whose_headers_lie_are_told(hugging_face, tmp_path, content):
    directory = with_config(hugging_face, tmp_path / "model")
    (directory / "model.safetensors").write_bytes(content)
    with pytest.raises(FocusError, match=r"model\.safetensors: missing, damaged|has no masked-LM head"):
        read_checkpoint(directory)


def test_a_config_nested_too_deeply_is_told(hugging_face, tmp_path):
    directory = with_config(hugging_face, tmp_path / "model")
    (directory / "config.json").write_text("[" * 100_000)
    with pytest.raises(FocusError, match=r"config\.json: not a JSON object"):
        read_checkpoint(directory)


def test_a_dictionary_that_does_not_fit_is_told(release, tmp_path):
    shutil.copytree(release, tmp_path / "short")
    dictionary = tmp_path / "short" / "dict.txt"
    dictionary.write_text("".join(dictionary.read_text().splitlines(keepends=True)[:-3]))
    with pytest.raises(FocusError, match=r"599 tokens .* 602 rows"):
        read_checkpoint(tmp_path / "short")
    dictionary.write_text("a 1\nb\n")
    with pytest.raises(FocusError, match=r"dict\.txt, line 2"):
        read_checkpoint(tmp_path / "short")
    dictionary.write_text("a 1\na 1\n")
    with pytest.raises(FocusError, match=r"dict\.txt, line 2: the token 'a' occurs twice"):
        read_checkpoint(tmp_path / "short")


def test_what_config_json_leaves_out_is_what_transformers_assumes(hugging_face, tmp_path):
    directory = with_config(hugging_face, tmp_path / "silent")
    config = json.loads((directory / "config.json").read_text())
    (directory / "config.json").write_text(json.dumps({k: v for k, v in config.items() if k != "layer_norm_eps"}))
    with pytest.raises(FocusError, match="layer_norm_eps is 1e-12"):
        read_checkpoint(directory)
    (directory / "config.json").write_text("[1]")
    with pytest.raises(FocusError, match=r"config\.json: not a JSON object"):
        read_checkpoint(directory)


def test_a_tokenizer_of_another_model_is_told(hugging_face, vocabulary, tmp_path):
    """Only a few rows without a token are taken for padding."""
    directory = with_config(hugging_face, tmp_path / "other")
    shutil.copy(vocabulary / "sentencepiece.bpe.model", directory)
    with pytest.raises(FocusError, match=r"502 tokens .* 602 rows"):
        read_checkpoint(directory)


def test_a_checkpoint_without_language_model_head_is_refused(release, tmp_path):
    tensors, _ = load_fairseq(release / "model.pt")
    shutil.copytree(release, tmp_path / "headless")
    kept = {name: value for name, value in tensors.items() if "lm_head.dense" not in name}
    torch.save(
        {"args": argparse.Namespace(encoder_attention_heads=4), "model": kept}, tmp_path / "headless" / "model.pt"
    )
    with pytest.raises(FocusError, match=r"lacks 2 of its tensors, the first of them encoder\.lm_head\.dense"):
        read_checkpoint(tmp_path / "headless")


def changed_release(release: Path, target: Path, change) -> Path:
    """A copy of a release with ``change`` applied to its state."""
    shutil.copytree(release, target)
    state = torch.load(target / "model.pt")
    change(state)
    torch.save(state, target / "model.pt")
    return target


LAYER = "encoder.sentence_encoder.layers.1"


@pytest.mark.parametrize(
    ("name", "tensor", "says"),
    [
        (f"{LAYER}.fc2.weight", torch.zeros(3, 3), r"fc2\.weight has shape \(3, 3\).* require \(32, 64\)"),
        (f"{LAYER}.self_attn_layer_norm.weight", torch.zeros(31), r"require \(32,\)"),
        (OUTPUT_EMBEDDING, torch.zeros(602, 16), r"lm_head\.weight has shape \(602, 16\).* require \(602, 32\)"),
        (f"{LAYER}.fc1.weight", torch.zeros(64, 32, dtype=torch.int8), "is torch.int8; quantized"),
        ("encoder.lm_head.bias", torch.tensor(1.0), r"lacks 1 of its tensors, .* encoder\.lm_head\.bias"),
        (EMBEDDING, torch.zeros(602), r"require \(602, 602\)"),
        ("encoder.lm_head.bias", [0.0] * 602, "holds no weights"),
        ("encoder.lm_head.bias", torch.zeros(602, device="meta"), "is not a dense tensor"),
        (EMBEDDING, torch.zeros(602, 32).to_sparse(), "is not a dense tensor"),
        (EMBEDDING, torch.zeros(602, 32).to(torch.float8_e4m3fn), "is torch.float8_e4m3fn; quantized"),
    ],
)
def test_tensors_that_do_not_fit_the_others_are_told(release, tmp_path, name, tensor, says):
    directory = changed_release(release, tmp_path / "other", lambda state: state["model"].update({name: tensor}))
    with pytest.raises(FocusError, match=says):
        read_checkpoint(directory)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"args": ["list"]}, "its settings are a list"),
        ({"cfg": ["list"]}, "its settings are a list"),
        ({"model": [1]}, "holds no weights"),
        ({"args": {"encoder_attention_heads": -4}}, "-4 attention heads do not divide"),
        ({"args": {"encoder_attention_heads": "four"}}, "encoder_attention_heads is 'four'"),
    ],
)
def test_odd_settings_of_a_fairseq_checkpoint_are_told(release, tmp_path, change, says):
    directory = changed_release(release, tmp_path / "other", lambda state: state.update(change))
    with pytest.raises(FocusError, match=says):
        read_checkpoint(directory)


@pytest.mark.parametrize("heads", [0, -4])
def test_odd_weights_of_hugging_face_are_told(hugging_face, tmp_path, heads):
    with pytest.raises(FocusError, match=f"{heads} attention heads do not divide a width of 32"):
        read_checkpoint(with_config(hugging_face, tmp_path / "heads", num_attention_heads=heads))
    listed = with_config(hugging_face, tmp_path / "list")
    (listed / "model.safetensors").unlink()
    torch.save([torch.zeros(2)], listed / "pytorch_model.bin")
    with pytest.raises(FocusError, match=r"pytorch_model\.bin: holds no weights"):
        read_checkpoint(listed)


def test_a_dictionary_of_numbers_is_told(release, tmp_path):
    """As in fairseq's release of RoBERTa, whose tokens are GPT-2's ids."""
    shutil.copytree(release, tmp_path / "roberta")
    numbers = [*(f"{i} {1000 - i}\n" for i in range(595)), "madeupword0000 0\n", "madeupword0001 0\n"]
    (tmp_path / "roberta" / "dict.txt").write_text("".join(numbers))
    with pytest.raises(FocusError, match=r"its tokens are numbers.*Hugging Face directory"):
        read_checkpoint(tmp_path / "roberta")


def test_shards_are_read_as_the_whole(hugging_face, tmp_path):
    sharded = with_config(hugging_face, tmp_path / "sharded")
    (sharded / "model.safetensors").unlink()
    XLMRobertaForMaskedLM.from_pretrained(hugging_face).save_pretrained(tmp_path / "saved", max_shard_size="20KB")
    names = [path.name for path in (tmp_path / "saved").glob("model*")]
    assert len(names) > 3
    for name in names:
        shutil.copy(tmp_path / "saved" / name, sharded)
    assert equal(read_checkpoint(sharded).tensors, read_checkpoint(hugging_face).tensors)
    assert {path.name for path in checkpoint_files(sharded)} >= set(names)
    index = sharded / "model.safetensors.index.json"
    for weights in ({"a": "../elsewhere.safetensors"}, {}, None, {"a": 1}):
        index.write_text(json.dumps({"weight_map": weights}))
        with pytest.raises(FocusError, match="must map the names of tensors to names of files beside it"):
            read_checkpoint(sharded)
