"""The names of the training objectives, and of the distances that ALIGN-MLM can minimize."""

OBJECTIVES = ("mlm", "align-mlm", "dict-mlm-input", "dict-mlm-output", "tlm")
DISTANCES = ("cosine", "margin", "l2")
