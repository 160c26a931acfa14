"""DICOM: pictures of scanners, one to a file or many, and series of files in a folder."""
