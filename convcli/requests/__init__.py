"""From the values of options to what is asked of every image."""
