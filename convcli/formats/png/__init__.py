"""PNG: read and written whole, and as rows come."""
