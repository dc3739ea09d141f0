"""fairseq-train: its command composed, run and followed, and its best checkpoint released."""
