"""An encoder in memory, and its files in the layouts of fairseq and Hugging Face."""
