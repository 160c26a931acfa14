"""Samples of a TIFF that have fewer bits than any array type fill its range, as those of a PNG do; none is misread."""

import io

import numpy as np
import pytest
from PIL import Image

import tiffs
from convcli.errors import ConvError
from convcli.formats import probe, read, windows

ODD = [bits for bits in range(1, 16) if bits != 8]
LAYOUTS = {
    "one strip": {"rows": 40},
    "strips": {},
    "tiles": {"tiled": True},
    "planes": {"planar": True},
    "planes in tiles": {"planar": True, "tiled": True},
    "bits turned": {"reversed_": True},
    **{name: {"compression": name} for name in ("lzw", "deflate", "packbits", "zstd")},
    "tiles by deflate": {"tiled": True, "compression": "deflate"},
}


def ramp(bits, shape=(19, 21, 3)):
    """Samples from 0 to the largest of a number of bits."""
    return np.random.default_rng(bits).integers(0, 2**bits, shape, endpoint=False)


def scaled(samples, bits):
    """Samples in 8 or 16 bits, to the nearest."""
    full = 255 if bits <= 8 else 65535
    return np.floor(samples * full / (2**bits - 1) + 0.5).astype("u1" if bits <= 8 else "u2")


def through_windows(path, **options):
    """A file's pixels, seven rows at a time; None where they are read as a whole only."""
    with windows(path, **options) as found:
        if found is None:
            return None
        info, source = found
        result, axis = np.empty(info.shape, info.dtype), info.axes.index("Y")
        for top in range(0, info.size("Y"), 7):
            spans = [(0, size) for size in info.shape]
            spans[axis] = top, min(top + 7, info.size("Y"))
            part = np.empty([stop - start for start, stop in spans], info.dtype)
            source.read(tuple(spans), part)
            result[tuple(slice(*span) for span in spans)] = part
        return result


def same(expected, path):
    """Whether both ways of reading give the pixels, samples last."""
    whole = read(path)
    for data in filter(lambda found: found is not None, (whole.data, through_windows(path))):
        found = np.moveaxis(data, whole.info.axes.index("S"), -1) if "S" in whole.info.axes else data
        np.testing.assert_array_equal(expected, found)
        assert expected.dtype == found.dtype


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("bits", ODD)
def test_samples_of_any_bits_fill_the_range_of_8_or_16(tmp_path, bits, order, layout):
    samples = ramp(bits)
    (tmp_path / "a.tif").write_bytes(tiffs.image(samples, bits, order=order, **LAYOUTS[layout]))
    same(scaled(samples, bits), tmp_path / "a.tif")
    info = probe(tmp_path / "a.tif")
    full = 255 if bits < 8 else 65535
    assert (f"{bits}-bit samples are scaled to {8 if bits < 8 else 16} bits, 0 to {full}",) == info.notes


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_pillow_sees_the_same_grey(tmp_path, bits):
    samples = ramp(bits, (19, 21))
    content = tiffs.image(samples, bits)
    (tmp_path / "a.tif").write_bytes(content)
    expected = np.asarray(Image.open(io.BytesIO(content)).convert("L"))
    np.testing.assert_array_equal(expected, read(tmp_path / "a.tif").data)


@pytest.mark.parametrize("bits", ODD)
def test_white_as_0_and_opacity_follow_the_same_rule(tmp_path, run, bits):
    samples = ramp(bits, (19, 21))
    (tmp_path / "white.tif").write_bytes(tiffs.image(samples, bits, t262=(3, [0])))
    for name in ("out.tif", "out.png"):
        assert 0 == run("conv2d", tmp_path / "white.tif", "-k", "identity", "-o", tmp_path / name)[0]
        expected = scaled(samples, bits)
        found = np.asarray(Image.open(tmp_path / "out.png")) if name.endswith("png") else read(tmp_path / name).data
        np.testing.assert_array_equal(np.iinfo(expected.dtype).max - expected if "png" in name else expected, found)
    both = np.stack([samples, np.full_like(samples, 2**bits - 1)], -1)
    (tmp_path / "alpha.tif").write_bytes(tiffs.image(both, bits, t338=(3, [2])))
    image = read(tmp_path / "alpha.tif")
    assert ("grey+alpha", np.iinfo(image.data.dtype).max) == (image.info.samples, image.data[..., 1].min())


@pytest.mark.parametrize("bits", [8, 16, 32, 64])
@pytest.mark.parametrize("order", "<>")
def test_samples_that_array_types_hold_stay_as_they_are(tmp_path, bits, order):
    samples = np.random.default_rng(bits).integers(0, min(2**bits, 4096), (19, 21, 3)).astype(f"u{bits // 8}")
    (tmp_path / "a.tif").write_bytes(tiffs.image(samples, bits, order=order))
    same(samples, tmp_path / "a.tif")
    assert () == probe(tmp_path / "a.tif").notes


@pytest.mark.parametrize("layout", ["strips", "tiles", "deflate"])
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("bits", range(17, 32))
def test_integers_of_17_to_31_bits_are_refused(tmp_path, bits, order, layout):
    (tmp_path / "a.tif").write_bytes(tiffs.image(ramp(bits), bits, order=order, **LAYOUTS[layout]))
    with pytest.raises(ConvError, match=f"holds {bits}-bit integers") as refused:
        probe(tmp_path / "a.tif")
    assert "dtype" == refused.value.code


@pytest.mark.parametrize("kind", [2, 3], ids=["signed", "floating point"])
@pytest.mark.parametrize("bits", [bits for bits in range(2, 33) if bits not in (8, 16, 24, 32)])
def test_signed_and_floating_samples_of_odd_bits_are_refused(tmp_path, bits, kind):
    (tmp_path / "a.tif").write_bytes(tiffs.image(ramp(bits), bits, t339=(3, [kind] * 3)))
    with pytest.raises(ConvError, match=f"{bits}-bit samples") as refused:
        probe(tmp_path / "a.tif")
    assert "dtype" == refused.value.code


@pytest.mark.parametrize("order", "<>")
def test_floating_point_of_24_bits_is_read_in_either_byte_order(tmp_path, order):
    """A sign, 7 bits of an exponent of excess 63, 16 bits behind the point."""
    values = np.array([[0x3F0000, 0x408000, 0xBF4000]])
    (tmp_path / "a.tif").write_bytes(tiffs.image(values, 24, order=order, t339=(3, [3])))
    np.testing.assert_array_equal([[1.0, 3.0, -1.25]], read(tmp_path / "a.tif").data)


@pytest.mark.parametrize("bits", [4, 12])
def test_differences_of_odd_bits_are_refused(tmp_path, bits):
    (tmp_path / "a.tif").write_bytes(tiffs.image(ramp(bits), bits, compression="lzw", t317=(3, [2])))
    with pytest.raises(ConvError, match="differences"):
        probe(tmp_path / "a.tif")


@pytest.mark.parametrize("bits", [2, 4, 12])
def test_what_is_missing_is_scaled_like_the_rest(tmp_path, bits):
    content = tiffs.image(ramp(bits, (19, 21)), bits, t42113=(2, b"3\0"))
    (tmp_path / "a.tif").write_bytes(content)
    assert int(scaled(np.array(3), bits)) == probe(tmp_path / "a.tif").missing


@pytest.mark.parametrize("layout", ["strips", "tiles", "deflate"])
@pytest.mark.parametrize("bits", [1, 2, 3, 4, 6])
def test_places_in_a_palette_are_not_scaled(tmp_path, bits, layout):
    places = ramp(bits, (19, 21))
    table = np.random.default_rng(1).integers(0, 65536, (3, 2**bits))
    content = tiffs.image(places, bits, t262=(3, [3]), t320=(3, table.ravel().tolist()), **LAYOUTS[layout])
    (tmp_path / "a.tif").write_bytes(content)
    same(table.T[places].astype("u2"), tmp_path / "a.tif")
