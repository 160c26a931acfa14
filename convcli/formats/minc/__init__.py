"""MINC, volumes of the Montreal Neurological Institute: version 1 in netCDF files, version 2 in HDF5."""
