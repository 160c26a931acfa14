"""JPEG XR."""
