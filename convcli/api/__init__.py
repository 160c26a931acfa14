"""The functions of the package for Python: the same requests as the commands make, run on arrays."""
