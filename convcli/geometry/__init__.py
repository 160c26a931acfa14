"""Sizes, padding, receptive fields, parameters and costs: exact integers, no NumPy."""
