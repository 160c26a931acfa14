"""Formats of volumes whose numbers lie in one piece, and what they share."""
