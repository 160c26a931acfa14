"""What is asked for, and what it makes of an image: shapes, axes and problems to plan. No pixels, no NumPy."""
