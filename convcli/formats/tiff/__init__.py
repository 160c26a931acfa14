"""TIFF, BigTIFF, OME-TIFF, ImageJ and GeoTIFF: read and written whole, by windows, and as pixels come."""
