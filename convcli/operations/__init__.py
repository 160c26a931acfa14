"""What commands do to images: every operation is planned for an image, run by the engine, and told in words."""
