"""Every export that tests/cuda/exports.py writes runs on CUDA, and none of its operators on the CPU.

check.py EXPORTS: to be run with onnxruntime-gpu on a GPU, or on what build.py makes in the place of CUDA.
"""

import json
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime
from focus_export.directory import ONNX_MODEL
from focus_export.providers import CPU, CUDA, CUDA_SETTINGS
from focus_export.runtime import Predictor

TEXTS = ["kata", "", "soma neno mata kuta", "mita"]


def on_cpu(model: Path) -> list[str]:
    """The names of the nodes that run on the CPU."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.enable_profiling = True
    with tempfile.TemporaryDirectory() as directory:
        options.profile_file_prefix = f"{directory}/profile"
        session = onnxruntime.InferenceSession(str(model), options, providers=[(CUDA, CUDA_SETTINGS), CPU])
        session.run(None, {"input_ids": np.full((3, 7), 5, np.int32), "lengths": np.array([7, 2, 5], np.int32)})
        events = json.loads(Path(session.end_profiling()).read_text())
    nodes = [event for event in events if event["name"].endswith("_kernel_time")]
    assert nodes
    return [node["name"] for node in nodes if node["args"]["provider"] == CPU]


def main() -> None:
    """Print a line an export; an AssertionError or ONNX Runtime's own for one that does not run as it should."""
    capability = os.environ.get("STANDIN_CAPABILITY")
    for export in sorted(Path(sys.argv[1]).iterdir()):
        if capability and int(capability) < 80 and export.name.endswith("bf16"):
            continue
        predictor = Predictor(export, provider="cuda", require_gpu=True)
        assert len(list(predictor.predict(TEXTS))) == len(TEXTS)
        elsewhere = on_cpu(export / ONNX_MODEL)
        assert not elsewhere, (export.name, elsewhere)
        print(f"{onnxruntime.__version__}, capability {capability}: {export.name} runs", flush=True)


if __name__ == "__main__":
    main()
