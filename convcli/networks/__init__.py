"""Networks of layers: read from text and files; their sizes, receptive fields and costs, exactly and without NumPy."""
