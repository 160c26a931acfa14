"""Pictures: a drawing is a value, made of geometry alone; renderers turn any of them into SVG, pixels, or a page.

    drawing = Drawing(200, 120, "A cell", "One blue cell.", (Rect(10, 10, 24, 24, fill="input", data={"y": 0}),))
    svg_text(drawing)              text of an .svg file (pictures/svg.py)
    png_bytes(drawing)             the same in pixels (pictures/raster.py); gif_bytes([one, another]) runs
    page_text(Page(...))           a page of one file: pictures inside, no network (pictures/page.py)

`scene.py` draws networks: `maps.py` says which places a place sees, `layer.py` and `chain.py` lay the maps out,
`cells.py` draws one of them, `explorer.py` makes a page of it. What makes drawings loads no NumPy; only
pixels load Pillow.
"""
