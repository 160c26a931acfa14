"""JPEG XL: what its header says, and its pixels."""
