"""GIF: its blocks, walked through, and what they say beside the pixels."""
