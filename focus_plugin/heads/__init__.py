"""A file for each task: the user's tables to fairseq's data, its training, its metrics, and its head in PyTorch."""
