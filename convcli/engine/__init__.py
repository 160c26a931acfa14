"""The one run over pixels: windows of an image, tile by tile, through the planned method, into samples again."""
