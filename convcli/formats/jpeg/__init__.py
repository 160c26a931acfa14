"""JPEG: its pixels, its segments, and whether its codes end where its picture does."""
