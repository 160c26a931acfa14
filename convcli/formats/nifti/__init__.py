"""NIfTI: pixels, headers and where its samples lie."""
