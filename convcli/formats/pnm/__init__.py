"""The portable formats of Netpbm."""
