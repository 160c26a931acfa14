"""Colours of a TIFF that are not RGB are converted, and the report says so, or they are refused."""

import io

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

import tiffs
from convcli.errors import ConvError
from convcli.formats import probe, read
from test_tiff_bits import LAYOUTS, same

CIELAB, ICCLAB, ITULAB, YCBCR, SEPARATED = 8, 9, 10, 6, 5
REFERENCES = {"full": (0, 255, 128, 255, 128, 255), "video": (16, 235, 128, 240, 128, 240)}
CODED = ["none", "lzw", "deflate", "packbits", "zstd"]


def random_samples(shape=(19, 21, 3), top=256):
    return np.random.default_rng(5).integers(0, top, shape)


def smooth_lab(shape=(19, 21)):
    """L* a* b* of colours that sRGB holds."""
    y, x = np.mgrid[: shape[0], : shape[1]] / 20
    return np.stack([30 + 40 * y, 15 * np.sin(4 * x), 15 * np.cos(5 * y)], -1)


def lab_samples(lab, photometric, bits):
    """L*, a*, b* by the coding of TIFF 6.0, of Technical Note 4, or of ITU-T T.42."""
    if photometric == ITULAB:
        return np.rint(lab * (255 / 100, 255 / 170, 255 / 200) + (0, 85 * 255 / 170, 75 * 255 / 200)).astype(int)
    unit, top = (1, 255) if bits == 8 else (256, 65535 if photometric == CIELAB else 65280)
    zero = 128 * unit if photometric == ICCLAB else 0
    return (np.rint(lab * (top / 100, unit, unit)) + np.array([0, zero, zero])).astype(int) % 2**bits


def by_littlecms(lab):
    """sRGB of L* a* b* under D50, of 8 bits."""
    coded = np.stack([lab[..., 0] * 2.55, lab[..., 1] + 128, lab[..., 2] + 128], -1)
    picture = Image.frombytes(
        "LAB", coded.shape[1::-1], (np.rint(coded).astype("u1") ^ np.uint8([0, 128, 128])).tobytes()
    )
    profiles = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    return np.asarray(ImageCms.profileToProfile(picture, *profiles, outputMode="RGB")).astype(float)


@pytest.mark.parametrize(("photometric", "bits"), [(CIELAB, 8), (CIELAB, 16), (ICCLAB, 8), (ICCLAB, 16), (ITULAB, 8)])
def test_cielab_becomes_srgb_as_littlecms_has_it(tmp_path, run, photometric, bits):
    lab = smooth_lab()
    samples = lab_samples(lab, photometric, bits).astype(f"u{bits // 8}")
    (tmp_path / "a.tif").write_bytes(tiffs.image(samples, bits, t262=(3, [photometric])))
    image = read(tmp_path / "a.tif")
    assert ("rgb", f"uint{bits}") == (image.info.samples, image.info.dtype)
    assert np.abs(by_littlecms(lab) - image.data / (2**bits // 256)).max() <= 4  # both round L*, a* and b*
    same(image.data, tmp_path / "a.tif")
    errors = run("conv2d", tmp_path / "a.tif", "-k", "identity", "-o", tmp_path / "o.png")[1]
    assert any("LAB colours are converted to sRGB" in line for line in errors)


@pytest.mark.parametrize("white", [None, (0.3127, 0.3290), (0.3457, 0.3585), (0.4476, 0.4074)])
@pytest.mark.parametrize(("photometric", "neutral"), [(CIELAB, 0), (ICCLAB, 128)])
def test_what_is_neutral_stays_neutral_under_any_white(tmp_path, photometric, neutral, white):
    lightness = np.array([[0, 64, 137, 200, 255]])
    samples = np.stack([lightness, *[np.full_like(lightness, neutral)] * 2], -1)
    more = {} if white is None else {"t318": (5, [round(v * 10000) if i else 10000 for v in white for i in (1, 0)])}
    (tmp_path / "a.tif").write_bytes(tiffs.image(samples, 8, t262=(3, [photometric]), **more))
    y = ((lightness / 2.55 + 16) / 116) ** 3
    expected = 255 * np.where(lightness > 0, 1.055 * y ** (1 / 2.4) - 0.055, 0)
    assert np.abs(expected[..., None] - read(tmp_path / "a.tif").data).max() <= 1


def seen_by_libtiff(content):
    """A TIFF as libtiff shows it."""
    from PIL import TiffImagePlugin

    before, TiffImagePlugin.READ_LIBTIFF = TiffImagePlugin.READ_LIBTIFF, True
    try:
        with Image.open(io.BytesIO(content)) as picture:
            return np.asarray(picture.convert("RGB")).astype(int)
    finally:
        TiffImagePlugin.READ_LIBTIFF = before


def ycbcr_file(samples, across, down, *, order="<", compression="none", tiled=False, rows=8, references="full", **more):
    """A TIFF of YCbCr; pixels that share their differences of colour lie together, as TIFF 6.0 has it in section 21."""
    height, width, _ = samples.shape
    high, wide = (16, 16) if tiled else (rows, width)
    segments = []
    for top in range(0, height, high):
        for left in range(0, width, wide):
            deep = high if tiled else min(high, height - top)
            size = -(-deep // down) * down, -(-wide // across) * across
            part = samples[top : top + deep, left : left + wide]
            part = np.pad(part, ((0, size[0] - part.shape[0]), (0, size[1] - part.shape[1]), (0, 0)), mode="edge")
            blocks = part.reshape(size[0] // down, down, size[1] // across, across, 3).swapaxes(1, 2)
            luma, chroma = blocks[..., 0].reshape(*blocks.shape[:2], -1), blocks[:, :, 0, 0, 1:]
            content = np.concatenate([luma, chroma], -1).astype("u1").tobytes()
            segments.append(tiffs.compressed(content, tiffs.COMPRESSIONS[compression]))
    tags = tiffs.tags_of(width, height, 8, YCBCR, 3, tiffs.COMPRESSIONS[compression])
    tags |= {322: (3, [wide]), 323: (3, [high])} if tiled else {278: (4, [rows])}
    tags |= {530: (3, [across, down])} if (across, down) != (2, 2) else {}
    tags |= {532: (5, [number for value in REFERENCES[references] for number in (value, 1)])}
    return tiffs.file(segments, tags | {int(k[1:]): v for k, v in more.items()}, order, tiled=tiled)


@pytest.mark.parametrize("compression", CODED[:4])
@pytest.mark.parametrize("tiled", [False, True], ids=["strips", "tiles"])
@pytest.mark.parametrize("shared", [(1, 1), (2, 1), (1, 2), (2, 2), (4, 1), (4, 2), (4, 4)])
def test_ycbcr_is_what_libtiff_shows(tmp_path, shared, tiled, compression):
    content = ycbcr_file(random_samples(), *shared, tiled=tiled, compression=compression)
    (tmp_path / "a.tif").write_bytes(content)
    image = read(tmp_path / "a.tif")
    assert ("rgb", ("YCbCr colours are converted to RGB",)) == (image.info.samples, image.info.notes)
    assert np.abs(seen_by_libtiff(content) - image.data).max() <= 1


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("references", REFERENCES)
@pytest.mark.parametrize("luma", [None, (0.2126, 0.7152, 0.0722)])
def test_ycbcr_has_the_weights_and_ranges_of_the_file(tmp_path, references, luma, order):
    more = {} if luma is None else {"t529": (5, [number for v in luma for number in (round(v * 10000), 10000)])}
    content = ycbcr_file(random_samples(), 2, 1, references=references, order=order, **more)
    (tmp_path / "a.tif").write_bytes(content)
    slack = 1 if references == "full" else 3  # libtiff stretches ranges in whole numbers, one after the other
    assert np.abs(seen_by_libtiff(content) - read(tmp_path / "a.tif").data).max() <= slack


def test_ycbcr_that_ends_too_early_is_damaged(tmp_path):
    content = ycbcr_file(random_samples(), 2, 2, compression="deflate", rows=30)
    short = tiffs.compressed(b"\0" * 99, tiffs.DEFLATE)
    (tmp_path / "a.tif").write_bytes(content)
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        place, count = file.pages[0].dataoffsets[0], file.pages[0].databytecounts[0]
    (tmp_path / "a.tif").write_bytes(content[:place] + short.ljust(count, b"\0") + content[place + count :])
    with pytest.raises(ConvError, match="damaged") as error:
        read(tmp_path / "a.tif")
    assert "corrupt" == error.value.code


@pytest.mark.parametrize("compression", CODED)
@pytest.mark.parametrize("layout", ["strips", "tiles", "planes", "planes in tiles"])
def test_colours_are_converted_however_they_lie(tmp_path, layout, compression):
    samples = random_samples().astype("u1")
    (tmp_path / "flat.tif").write_bytes(tiffs.image(samples, 8, t262=(3, [CIELAB])))
    expected = read(tmp_path / "flat.tif").data
    more = {**LAYOUTS[layout], "compression": compression}
    (tmp_path / "a.tif").write_bytes(tiffs.image(samples, 8, t262=(3, [CIELAB]), **more))
    same(expected, tmp_path / "a.tif")
    (tmp_path / "y.tif").write_bytes(tiffs.image(samples, 8, t262=(3, [YCBCR]), t530=(3, [1, 1]), **more))
    content = ycbcr_file(samples, 1, 1)
    same(read(tmp_path / "y.tif").data, tmp_path / "y.tif")
    assert np.abs(seen_by_libtiff(content) - read(tmp_path / "y.tif").data).max() <= 1


def test_opacity_beside_converted_colours_stays(tmp_path):
    samples = random_samples((9, 8, 4)).astype("u1")
    (tmp_path / "a.tif").write_bytes(tiffs.image(samples, 8, t262=(3, [CIELAB]), t338=(3, [2])))
    image = read(tmp_path / "a.tif")
    assert "rgb+alpha" == image.info.samples
    np.testing.assert_array_equal(samples[..., 3], image.data[..., 3])


def test_a_profile_of_lab_is_not_kept_for_the_rgb(tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    (tmp_path / "a.tif").write_bytes(tiffs.image(random_samples(), 8, t262=(3, [CIELAB]), t34675=(7, profile)))
    assert "icc" not in probe(tmp_path / "a.tif").metadata


@pytest.mark.parametrize(
    ("photometric", "bits", "more"),
    [
        (CIELAB, 12, {}),
        (ITULAB, 16, {}),
        (CIELAB, 32, {}),
        (YCBCR, 8, {"t530": (3, [2, 2]), "planar": True}),
        (YCBCR, 8, {"t530": (3, [2, 2]), "t317": (3, [2]), "compression": "lzw"}),
        (32844, 8, {}),
        (32845, 8, {}),
        (32803, 8, {}),
        (34892, 16, {}),
    ],
)
def test_colours_that_are_not_known_here_are_refused(tmp_path, photometric, bits, more):
    (tmp_path / "a.tif").write_bytes(tiffs.image(random_samples(), bits, t262=(3, [photometric]), **more))
    with pytest.raises(ConvError, match="stores its colours as") as error:
        probe(tmp_path / "a.tif")
    assert "dtype" == error.value.code


@pytest.mark.parametrize("planar", [False, True], ids=["together", "apart"])
@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("extra", [1, 2, 0], ids=["associated", "unassociated", "unspecified"])
def test_a_palette_with_opacity_has_both(tmp_path, run, extra, bits, planar):
    rng = np.random.default_rng(bits)
    table = rng.integers(0, 256, (3, 2**bits)) * 257
    samples = rng.integers(0, 2**bits, (19, 21, 2))
    tags = {"t262": (3, [3]), "t320": (3, table.ravel().tolist()), "t338": (3, [extra])}
    (tmp_path / "a.tif").write_bytes(tiffs.image(samples, bits, planar=planar, **tags))
    colours, opacity = table.T[samples[..., 0]] // 257, samples[..., 1:] * 255 // (2**bits - 1)
    same((np.concatenate([colours, opacity], -1) if extra else colours).astype("u1"), tmp_path / "a.tif")
    info = probe(tmp_path / "a.tif")
    assert ("rgb+alpha" if extra else "rgb") == info.samples
    assert bool(extra) != any("left out" in note for note in info.notes)
    assert 0 == run("conv2d", tmp_path / "a.tif", "-k", "box:3", "-o", tmp_path / "o.png")[0]


@pytest.mark.parametrize("tags", [{}, {33550: (10.0, 10.0, 0.0)}, {42113: "0"}], ids=["plain", "on Earth", "missing"])
def test_what_becomes_of_a_palette_is_said(tmp_path, run, tags):
    table = np.random.default_rng(0).integers(0, 65536, (3, 256)).astype("u2")
    kinds = {33550: ("d", 3), 42113: ("s", 0)}
    extra = [(code, *kinds[code], value, True) for code, value in tags.items()]
    classes = (np.arange(64).reshape(8, 8) % 3).astype("u1")
    tifffile.imwrite(tmp_path / "a.tif", classes, photometric="palette", colormap=table, extratags=extra)
    errors = run("conv2d", tmp_path / "a.tif", "-k", "box:3", "-o", tmp_path / "o.tif")[1]
    said = [line for line in errors if "the palette's 256 colours are filtered" in line]
    assert (1, bool(tags)) == (len(said), said[0].startswith("warning"))
    assert None is probe(tmp_path / "a.tif").missing


@pytest.mark.parametrize("bands", [4, 5, 6])
def test_colours_with_other_samples_beside_them_stay_what_they_are(tmp_path, run, bands):
    samples = random_samples((9, 8, bands)).astype("u1")
    for photometric, colours in ((2, 3), (SEPARATED, 4)):
        if bands == colours:
            continue
        tags = {"t262": (3, [photometric]), "t338": (3, [0] * (bands - colours))}
        (tmp_path / "a.tif").write_bytes(tiffs.image(samples, 8, **tags))
        assert 0 == run("conv2d", tmp_path / "a.tif", "-k", "identity", "-o", tmp_path / "o.tif", "-f")[0]
        with tifffile.TiffFile(tmp_path / "o.tif") as file:
            page = file.pages[0]
            assert (photometric, (0,) * (bands - colours)) == (page.photometric, page.extrasamples)
            np.testing.assert_array_equal(samples, page.asarray())
