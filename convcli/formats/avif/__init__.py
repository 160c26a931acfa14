"""AVIF: what its boxes say, and its pixels."""
