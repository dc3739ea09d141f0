"""The architectures that are registered with fairseq."""
