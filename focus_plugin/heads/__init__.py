"""One file for each task: reading its tables, its training, its metrics, and its head in PyTorch."""
