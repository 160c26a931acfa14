"""What a file says beside its pixels, after `convcli` filtered it: axes, spacing, units, labels, colours, places."""

import numpy as np
import pytest
import tifffile
from PIL import Image as Pillow
from PIL import ImageCms

STEPS = {"spacing": 2.0, "unit": "um"}


def volume(*shape, dtype=np.uint16):
    return np.random.default_rng(3).integers(0, 200, shape).astype(dtype)


def filtered(run, *words, command="conv3d"):
    """in.tif to out.tif, as tifffile sees it."""
    assert (0, []) == run(command, "in.tif", *words, "-o", "out.tif", "-f", "-q")
    return tifffile.TiffFile("out.tif")


def hyperstack():
    """A TZCYX stack with all that ImageJ may put beside it."""
    metadata = {
        **STEPS,
        "axes": "TZCYX",
        "finterval": 0.5,
        "mode": "composite",
        "Info": "from the bench, µm",
        "Labels": [f"plane {number}" for number in range(24)],
        "Ranges": (0.0, 10.0, 0.0, 20.0, 0.0, 30.0),
        "LUTs": [np.full((3, 256), level, np.uint8) for level in range(3)],
    }
    tifffile.imwrite("in.tif", volume(2, 4, 3, 9, 8), imagej=True, resolution=(5, 4), metadata=metadata)


@pytest.mark.parametrize("command", ["conv2d", "conv3d"])
def test_an_imagej_hyperstack_keeps_everything(run, command):
    hyperstack()
    with tifffile.TiffFile("in.tif") as before, filtered(run, "-k", "box:3", command=command) as after:
        first, second = before.imagej_metadata, after.imagej_metadata
        assert first.keys() == second.keys()
        assert all(np.array_equal(first[key], second[key]) for key in first)
        assert ("TZCYX", np.uint16) == (after.series[0].axes, after.series[0].dtype)
        assert before.pages[0].resolution == after.pages[0].resolution


def test_the_stack_of_the_microscopist(run):
    tifffile.imwrite("in.tif", volume(6, 20, 22), imagej=True, resolution=(5, 5), metadata={**STEPS, "axes": "ZYX"})
    with filtered(run, "-k", "box:3") as after:
        assert ("ZYX", (6, 20, 22), np.uint16) == (after.series[0].axes, after.series[0].shape, after.series[0].dtype)
        assert (2.0, "um") == (after.imagej_metadata["spacing"], after.imagej_metadata["unit"])
        assert (5, 5) == after.pages[0].resolution


def test_a_stride_changes_spacing_and_resolution_and_says_so(run):
    hyperstack()
    code, lines = run("conv3d", "in.tif", "-k", "box:3", "-s", "2,2,4", "-o", "out.tif")
    assert 0 == code
    assert "spacing  Z 2 -> 4 um, Y 0.25 -> 0.5 um, X 0.2 -> 0.8 um" in lines
    with tifffile.TiffFile("out.tif") as after:
        assert (4.0, 0.5) == (after.imagej_metadata["spacing"], after.imagej_metadata["finterval"])
        assert (1.25, 2) == after.pages[0].resolution
        assert (2, 2, 3, 5, 2) == after.series[0].shape
        assert "Labels" not in after.imagej_metadata  # they name planes that are gone


def test_ome_xml_is_kept_with_the_type_and_steps_of_the_result(run):
    metadata = {"axes": "CZYX", "PhysicalSizeX": 0.2, "PhysicalSizeXUnit": "µm", "PhysicalSizeZ": 2.0}
    metadata |= {"PhysicalSizeZUnit": "µm", "Channel": {"Name": ["Zellkern", "Größe"]}, "Name": "probe"}
    tifffile.imwrite("in.ome.tif", volume(2, 4, 9, 8), metadata=metadata)
    words = ("-k", "box:3", "-s", "2,1,2", "-t", "float32")
    assert (0, []) == run("conv3d", "in.ome.tif", *words, "-o", "out.ome.tif", "-q")
    with tifffile.TiffFile("out.ome.tif") as after:
        assert (("CZYX"), (2, 2, 9, 4)) == (after.series[0].axes, after.series[0].shape)
        xml = after.ome_metadata
    for kept in ('Name="Größe"', 'Name="probe"', 'Type="float"', 'PhysicalSizeX="0.4"', 'PhysicalSizeZ="4.0"'):
        assert kept in xml


def test_ome_tells_the_length_of_units(run):
    steps = {"PhysicalSizeX": 0.5, "PhysicalSizeY": 500.0, "PhysicalSizeZ": 0.002}
    units = {"PhysicalSizeXUnit": "µm", "PhysicalSizeYUnit": "nm", "PhysicalSizeZUnit": "mm"}
    tifffile.imwrite("in.ome.tif", volume(9, 20, 22), metadata={"axes": "ZYX", **steps, **units})
    code, lines = run("conv3d", "in.ome.tif", "-k", "gaussian:2um", "-o", "out.ome.tif")
    assert 0 == code
    assert any("gaussian:2um is gaussian:1,4,4 here" in line for line in lines)


@pytest.mark.parametrize("suffix", ["tif", "png", "jpg"])
def test_dots_per_inch_follow_the_stride(run, suffix):
    Pillow.fromarray(volume(40, 30, dtype=np.uint8)).save(f"in.{suffix}", dpi=(300, 300))
    assert (0, []) == run("conv2d", f"in.{suffix}", "-k", "box:3", "-s", "2,3", "-o", f"out.{suffix}", "-q")
    with Pillow.open(f"out.{suffix}") as result:
        assert (100, 150) == tuple(round(float(dots)) for dots in result.info["dpi"])


def test_a_length_on_paper_is_measured_by_dots_per_inch(run):
    tifffile.imwrite("in.tif", volume(60, 70, dtype=np.uint8), resolution=(300, 150), resolutionunit="INCH")
    _, lines = run("conv2d", "in.tif", "-k", "gaussian:0.01in", "-o", "out.tif")
    assert any("gaussian:0.01in is gaussian:1.5,3 here" in line for line in lines)


def test_profile_and_description_survive(run):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    text = "Größe 5 µm, 細胞"
    tags = [(270, "s", 0, text.encode(), True)]
    options = {"iccprofile": profile, "extratags": tags, "metadata": None}
    tifffile.imwrite("in.tif", volume(3, 20, 22, 3, dtype=np.uint8), photometric="rgb", **options)
    for command in ("conv2d", "conv3d"):
        with filtered(run, "-k", "box:3", command=command) as after:
            page = after.pages[0]
            assert (profile, (3, 20, 22, 3)) == (page.iccprofile, after.series[0].shape)
            assert text == page.description


def geotiff(*, matrix=False, point=False):
    """A ramp in x and y on Earth: 20 by 22 pixels of 10 m, its corner (or first pixel) at 500000, 4000000."""
    y, x = np.mgrid[:20, :22].astype(np.float32)
    keys = (34735, "H", 8, (1, 1, 0, 1, 1025, 0, 1, 2 if point else 1), True)
    place = [
        (33550, "d", 3, (10.0, 10.0, 0.0), True),
        (33922, "d", 6, (0.0, 0.0, 0.0, 500000.0, 4000000.0, 0.0), True),
    ]
    if matrix:
        rows = (10.0, 0, 0, 500000.0, 0, -10.0, 0, 4000000.0, 0, 0, 0, 0, 0, 0, 0, 1.0)
        place = [(34264, "d", 16, rows, True)]
    tifffile.imwrite("in.tif", np.stack([x, y]), extratags=[*place, keys], metadata=None, photometric="minisblack")


def places(page, shape, *, point):
    """Where the middle of every pixel is, from the tags, as the standard says."""
    y, x = np.mgrid[: shape[0], : shape[1]] + (0 if point else 0.5)
    if 34264 in page.tags:
        m = page.tags[34264].value
        return m[0] * x + m[1] * y + m[3], m[4] * x + m[5] * y + m[7]
    (dx, dy, _), (i, j, _, east, north, _) = page.tags[33550].value, page.tags[33922].value
    return east + (x - i) * dx, north - (y - j) * dy


@pytest.mark.parametrize("options", [(), ("-s", "2,3"), ("-p", "valid"), ("-p", "0:2,1:1", "-s", "3,2")])
@pytest.mark.parametrize("matrix", [False, True])
@pytest.mark.parametrize("point", [False, True])
def test_pixels_stay_where_they_are_on_earth(run, options, matrix, point):
    geotiff(matrix=matrix, point=point)
    with filtered(run, "-k", "box:3", "-b", "edge", *options, command="conv2d") as after:
        x, y = after.asarray()
        found = places(after.pages[0], x.shape, point=point)
    half = 0 if point else 0.5
    inside = (x >= 1) & (x <= 20) & (y >= 1) & (y <= 18)
    assert inside.any()
    np.testing.assert_allclose((500000 + 10 * (x + half))[inside], found[0][inside], atol=1e-3)
    np.testing.assert_allclose((4000000 - 10 * (y + half))[inside], found[1][inside], atol=1e-3)


def test_a_colour_table_for_the_screen_is_kept_and_a_palette_is_expanded(run):
    colours = np.arange(768, dtype=np.uint16).reshape(3, 256) * np.uint16(85)
    image = volume(20, 22, dtype=np.uint8)
    tables = {"photometric": "palette", "colormap": colours}
    tifffile.imwrite("in.tif", image, imagej=True, metadata={"axes": "YX"}, **tables)
    with filtered(run, "-k", "identity", command="conv2d") as after:
        np.testing.assert_array_equal(colours, after.pages[0].colormap)
        np.testing.assert_array_equal(image, after.asarray())
    tifffile.imwrite("in.tif", image, metadata=None, **tables)
    with filtered(run, "-k", "identity", command="conv2d") as after:
        np.testing.assert_array_equal(colours.T[image], after.asarray())


def test_axes_given_by_the_user_are_written(run):
    tifffile.imwrite("in.tif", volume(6, 9, 8), metadata=None, photometric="minisblack")
    with filtered(run, "-k", "box:3", "--axes", "TYX", command="conv2d") as after:
        assert "TYX" == after.series[0].axes


CUT = {
    "plain": {"metadata": None},
    "shaped": {"metadata": {"axes": "ZYX"}},
    "imagej": {"imagej": True, "metadata": {"axes": "ZYX"}},
    "ome": {"ome": True, "metadata": {"axes": "ZYX"}},
    "deflate": {"metadata": None, "compression": "zlib"},
}


@pytest.mark.parametrize("kind", CUT)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_stack_cut_short_is_an_error_and_never_fewer_pages(run, tmp_path, kind, share):
    tifffile.imwrite("in.tif", volume(12, 30, 31), photometric="minisblack", **CUT[kind])
    content = (tmp_path / "in.tif").read_bytes()
    (tmp_path / "in.tif").write_bytes(content[: int(share * len(content))])
    for command in ("conv2d", "conv3d"):
        code, lines = run(command, "in.tif", "-k", "box:3", "-o", "out.tif", "-q")
        assert (1, 1, True) == (code, len(lines), lines[0].endswith("[corrupt]"))
        assert not (tmp_path / "out.tif").exists()
