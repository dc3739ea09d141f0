"""What tasks share: their declaration, tables, training samples, and results in PyTorch."""
