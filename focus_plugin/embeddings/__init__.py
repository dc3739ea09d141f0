"""The losses of embeddings in PyTorch, and how good embeddings are."""
