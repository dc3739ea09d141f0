"""Vocabularies and tokenizers: reading, training, extending and comparing them, and encoding text."""
