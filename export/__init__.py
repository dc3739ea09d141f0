"""Exports an encoder as an ONNX model, verifies it, writes it into one directory, and runs it."""
