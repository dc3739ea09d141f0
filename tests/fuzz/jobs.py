"""The commands that write something, each on small inputs of ``intact_files.py``."""

_SHORT = "--updates 6 --validate-every 2 --batch-tokens 512 --device-tokens 512 --cpu"
JOBS = {
    "convert": "convert --source release --vocab vocab --corpus train.txt --dim 8 --calibrate 512 --output output",
    "prepare": "prepare --vocab release --train train.txt --valid valid.txt --parallel parallel.tsv --output output",
    "train": f"train data --init release {_SHORT} --output output",
    "finetune": "finetune classification --model release --train topic.tsv --valid topic.tsv --epochs 3 --batch-size 4 "
    "--cpu --output output",
    "export": "export --onnx --model topic --output output",
    "predict": "predict --model topic.onnx --input train.txt --token-budget 32 --output output.jsonl",
}
