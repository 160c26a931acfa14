"""JPEG 2000: what its boxes and its codestream say, and its pixels."""
