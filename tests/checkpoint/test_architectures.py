"""Every type of encoder that is taken, as transformers writes it, against transformers; the others are refused."""

import json
import shutil
from pathlib import Path

import pytest
import sentencepiece
import torch
from encoder_models import SIZES, with_config, write_encoder
from invoked import refuse
from safetensors.torch import load_file, save_file
from tokenizer_kinds import byte_level, unigram, wordpiece
from transformers import AutoModel, AutoModelForMaskedLM, AutoTokenizer, CamembertTokenizer

from focus_plugin.checkpoint.checkpoint import Checkpoint
from focus_plugin.checkpoint.forward import head_states, hidden_states
from focus_plugin.checkpoint.names import OUTPUT_BIAS, OUTPUT_EMBEDDING
from focus_plugin.checkpoint.read import checkpoint_files, read_checkpoint
from focus_plugin.errors import FocusError

ROWS = 400
SENTENCEPIECE = "sentencepiece.bpe.model"


@pytest.fixture(scope="module")
def lines(source_text) -> list[str]:
    return source_text.read_text().splitlines()[:1000]


@pytest.fixture(scope="module")
def pieces(lines, tmp_path_factory) -> Path:
    """A SentencePiece model of 394 pieces, ``<unk> <s> </s>`` first, as those of XLM-R and CamemBERT."""
    prefix = tmp_path_factory.mktemp("pieces") / "sentencepiece.bpe"
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_prefix=str(prefix), vocab_size=394, minloglevel=2
    )
    return prefix.parent / SENTENCEPIECE


@pytest.fixture(scope="module")
def plain(directory, lines) -> Path:
    """An XLM-R directory with ``tokenizer.json`` alone."""
    write_encoder(directory / "plain", "xlm-roberta", ROWS)
    unigram(lines, ROWS).save(str(directory / "plain" / "tokenizer.json"))
    return directory / "plain"


def numbered(tokenizer) -> list[str]:
    return tokenizer.convert_ids_to_tokens(range(len(tokenizer)))


@torch.inference_mode()
def check_same(directory: Path) -> Checkpoint:
    """The hidden states and the logits of the checkpoint in ``directory`` are transformers'."""
    found = read_checkpoint(directory)
    reference = AutoModelForMaskedLM.from_pretrained(directory, dtype=torch.float32).eval()
    rows, pad = len(found.vocabulary), reference.config.pad_token_id
    ids = torch.tensor([[*range(rows - 1, rows - 12, -1), *range(4, 23)]])  # 30 tokens, none of them padding
    assert pad not in ids
    want = reference(ids, output_hidden_states=True)
    got = hidden_states(found.config, found.tensors, ids)
    torch.testing.assert_close(got, want.hidden_states[-1], atol=1e-5, rtol=0)
    logits = head_states(found.tensors, got) @ found.tensors[OUTPUT_EMBEDDING].T + found.tensors[OUTPUT_BIAS]
    torch.testing.assert_close(logits, want.logits[..., :rows], atol=1e-4, rtol=0)
    return found


def test_roberta_with_vocab_and_merges(lines, tmp_path):
    write_encoder(tmp_path / "model", "roberta", ROWS)
    byte_level(lines, ROWS).model.save(str(tmp_path / "model"))
    found = check_same(tmp_path / "model")
    assert list(found.vocabulary.tokens) == numbered(AutoTokenizer.from_pretrained(tmp_path / "model"))


def test_camembert_with_tokenizer_json(pieces, lines, tmp_path):
    write_encoder(tmp_path / "model", "camembert", 399)
    shutil.copy(pieces, tmp_path / "model")
    tokenizer = CamembertTokenizer.from_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "json")
    (tmp_path / "model" / SENTENCEPIECE).unlink()
    shutil.copy(tmp_path / "json" / "tokenizer.json", tmp_path / "model")
    found = check_same(tmp_path / "model")
    assert list(found.vocabulary.tokens) == numbered(tokenizer)
    assert found.vocabulary.ids["<s>"] == 5


@pytest.mark.parametrize("kind", ["camembert", "xlm-roberta"])
@pytest.mark.parametrize("named", [True, False], ids=["class named", "class by type"])
def test_a_sentencepiece_model_alone_is_numbered_as_transformers_numbers_it(kind, named, pieces, tmp_path):
    rows = {"camembert": 399, "xlm-roberta": 396}[kind]
    model = write_encoder(tmp_path / "model", kind if not named else "xlm-roberta", rows)
    shutil.copy(pieces, model)
    if named:
        name = {"camembert": "CamembertTokenizer", "xlm-roberta": "XLMRobertaTokenizer"}[kind]
        (model / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": name}))
    found = check_same(model)
    tokenizer = AutoTokenizer.from_pretrained(model)
    assert list(found.vocabulary.tokens) == numbered(tokenizer)
    text = "Bata chapa da."
    want = tokenizer(text, add_special_tokens=False)["input_ids"]
    cut = [found.vocabulary.ids[piece.decode()] for piece in found.tokenizer.pieces([text])[0]]
    assert cut == want


def test_added_tokens_keep_their_rows(pieces, tmp_path):
    """Also where an id has no token, and where the file repeats a token that is known."""
    model = write_encoder(tmp_path / "model", "xlm-roberta", 400)
    shutil.copy(pieces, model)
    added = {"<mask>": 395, "newword": 397, "▁other": 399}
    (model / "added_tokens.json").write_text(json.dumps(added))
    found = check_same(model)
    assert {token: found.vocabulary.ids[token] for token in added} == added
    assert model / "added_tokens.json" in checkpoint_files(model)
    (model / "added_tokens.json").write_text(json.dumps({"newword": 395}))
    with pytest.raises(FocusError, match=r"added_tokens\.json: the token 'newword' has the id 395, which another"):
        read_checkpoint(model)


def test_added_tokens_of_tokenizer_json_keep_their_rows(plain, tmp_path):
    tokenizer = AutoTokenizer.from_pretrained(plain)
    tokenizer.add_tokens(["newword", "▁other"])
    model = write_encoder(tmp_path / "model", "xlm-roberta", len(tokenizer))
    tokenizer.save_pretrained(model)
    found = check_same(model)
    assert list(found.vocabulary.tokens) == numbered(tokenizer)
    assert found.vocabulary.ids["newword"] == ROWS


@pytest.mark.parametrize("pad", [0, 3])
def test_positions_are_counted_from_the_padding_on(pad, lines, tmp_path):
    """As CamemBERT's second version has it: WordPiece tokens, of which [PAD] is the first."""
    model = write_encoder(tmp_path / "model", "roberta", ROWS, pad_token_id=pad)
    library = wordpiece(lines, ROWS)
    if pad:
        content = json.loads(library.to_str())
        names = {0: "[MASK]", 3: "[PAD]", 4: "[SEP]"}
        vocabulary = {names.get(i, token): i for token, i in content["model"]["vocab"].items()}
        content["model"]["vocab"] = vocabulary
        content["added_tokens"] = [{**entry, "id": vocabulary[entry["content"]]} for entry in content["added_tokens"]]
        (model / "tokenizer.json").write_text(json.dumps(content))
    else:
        library.save(str(model / "tokenizer.json"))
    found = check_same(model)
    assert found.vocabulary.ids["<pad>"] == pad
    assert found.config.max_positions == SIZES["max_position_embeddings"] - pad - 1
    with pytest.raises(FocusError, match=rf"pad_token_id is 1, but <pad> has the id {pad}"):
        read_checkpoint(with_config(model, tmp_path / "other", pad_token_id=1))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision_shards_and_two_token_types(dtype, plain, tmp_path):
    model = write_encoder(tmp_path / "model", "xlm-roberta", ROWS, dtype, type_vocab_size=2)
    AutoModelForMaskedLM.from_pretrained(model, dtype=dtype).save_pretrained(tmp_path / "shards", max_shard_size="10KB")
    assert len(list((tmp_path / "shards").glob("*.safetensors"))) > 2
    shutil.copy(plain / "tokenizer.json", tmp_path / "shards")
    assert not check_same(tmp_path / "shards").config.untied


def test_shards_of_pickles(plain, tmp_path):
    shutil.copytree(plain, tmp_path / "model")
    weights = load_file(tmp_path / "model" / "model.safetensors")
    (tmp_path / "model" / "model.safetensors").unlink()
    names = sorted(weights)
    parts = {f"pytorch_model-0000{i}-of-00002.bin": names[i - 1 :: 2] for i in (1, 2)}
    for file, held in parts.items():
        torch.save({name: weights[name] for name in held}, tmp_path / "model" / file)
    index = {"metadata": {}, "weight_map": {name: file for file, held in parts.items() for name in held}}
    (tmp_path / "model" / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    check_same(tmp_path / "model")
    assert {path.name for path in checkpoint_files(tmp_path / "model")} > set(parts)


def test_an_output_embedding_and_bias_of_its_own(plain, tmp_path):
    model = write_encoder(tmp_path / "model", "xlm-roberta", ROWS, tie_word_embeddings=False)
    shutil.copy(plain / "tokenizer.json", model)
    assert check_same(model).config.untied
    weights = load_file(model / "model.safetensors")
    assert not torch.equal(weights["lm_head.bias"], weights["lm_head.decoder.bias"])
    kept = {name: tensor for name, tensor in weights.items() if name != "lm_head.decoder.weight"}
    save_file(kept, model / "model.safetensors", {"format": "pt"})
    with pytest.raises(FocusError, match=r"tie_word_embeddings is False, but .* no lm_head\.decoder\.weight"):
        read_checkpoint(model)
    assert not check_same(with_config(model, tmp_path / "tied", tie_word_embeddings=True)).config.untied


def test_an_encoder_without_masked_lm_head_is_refused(plain, tmp_path):
    shutil.copytree(plain, tmp_path / "model")
    AutoModel.from_pretrained(plain).save_pretrained(tmp_path / "model")
    refuse(
        *("focus", "convert", "--source", tmp_path / "model", "--vocab", plain, "--output", tmp_path / "out"),
        *("--method", "random"),  # needs no text, which would be asked for first
        says="has no",
    )
    with pytest.raises(FocusError, match="has no masked-LM head, which converting and training need"):
        read_checkpoint(tmp_path / "model")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"model_type": "bert"}, "model_type is 'bert', which .*epsilon"),
        ({"model_type": "deberta-v2"}, "model_type is 'deberta-v2', which attends by relative positions, as mDeBERTa"),
        ({"model_type": "modernbert"}, "model_type is 'modernbert', which has rotary positions"),
        ({"model_type": "xlm-roberta-xl"}, "model_type is 'xlm-roberta-xl', which normalizes before"),
        ({"model_type": "xmod"}, "model_type is 'xmod', which has adapters"),
        ({"model_type": "llama"}, "model_type is 'llama'; only encoders of the types xlm-roberta, roberta, camembert"),
        ({"model_type": ["roberta"]}, r"model_type is \['roberta'\]"),
        ({"hidden_act": "gelu_new"}, "hidden_act is 'gelu_new'"),
        ({"position_embedding_type": "relative_key"}, "position_embedding_type is 'relative_key'"),
        ({"layer_norm_eps": 1e-12}, "layer_norm_eps is 1e-12"),
        ({"is_decoder": True}, "is_decoder is True, that is attention to the left only"),
        ({"quantization_config": {"quant_method": "fp8"}}, "quantization_config is .*; give the original"),
        ({"auto_map": {"AutoModel": "code.Model"}}, "auto_map is .*custom code of the model"),
        ({"pad_token_id": None}, "pad_token_id is None; expected a number"),
        ({"num_attention_heads": None}, "num_attention_heads is None; expected a number"),
        ({"num_attention_heads": 5}, "5 attention heads do not divide a width of 16"),
        ({"num_hidden_layers": 1}, "num_hidden_layers is 1, but the weights beside it have 2"),
        ({"max_position_embeddings": 30}, "max_position_embeddings is 30, but the weights beside it have 34"),
        ({"vocab_size": 401}, "vocab_size is 401, but the weights beside it have 400"),
    ],
)
def test_what_computes_something_else_is_refused_by_name(changes, says, plain, tmp_path):
    with pytest.raises(FocusError, match=rf"config\.json: {says}|{says}"):
        read_checkpoint(with_config(plain, tmp_path / "other", **changes))


@pytest.mark.parametrize("kind", ["bert", "xlm-roberta-xl", "roberta-prelayernorm", "distilbert"])
def test_real_directories_of_other_types_are_refused(kind, plain, tmp_path):
    changes = {"dim": 16, "hidden_dim": 32, "n_layers": 2, "n_heads": 2} if kind == "distilbert" else {}
    model = write_encoder(tmp_path / "model", kind, ROWS, **changes)
    shutil.copy(plain / "tokenizer.json", model)
    with pytest.raises(FocusError, match=f"model_type is '{kind}', which"):
        read_checkpoint(model)
