"""The tasks that are registered with fairseq."""
