"""Tokenizers of every kind, trained on given text by Hugging Face's library as their publishers set them."""

import random
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from sentencepiece import sentencepiece_model_pb2
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

SPECIALS = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
ODD = "12 2,024 - -- ! ... Ünïcödé Żółw żółw 東京 привет МИР мир ½ ٣ \t\t\xa0 \u3000 é"
BERT = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def odd_lines(words: Sequence[str], draw: random.Random) -> list[str]:
    """Lines of the words in any case, with numbers, symbols and other scripts among them."""
    mixed = [draw.choice([str.lower, str.upper, str.capitalize])(word) for word in words]
    lines = (mixed[i : i + 12] for i in range(0, len(mixed), 12))
    return [" ".join([*line, *draw.choices(ODD.split(" "), k=4)]) for line in lines]


def unigram(lines: Iterable[str], size: int, charsmap: str | Path | None = None) -> Tokenizer:
    """As XLM-R's; ``charsmap``: a SentencePiece model whose normalization it takes."""
    tokenizer = Tokenizer(models.Unigram())
    steps = [normalizers.Strip(left=False, right=True), normalizers.Replace(Regex(" {2,}"), "▁")]
    if charsmap:
        model = sentencepiece_model_pb2.ModelProto.FromString(Path(charsmap).read_bytes())
        steps.insert(0, normalizers.Precompiled(model.normalizer_spec.precompiled_charsmap))
    tokenizer.normalizer = normalizers.Sequence(steps)
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=size, special_tokens=SPECIALS, unk_token="<unk>", show_progress=False, n_sub_iterations=2
    )
    tokenizer.train_from_iterator(lines, trainer)
    return tokenizer


def byte_level(lines: Iterable[str], size: int) -> Tokenizer:
    """As RoBERTa's."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=SPECIALS, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(lines, trainer)
    return tokenizer


def wordpiece(lines: Iterable[str], size: int) -> Tokenizer:
    """As multilingual BERT's, cased."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(vocab_size=size, special_tokens=BERT, show_progress=False)
    tokenizer.train_from_iterator(lines, trainer)
    return tokenizer


def byte_fallback(lines: Iterable[str], size: int) -> Tokenizer:
    """As Llama's: BPE with ``▁`` for spaces, and bytes for characters it lacks."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    tokenizer.decoder = decoders.Sequence(steps)
    fallback = [AddedToken(f"<0x{byte:02X}>", normalized=False) for byte in range(256)]
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=[*SPECIALS[:4], *fallback], show_progress=False)
    tokenizer.train_from_iterator(lines, trainer)
    return tokenizer


KINDS: dict[str, Callable[[Iterable[str], int], Tokenizer]] = {
    "unigram": unigram,
    "byte-level": byte_level,
    "wordpiece": wordpiece,
    "byte-fallback": byte_fallback,
}
