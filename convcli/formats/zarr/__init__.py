"""Zarr arrays of versions 2 and 3, and the images in them that OME-NGFF 0.4 and 0.5 describe."""
