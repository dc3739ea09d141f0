"""What the tasks share: how one declares itself, tables, fine-tuning by fairseq, and results in PyTorch."""
