"""Image files: what is written is read back the same, by this program and by others; names, axes and limits."""

from __future__ import annotations

import subprocess
import sys
import threading
import tracemalloc
from dataclasses import replace
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest
import tifffile

from convcli.errors import ConvError, UsageError
from convcli.formats import FORMATS, ReadOptions, WriteOptions, check_writable, encode, format_for, probe, read, write
from convcli.formats.metadata import OF_COLOUR
from convcli.formats.source import check_declared
from convcli.formats.tiff import write as tiff_output
from convcli.image import Image, ImageInfo
from convcli.system import memory
from images import CASES, WRITTEN, picture, stack, with_names
from make_samples import SAMPLES
from make_samples import main as draw_samples

SAMPLES_FOLDER = Path(__file__).parent.parent / "samples"


def written(image, name, folder, **options):
    """The path of an image that has been written."""
    path = folder / name
    write(path, image, **options)
    return path


@pytest.fixture(autouse=True)
def _with_nibabel(request):
    """NIfTI is tested where the extra is installed."""
    if "nifti" in str(request.node.callspec.params.get("name") if hasattr(request.node, "callspec") else ""):
        pytest.importorskip("nibabel", reason="nibabel is not installed (pip install '.[nifti]')")


@pytest.mark.usefixtures("jxrlib_here")
@pytest.mark.parametrize(("name", "dtype", "samples"), CASES)
def test_what_is_written_is_read_back(name, dtype, samples, tmp_path):
    entry, image = FORMATS[name], picture(samples, dtype)
    path = written(image, f"a{(entry.suffixes or ('.tif',))[0]}", tmp_path, format=entry)

    again = read(path, options=with_names(entry, image.info))

    assert again.data.dtype == again.info.dtype == dtype
    assert again.info == probe(path, options=with_names(entry, image.info))
    assert again.info == read(path.read_bytes(), options=with_names(entry, image.info)).info
    if name == "hdr":
        found = np.abs(again.data - np.maximum(image.data.reshape(11, 7, -1), 0)).max(axis=2)
        assert (found <= image.data.reshape(11, 7, -1).max(axis=2).clip(0) / 256).all()
    elif name == "jpeg":
        assert again.info.samples == image.info.samples
        assert np.abs(again.data.astype(int) - image.data).mean() < 8
    elif name == "gif" and samples.endswith("alpha"):  # which is all or nothing
        seen = image.data[..., -1] >= 128
        wide = np.repeat(image.data[..., :1], 3, axis=2) if samples == "grey+alpha" else image.data[..., :3]
        assert np.array_equal(seen, again.data[..., 3] == 255)
        assert np.array_equal(wide[seen], again.data[..., :3][seen])
    elif name == "ico":  # which always has an opacity
        wide = (
            np.repeat(image.data.reshape(11, 7, -1)[..., :1], 3, axis=2) if "grey" in samples else image.data[..., :3]
        )
        assert np.array_equal(wide, again.data[..., :3])
        assert np.array_equal(
            image.data[..., -1] if samples.endswith("alpha") else np.full((11, 7), 255), again.data[..., 3]
        )
    elif name in OF_COLOUR and samples.startswith("grey"):
        wide = np.repeat(image.data.reshape(11, 7, -1)[..., :1], 3, axis=2)
        assert np.array_equal(wide, again.data[..., :3])
        assert np.array_equal(image.data[..., 1:], again.data[..., 3:]) or samples == "grey"
    else:
        assert np.array_equal(image.data, again.data)
        assert again.info.samples == image.info.samples or (entry.module == "npy" and samples == "cmyk")


@pytest.mark.parametrize(
    ("name", "dtype", "samples"), [case for case in CASES if case[0] in ("png", "tiff", "webp", "bmp", "npy")]
)
def test_other_programs_read_the_same_pixels(name, dtype, samples, tmp_path):
    image = picture(samples, dtype)
    path = written(image, f"a{FORMATS[name].suffixes[0]}", tmp_path)

    if name == "tiff":
        seen = tifffile.imread(path)
    elif name == "npy":
        seen = np.load(path)
    elif name == "png" and dtype == "uint16" and samples != "grey":
        pytest.skip("Pillow cuts 16-bit colour to 8 bits")
    else:
        seen = iio.imread(path, plugin="pillow")
    if name == "webp" and samples.startswith("grey"):
        assert np.array_equal(seen[..., 0].ravel(), image.data.reshape(11, 7, -1)[..., 0].ravel())
    else:
        assert np.array_equal(image.data, seen)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp", ".webp", ".pgm", ".ppm"])
def test_files_by_pillow_are_read_as_pillow_reads_them(mode, suffix, tmp_path):
    rng = np.random.default_rng(1)
    source = PIL.Image.fromarray(rng.integers(0, 256, (13, 9, 4), dtype=np.uint8), "RGBA").convert("RGB")
    if mode == "I;16":
        source = PIL.Image.fromarray(rng.integers(0, 65536, (13, 9), dtype=np.uint16))
    elif mode == "P":
        source = source.quantize(16)
    else:
        source = source.convert(mode)
    path = tmp_path / f"a{suffix}"
    try:
        source.save(path, **({"lossless": True} if suffix == ".webp" else {}))
    except OSError:
        pytest.skip(f"Pillow writes no {mode} to {suffix}")

    with PIL.Image.open(path) as image:
        plain = {"1": "L", "P": "RGB", "PA": "RGBA"}.get(image.mode, image.mode)
        expected = np.asarray(image if plain == image.mode else image.convert(plain))

    assert np.array_equal(expected, read(path).data)


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_png_palettes_and_low_depths_are_expanded(depth, tmp_path):
    count = min(2**depth, 200)
    image = PIL.Image.new("P", (9, 5))
    image.putpalette([value for entry in range(count) for value in (entry, 255 - entry, 7)])
    image.putdata([place % count for place in range(45)])
    image.save(tmp_path / "a.png", bits=depth, transparency=bytes(range(count)))

    found = read(tmp_path / "a.png")

    indices = np.arange(45).reshape(5, 9) % count
    expected = np.stack([indices, 255 - indices, np.full_like(indices, 7), indices], axis=-1)
    assert found.info.samples == "rgb+alpha"
    assert np.array_equal(expected, found.data)


def test_an_interlaced_png_is_read(tmp_path):
    # 8 x 8 grey, Adam7, made of the seven passes by hand.
    import struct
    import zlib

    from faults import chunk

    image = np.arange(64, dtype=np.uint8).reshape(8, 8)
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    rows = b"".join(b"\0" + row.tobytes() for y, x, dy, dx in passes for row in image[y::dy, x::dx])
    header = struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 1)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")

    assert np.array_equal(image, read(b"\x89PNG\r\n\x1a\n" + body).data)


@pytest.mark.parametrize("axes", ["ZYX", "CYX", "TZCYX", "ZCYX", "CZYX", "TYX", "ZYXS", "CZTYX", "ZSYX", "SYX"])
@pytest.mark.parametrize("name", ["tiff", "ome"])
@pytest.mark.parametrize("dtype", ["uint8", "float32", "float16"])
def test_named_dimensions_come_back(axes, name, dtype, tmp_path):
    if name == "ome" and dtype == "float16":
        pytest.skip("OME has no float16, and says so")
    image = stack(axes, dtype)
    path = written(image, "a.tif", tmp_path, format=name)

    again = read(path)

    assert (image.info.axes, image.info.shape) == (again.info.axes, again.info.shape)
    assert np.array_equal(image.data, again.data)
    assert np.array_equal(image.data, tifffile.imread(path))


@pytest.mark.parametrize("axes", ["ZYX", "TZCYX", "CYX", "TYX", "ZYXS"])
def test_imagej_holds_its_dimensions_and_spacing(axes, tmp_path):
    steps = {"Z": (2.0, "um"), "Y": (0.25, "um"), "X": (0.2, "um"), "T": (1.5, "s")}
    image = stack(axes, "uint8", spacing={axis: steps[axis] for axis in axes if axis in steps})
    path = written(image, "a.tif", tmp_path, format="imagej")

    again = read(path)

    assert again.info.format == "imagej"
    assert (image.info.axes, image.info.spacing) == (again.info.axes, again.info.spacing)
    assert np.array_equal(image.data, again.data)
    with tifffile.TiffFile(path) as file:
        assert file.is_imagej
        assert file.pages[0].resolution == (5, 4)
        assert axes == file.series[0].axes


def test_pages_of_a_plain_tiff_are_a_stack_and_it_is_said(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((12, 8, 8), np.uint8), photometric="minisblack", metadata=None)

    assert ("ZYX", ("12 pages are read as a stack (ZYX); --axes names them otherwise",)) == (
        (info := probe(tmp_path / "a.tif")).axes,
        info.remarks,
    )
    assert (("TYX"), ()) == ((named := probe(tmp_path / "a.tif", options=ReadOptions(axes="TYX"))).axes, named.remarks)


@pytest.mark.parametrize(
    ("axes", "message"),
    [("YX", "names 2 dimensions, but there are 3"), ("QYX", "each letter once"), ("YYX", "each letter once")],
)
def test_axes_that_do_not_fit_are_refused(axes, message, tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((2, 3, 4), np.uint8))
    with pytest.raises(ConvError, match=message):
        read(tmp_path / "a.npy", options=ReadOptions(axes=axes))


def test_several_images_need_a_choice_or_a_note(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(np.full((4, 4), 1, np.uint8), photometric="minisblack", metadata=None)
        file.write(np.full((9, 6), 2, np.uint8), photometric="minisblack", metadata=None)
    np.savez(tmp_path / "a.npz", first=np.full((2, 2), 1), second=np.full((3, 3), 2))

    assert "holds 2 images" in read(tmp_path / "a.tif").info.notes[0]
    second = read(tmp_path / "a.tif", options=ReadOptions(series=1))
    assert (2, ()) == (second.data[0, 0], second.info.notes)
    assert read(tmp_path / "a.npz", options=ReadOptions(series=1)).data.shape == (3, 3)
    with pytest.raises(ConvError, match="has no image 2; it holds 2 images"):
        read(tmp_path / "a.tif", options=ReadOptions(series=2))
    with pytest.raises(ConvError, match=r"arrays \(first, second\)"):
        read(tmp_path / "a.npz")


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp"])
def test_auto_orient_shows_pictures_as_pillow_does(turn, suffix, tmp_path):
    source = PIL.Image.fromarray(np.random.default_rng(2).integers(0, 256, (24, 16, 3), dtype=np.uint8))
    exif = PIL.Image.Exif()
    exif[0x0112] = turn
    path = tmp_path / f"a{suffix}"
    source.save(path, exif=exif, **({"lossless": True} if suffix == ".webp" else {}))

    stored, upright = read(path), read(path, options=ReadOptions(auto_orient=True))

    with PIL.Image.open(path) as image:
        assert np.array_equal(np.asarray(PIL.ImageOps.exif_transpose(image)), upright.data)
    if suffix != ".jpg":
        assert np.array_equal(np.asarray(source), stored.data)
    assert turn == stored.info.metadata.get("orientation", 1)
    assert "orientation" not in upright.info.metadata
    assert upright.info == probe(path, options=ReadOptions(auto_orient=True))
    again = written(upright, f"b{suffix}", tmp_path)
    assert "orientation" not in probe(again).metadata


def test_a_name_that_misleads_is_noted(tmp_path):
    path = written(picture(), "a.png", tmp_path)
    path = path.rename(tmp_path / "a.jpg")
    assert probe(path).notes == ("is named .jpg but is PNG",)


@pytest.mark.parametrize(
    ("name", "override", "expected"),
    [
        ("a.PNG", None, "png"),
        ("a.ome.tif", None, "ome"),
        ("a.tif", None, "tiff"),
        ("a.b.jpeg", None, "jpeg"),
        ("-", "png", "png"),
        ("a.png", "tif", "tiff"),
        ("a", "imagej", "imagej"),
    ],
)
def test_the_format_follows_from_the_name_or_the_option(name, override, expected):
    assert expected == format_for(name, override).name


@pytest.mark.parametrize(
    ("name", "override", "message"),
    [
        ("a.tfi", None, "did you mean 'tif'"),
        ("a", None, "no ending"),
        ("-", None, "--format"),
        ("a.png", "jpg2", "did you mean 'jpg'"),
        ("a.pbm", None, "PBM is only read here"),
        ("a.xyz", None, "no format is known by the ending '.xyz'"),
    ],
)
def test_unknown_formats_are_usage_errors_that_list_the_known(name, override, message):
    with pytest.raises(UsageError, match=message) as caught:
        format_for(name, override)
    assert caught.value.code == "unknown-format"


@pytest.mark.parametrize(
    ("content", "title"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
        (b"8BPS\0\1" + bytes(20), "a file of Photoshop"),
        (b"gimp xcf v011\0", "a file of GIMP"),
        (b"v/1\1\2\0\0\0", "OpenEXR"),
        (b"%PDF-1.7\n", "PDF"),
    ],
)
def test_formats_that_people_have_and_that_are_not_read_are_named(content, title):
    with pytest.raises(ConvError, match=f"is {title}, which is not read here; convert it first"):
        probe(content)


@pytest.mark.parametrize(
    ("name", "info", "code", "message"),
    [
        (
            "png",
            ImageInfo((4, 4), "float32", "YX"),
            "dtype",
            "PNG holds uint8 or uint16, not float32; use --dtype uint8",
        ),
        ("jpeg", ImageInfo((4, 4), "uint16", "YX"), "dtype", "use --dtype uint8 or a .png output"),
        ("jpeg", ImageInfo((4, 70_000), "uint8", "YX"), "too-large", "at most 65,500 pixels a side"),
        ("jpeg", ImageInfo((4, 4, 4), "uint8", "YXS", samples="rgb+alpha"), "shape", "--alpha drop"),
        ("jpeg", ImageInfo((12, 4, 4), "uint8", "CYX"), "shape", "not CYX of 12 x 4 x 4; use a .tif or .npy output"),
        ("png", ImageInfo((5, 4, 4), "uint8", "ZYX"), "shape", "one picture"),
        ("png", ImageInfo((4, 4, 5), "uint8", "YXS"), "shape", "one picture"),
        ("png", ImageInfo((4, 4, 4), "uint8", "YXS", samples="cmyk"), "shape", "use a .tif output"),
        ("gif", ImageInfo((4, 4, 4), "uint8", "YXS", samples="cmyk"), "shape", "use a .tif output"),
        ("png", ImageInfo((5, 4, 4, 3), "uint8", "ZYXS", samples="rgb"), "shape", "one picture"),
        ("pgm", ImageInfo((4, 4, 3), "uint8", "YXS", samples="rgb"), "shape", "PGM holds grey, not rgb"),
        ("ome", ImageInfo((4, 4), "float16", "YX"), "dtype", "OME-TIFF holds no float16"),
        ("imagej", ImageInfo((4, 4), "int32", "YX"), "dtype", "ImageJ holds no int32"),
        ("pbm", ImageInfo((4, 4), "uint8", "YX"), "dtype", "only read"),
    ],
)
def test_what_a_format_cannot_hold_is_refused_with_the_way_out(name, info, code, message):
    with pytest.raises(ConvError, match=message) as caught:
        check_writable(FORMATS[name], info)
    assert code == caught.value.code


def test_a_refused_image_leaves_no_file(tmp_path):
    with pytest.raises(ConvError, match="float32"):
        write(tmp_path / "a.png", picture(dtype="float32"))
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("axes", ["ZYX", "CYXS", "SYX", "XY"])
def test_other_orders_and_single_planes_become_pictures(axes, tmp_path):
    sizes = {"Z": 1, "C": 1, "Y": 6, "X": 5, "S": 3}
    shape = tuple(sizes[axis] for axis in axes)
    data = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    info = ImageInfo(shape, "uint8", axes, samples="rgb" if "S" in axes else "")

    found = read(written(Image(info, data), "a.png", tmp_path)).data

    order = [axes.index(axis) for axis in "ZCYXS" if axis in axes]
    assert np.array_equal(data.transpose(order).squeeze(), found)


def test_the_same_bytes_go_to_standard_output_as_to_a_file(tmp_path):
    for entry in WRITTEN:
        if entry.name == "ome":
            continue  # it carries an identifier of its own
        image = picture((entry.samples or ("grey",))[0], entry.dtypes[0])
        path = written(image, "a.bin", tmp_path, format=entry, force=True)
        assert path.read_bytes() == encode(image, entry), entry.name


@pytest.mark.parametrize("options", [{"png": "best"}, {"quality": 0}, {"quality": 101}, {"compression": "zip"}])
def test_impossible_options_are_refused_before_any_work(options):
    with pytest.raises(UsageError, match=f"--{next(iter(options))} is"):
        WriteOptions(**options)


@pytest.mark.parametrize("setting", ["fast", "balanced", "small"])
def test_png_settings_trade_time_for_size_only(setting, tmp_path):
    image = read(SAMPLES_FOLDER / "photo.jpg")
    path = written(image, "a.png", tmp_path, options=WriteOptions(png=setting))
    assert np.array_equal(image.data, read(path).data)


def test_jpeg_quality_is_asked_for_or_kept(tmp_path):
    image = read(SAMPLES_FOLDER / "photo.jpg")
    low = written(image, "low.jpg", tmp_path, options=WriteOptions(quality=40))
    kept = written(read(low), "kept.jpg", tmp_path)

    assert (40, 40) == tuple(probe(path).metadata["jpeg"]["quality"] for path in (low, kept))
    assert low.stat().st_size < (SAMPLES_FOLDER / "photo.jpg").stat().st_size / 2


@pytest.mark.parametrize("compression", ["none", "deflate", "lzw", "zstd"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64", "int64"])
def test_tiff_compression_is_chosen_or_kept(compression, dtype, tmp_path):
    image = picture("rgb", dtype, (64, 48))
    chosen = written(image, "a.tif", tmp_path, options=WriteOptions(compression=compression))
    kept = written(read(chosen), "b.tif", tmp_path)

    for path in (chosen, kept):
        with tifffile.TiffFile(path) as file:
            code = {"none": 1, "deflate": 8, "lzw": 5, "zstd": 50000}[compression]
            assert code == file.pages[0].compression
            assert np.array_equal(image.data, file.asarray())


def test_tiles_are_kept(tmp_path):
    data = np.arange(96 * 80, dtype=np.uint16).reshape(96, 80)
    tifffile.imwrite(tmp_path / "a.tif", data, tile=(32, 16), photometric="minisblack", metadata=None)
    path = written(read(tmp_path / "a.tif"), "b.tif", tmp_path)
    with tifffile.TiffFile(path) as file:
        assert (32, 16) == file.pages[0].tile
        assert np.array_equal(data, file.asarray())


def test_large_plain_files_are_read_and_never_mapped(tmp_path):
    """A map of a file that is cut short kills the process."""
    big = np.arange(2**22, dtype=np.float32).reshape(2048, 2048)
    tifffile.imwrite(tmp_path / "a.tif", big, photometric="minisblack", byteorder=">")
    np.save(tmp_path / "a.npy", big)

    for name in ("a.tif", "a.npy"):
        image = read(tmp_path / name)
        assert not isinstance(image.data, np.memmap)
        assert image.data.dtype.isnative
        assert (image.info.dtype, image.info.dtype) == (image.data.dtype.name, "float32")
        assert np.array_equal(big, image.data)
        again = written(image, f"again-{name}", tmp_path)
        assert np.array_equal(big, read(again).data)


def test_writing_a_tiff_copies_no_array(tmp_path):
    image = Image(ImageInfo((2048, 4096), "uint8", "YX"), np.ones((2048, 4096), np.uint8))
    write(tmp_path / "warm.tif", image)
    tracemalloc.start()
    write(tmp_path / "a.tif", image)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**20


@pytest.mark.parametrize("metadata", [{}, {"exif": b"II*\0\x08\0\0\0\x01\0\x12\x01\3\0\1\0\0\0\6\0\0\0" + bytes(4)}])
def test_more_than_four_gigabytes_is_bigtiff_from_the_start(metadata, tmp_path, monkeypatch):
    image = picture("rgb", "uint8", (64, 48), **metadata)
    assert 42 == written(image, "a.tif", tmp_path).read_bytes()[2]
    assert tiff_output.LARGEST_CLASSIC < 2**32 - 2**20

    monkeypatch.setattr(tiff_output, "LARGEST_CLASSIC", image.data.nbytes - 1)

    path = written(image, "b.tif", tmp_path)
    assert 43 == path.read_bytes()[2]
    assert np.array_equal(image.data, read(path).data)
    assert np.array_equal(image.data, tifffile.imread(path))


def test_declared_sizes_are_bounded_by_samples_and_memory():
    info = ImageInfo((3000, 4000), "uint8", "YX")
    check_declared(info, None)
    check_declared(info, 12_000_000)
    with pytest.raises(ConvError, match="12,000,000 samples, more than 11,999,999; --max-pixels"):
        check_declared(info, 11_999_999)
    with pytest.raises(ConvError, match="--max-pixels"):
        check_declared(replace(info, shape=(memory() // 1000, 1000)), None)


def test_max_pixels_holds_for_every_format(tmp_path):
    for entry in WRITTEN:
        image = picture((entry.samples or ("grey",))[0], entry.dtypes[0])
        path = written(image, "a.bin", tmp_path, format=entry, force=True)
        assert (11, 7) == read(path, options=ReadOptions(max_pixels=77 * 4)).data.shape[:2]
        with pytest.raises(ConvError) as caught:
            read(path, options=ReadOptions(max_pixels=76))
        assert caught.value.code == "too-large"


def test_reading_a_png_loads_no_other_library():
    code = """
import sys
from pathlib import Path
from convcli.formats import read
read(Path(sys.argv[1]))
print([name for name in ("tifffile", "PIL", "imageio", "scipy") if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", code, SAMPLES_FOLDER / "shapes.png"], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_damage_in_one_thread_does_not_fail_another(tmp_path):
    good = tmp_path / "good.tif"
    tifffile.imwrite(good, np.zeros((200, 8, 8), np.uint8), photometric="minisblack", metadata=None)
    bad = tmp_path / "bad.tif"
    tifffile.imwrite(bad, np.zeros((4, 8, 8), np.uint8), imagej=True, metadata={"axes": "ZYX"})
    bad.write_bytes(bad.read_bytes().replace(b"images=4", b"images=9"))
    failures = []

    def repeat():
        for _ in range(5):
            try:
                read(good)
            except ConvError as error:
                failures.append(error)

    threads = [threading.Thread(target=repeat) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(10):
        with pytest.raises(ConvError):
            read(bad)
    for thread in threads:
        thread.join()
    assert [] == failures


@pytest.mark.parametrize("name", SAMPLES)
def test_the_samples_are_what_their_script_draws(name, tmp_path_factory):
    folder = tmp_path_factory.getbasetemp() / "samples"
    if not folder.exists():
        folder.mkdir()
        draw_samples(folder)
    drawn, kept = read(folder / name), read(SAMPLES_FOLDER / name)
    assert drawn.info == kept.info
    assert np.abs(drawn.data.astype(int) - kept.data).max() <= (2 if name.endswith(".jpg") else 0)
