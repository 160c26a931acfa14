"""Where objects lie: in a folder of this machine, or in an object store that a URL names."""
