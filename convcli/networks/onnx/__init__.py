"""Networks from ONNX files: read without any framework, with sizes, receptive fields and costs of every node."""
