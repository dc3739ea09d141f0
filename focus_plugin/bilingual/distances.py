"""The distances of two embeddings that the alignment of translations can minimize."""

DISTANCES = ("cosine", "margin", "l2")
