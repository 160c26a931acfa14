"""Archives of torch.export (.pt2) as the graphs that ONNX files are: read without PyTorch, and nothing is unpickled."""
