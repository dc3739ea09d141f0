"""Where a model runs: the choice of ONNX Runtime's execution provider, and a session on it."""

import logging
import sys
from contextlib import redirect_stdout
from pathlib import Path

import onnxruntime

from focus_plugin.errors import FocusError

CPU, CUDA, TENSORRT = "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"
# A provider hands the operators that it lacks to those after it.
PROVIDERS = {"cpu": (CPU,), "cuda": (CUDA, CPU), "tensorrt": (TENSORRT, CUDA, CPU)}
# An export in float32 was verified in float32; TensorFloat-32 products, CUDA's default, have 10 bits of mantissa.
# Strict layer norms add and average a float16 model's values in float32, where they cannot overflow; from version 1.28
# on, all do.
CUDA_SETTINGS = {"use_tf32": "0", "enable_skip_layer_norm_strict_mode": "1"}


def start_session(
    model: Path, provider: str = "auto", require_gpu: bool = False, threads: int = 1
) -> onnxruntime.InferenceSession:
    """A session of the ONNX file ``model`` on "cpu", "cuda", "tensorrt", or "auto": CUDA where it starts, else the CPU.

    ``threads`` is the number of threads of one operator on the CPU. Where the installed ONNX Runtime has
    CUDA and cannot start it, "auto" warns. Raises FocusError if the file cannot be loaded, the provider asked for is
    not to be had, or there is no GPU where ``require_gpu``.
    """
    if provider not in ("auto", *PROVIDERS):
        raise FocusError(f"There is no provider {provider!r}; choose auto, {', '.join(PROVIDERS)}.")
    available = onnxruntime.get_available_providers()
    name = provider if provider != "auto" else "cuda" if CUDA in available else "cpu"
    if require_gpu and name == "cpu":
        raise FocusError(f"No GPU: {_absence(provider, available)}.")
    if PROVIDERS[name][0] not in available:
        raise FocusError(f"ONNX Runtime has no {PROVIDERS[name][0]} here; it has {', '.join(available)}.")
    session = _session(model, name, threads)
    if PROVIDERS[name][0] in session.get_providers():
        return session
    fault = f"ONNX Runtime could not start {PROVIDERS[name][0]}; are its driver, CUDA and cuDNN installed?"
    if require_gpu or provider != "auto":
        raise FocusError(fault)
    logging.getLogger(__name__).warning("%s Running on the CPU.", fault)
    return session


def _absence(provider: str, available: list[str]) -> str:
    if provider == "cpu":
        return "the CPU was asked for"
    return f'ONNX Runtime has only {", ".join(available)} here; the extra "serve-gpu" has CUDA'


def _session(model: Path, name: str, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads
    providers = [(provider, CUDA_SETTINGS if provider == CUDA else {}) for provider in PROVIDERS[name]]
    try:
        # ONNX Runtime prints what it could not load, where predictions may go
        with redirect_stdout(sys.stderr):
            if name != "cpu":
                onnxruntime.preload_dlls()  # finds CUDA and cuDNN that pip installed
            return onnxruntime.InferenceSession(str(model), options, providers=providers)
    except Exception as error:  # ONNX Runtime's own exceptions share no other base class
        raise FocusError(f"{model}: ONNX Runtime cannot load it ({error}).") from error
