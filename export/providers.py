"""Chooses ONNX Runtime's execution provider and starts a session on it."""

import logging
import sys
from contextlib import redirect_stdout
from pathlib import Path

import onnxruntime

from focus_plugin.errors import FocusError
from focus_plugin.files import require_utf8_name

CPU, CUDA, TENSORRT = "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"
OPENVINO = "OpenVINOExecutionProvider"
# Operators that a provider lacks run on the next provider in the list.
PROVIDERS = {"cpu": (CPU,), "cuda": (CUDA, CPU), "tensorrt": (TENSORRT, CUDA, CPU), "openvino": (OPENVINO, CPU)}
ON_CPU = (CPU, OPENVINO)
# An export in float32 was verified in float32, but CUDA's default is TensorFloat-32, with 10 bits of mantissa.
# In strict mode, layer norms compute the sums of float16 values in float32, where they cannot overflow. Since version
# 1.28 this is always so.
CUDA_SETTINGS = {"use_tf32": "0", "enable_skip_layer_norm_strict_mode": "1"}


def start_session(
    model: Path, provider: str = "auto", require_gpu: bool = False, threads: int = 1
) -> onnxruntime.InferenceSession:
    """A session for the ONNX file ``model``.

    ``provider``: a name in PROVIDERS, or "auto", which is CUDA if it starts, else the CPU. If the installed ONNX
    Runtime supports CUDA but cannot start it, "auto" logs a warning. ``threads``: the number of threads of one operator
    on the CPU. Raises FocusError if the file cannot be loaded, if the provider is not available, and, with
    ``require_gpu``, if there is no GPU.
    """
    if provider not in ("auto", *PROVIDERS):
        raise FocusError(f"There is no provider {provider!r}; choose auto, {', '.join(PROVIDERS)}.")
    available = onnxruntime.get_available_providers()
    name = provider if provider != "auto" else "cuda" if CUDA in available else "cpu"
    if require_gpu and PROVIDERS[name][0] in ON_CPU:
        raise FocusError(f"No GPU: {_absence(provider, available)}.")
    if PROVIDERS[name][0] not in available:
        install = "; install onnxruntime-openvino in place of onnxruntime" if name == "openvino" else ""
        raise FocusError(f"ONNX Runtime has no {PROVIDERS[name][0]} here; it has {', '.join(available)}{install}.")
    session = _session(require_utf8_name(model), name, threads)
    if PROVIDERS[name][0] in session.get_providers():
        return session
    advice = "" if name == "openvino" else "; are the GPU's driver, CUDA and cuDNN installed?"
    fault = f"ONNX Runtime could not start {PROVIDERS[name][0]}{advice or '.'}"
    if require_gpu or provider != "auto":
        raise FocusError(fault)
    logging.getLogger(__name__).warning("%s Running on the CPU.", fault)
    return session


def _absence(provider: str, available: list[str]) -> str:
    if provider in ("cpu", "openvino"):
        return f"the provider is {provider}"
    return f'ONNX Runtime has only {", ".join(available)} here; install the extra "serve-gpu" for CUDA'


def _session(model: Path, name: str, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads
    openvino = {"device_type": "CPU", "precision": "ACCURACY", "num_of_threads": str(threads)}
    settings = {CUDA: CUDA_SETTINGS, OPENVINO: openvino}
    providers = [(provider, settings.get(provider, {})) for provider in PROVIDERS[name]]
    try:
        # ONNX Runtime prints errors to standard output, to which predictions may be written.
        with redirect_stdout(sys.stderr):
            if CUDA in PROVIDERS[name]:
                onnxruntime.preload_dlls()  # loads CUDA and cuDNN if they were installed by pip
            return onnxruntime.InferenceSession(str(model), options, providers=providers)
    except Exception as error:  # ONNX Runtime's own exceptions share no other base class
        raise FocusError(f"{model}: ONNX Runtime cannot load it ({error}).") from error
