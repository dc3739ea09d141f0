"""The encoder as an ONNX model: building it, proving it right, shipping it in one directory and running it."""
