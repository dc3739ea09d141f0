"""Compile standin.c as every library of CUDA that one build of onnxruntime-gpu asks for.

build.py INCLUDE OUTPUT: headers of CUDA, and the directory to make.
"""

import re
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

HANDLES = (  # whose functions give one by their first argument
    "cudaStreamCreate",
    "cudaStreamCreateWithFlags",
    "cudaEventCreate",
    "cudaEventCreateWithFlags",
    "cublasCreate_v2",
    "cublasLtCreate",
    "cudnnCreate",
    "cudnnCreateTensorDescriptor",
    "cuModuleLoadData",
    "cuModuleGetFunction",
)
NAME = re.compile(rb"(?<=\0)(?:__cuda|cu|cudnn|nvrtc)[A-Za-z]\w+(?=\0)")
LIBRARY = re.compile(rb"(?<=\0)lib(?:cuda|cudart|cublas|cublasLt|cudnn|cufft|curand|nvrtc)\.so[.\d]*(?=\0)")


def main() -> None:
    include, output = map(Path, sys.argv[1:])
    spec = find_spec("onnxruntime")
    assert spec is not None
    assert spec.origin is not None
    provider = (Path(spec.origin).parent / "capi" / "libonnxruntime_providers_cuda.so").read_bytes()
    source = Path(__file__).with_name("standin.c")
    defined = set(re.findall(r"^[\w *]+?\b(\w+)\(", source.read_text(), re.MULTILINE))
    found = {name.decode() for name in NAME.findall(provider)}
    found |= {name.removeprefix("__") for name in found}  # a file keeps a name that ends another only once
    others = found - defined
    output.mkdir()
    with tempfile.NamedTemporaryFile("w", suffix=".c") as stubs:
        stubs.write("void *calloc(unsigned long, unsigned long);\n")
        for name in sorted(others):
            give = "*given = calloc(1, 64); " if name in HANDLES else ""
            stubs.write(f"int {name}(void **given) {{ {give}return 0; }}\n")
        stubs.flush()
        command = ["gcc", "-w", "-shared", "-fPIC", f"-I{include}", "-o", output / "standin.so", source, stubs.name]
        subprocess.run(command, check=True)
    for library in {library.decode() for library in LIBRARY.findall(provider)} | {"libcudnn.so", "libcuda.so.1"}:
        (output / library).symlink_to("standin.so")


if __name__ == "__main__":
    main()
