"""Bilingual dictionaries as pairs of tokens, and the alignment of their embeddings."""
