"""Running fairseq-train: its command, its process, its log, its checkpoints, and the release of the best one."""
