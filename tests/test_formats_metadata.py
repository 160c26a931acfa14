"""What a file says beside its pixels comes back from the same format, and crosses to others where they can say it."""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import replace
from fractions import Fraction

import numpy as np
import PIL.Image
import PIL.ImageCms
import PIL.TiffImagePlugin
import pytest
import tifffile

from convcli.formats import FORMATS, WriteOptions, probe, read, remarks, write
from convcli.formats.tiff.exif import ORIENTATION, number, orientation, with_tags
from convcli.image import Image, ImageInfo
from faults import GREY, RGB, STACK, chunk, png, put, tiff

PROFILE = PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("sRGB")).tobytes()
ISO, EXPOSURE, LATITUDE = 0x8827, 0x829A, 2


def camera_exif(order="II", turn=6):
    """EXIF with a maker, an orientation, an exposure and a place, as Pillow packs it."""
    exif = PIL.Image.Exif()
    exif.endian = {"II": "<", "MM": ">"}[order]
    exif[0x0112] = turn
    exif[0x010F] = "Maker"
    exif.get_ifd(0x8769)[ISO] = 400
    exif.get_ifd(0x8769)[EXPOSURE] = PIL.TiffImagePlugin.IFDRational(1, 125)
    exif.get_ifd(0x8825)[LATITUDE] = (48.0, 51.0, 24.5)
    return exif.tobytes().removeprefix(b"Exif\0\0")


def described(exif):
    """The fields that the tests put into EXIF, as Pillow reads them."""
    return (
        exif[0x010F],
        exif.get_ifd(0x8769)[ISO],
        float(exif.get_ifd(0x8769)[EXPOSURE]),
        tuple(float(part) for part in exif.get_ifd(0x8825)[LATITUDE]),
    )


EXPECTED = ("Maker", 400, 0.008, (48.0, 51.0, 24.5))


def again(image, folder, name="again.tif", **options):
    """The image after it was written and read."""
    path = folder / name
    write(path, image, force=True, **options)
    return read(path)


# PNG


def test_png_chunks_that_still_hold_are_kept_in_their_places(tmp_path):
    extra = b"".join(
        [
            chunk(b"gAMA", struct.pack(">I", 45455)),
            chunk(b"pHYs", struct.pack(">IIB", 11811, 11811, 1)),
            chunk(b"tEXt", b"Author\0Ada"),
            chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"text")),
            chunk(b"tIME", b"\x07\xea\1\1\0\0\0"),
            chunk(b"abcD", b"unsafe to copy"),
            chunk(b"abcd", b"safe to copy"),
            chunk(b"bKGD", bytes(6)),
            chunk(b"sBIT", b"\5\6\5"),
            chunk(b"hIST", bytes(2)),
        ]
    )
    image = read(put(tmp_path, "a.png", png(6, 5, extra=extra)))
    kinds = [kind for kind, _, _ in again(image, tmp_path, "b.png").info.metadata["png"]["chunks"]]

    assert [b"gAMA", b"tEXt", b"tIME", b"abcd", b"sBIT"] == kinds
    assert ("text",) == image.info.metadata["comments"]
    assert (0.0, 0.0, 0.0) == image.info.metadata["background"]
    assert ("PNG chunk abcD",) == image.info.metadata.pop("dropped")
    assert (118.11, 118.11, "cm") == image.info.metadata["resolution"]
    assert image.info.metadata == again(image, tmp_path, "b.png").info.metadata
    deeper = Image(replace(image.info, dtype="uint16"), image.data.astype(np.uint16))
    kinds = [kind for kind, _, _ in again(deeper, tmp_path, "c.png").info.metadata["png"]["chunks"]]
    assert [b"gAMA", b"tEXt", b"tIME", b"abcd"] == kinds


@pytest.mark.parametrize("text", ["plain", "Größe 5 µm", "大きさ"])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_descriptions_of_any_script_survive(text, suffix, tmp_path):
    image = Image(ImageInfo(GREY.shape, "uint8", "YX", metadata={"description": text}), GREY)
    assert text == again(image, tmp_path, f"a{suffix}").info.metadata["description"]


def test_descriptions_that_are_no_text_stay_the_bytes_they_are(tmp_path):
    path = put(tmp_path, "a.tif", tiff(GREY, description=b"\xff\xfe caf\xe9"))
    image = read(path)
    assert image.info.metadata["description"] == b"\xff\xfe caf\xe9"
    assert image.info.metadata["description"] == again(image, tmp_path).info.metadata["description"]


# What formats share


@pytest.mark.parametrize("first", [".png", ".jpg", ".webp", ".tif"])
@pytest.mark.parametrize("second", [".png", ".jpg", ".webp", ".tif"])
def test_profile_exif_and_resolution_cross_between_formats(first, second, tmp_path):
    source = PIL.Image.fromarray(RGB)
    exif = PIL.Image.Exif()
    exif.load(b"Exif\0\0" + camera_exif())
    resolution = {} if first == ".webp" else {"dpi": (200, 100)}
    source.save(tmp_path / f"a{first}", icc_profile=PROFILE, exif=exif, **resolution)

    image = read(tmp_path / f"a{first}")
    path = tmp_path / f"b{second}"
    write(path, image)

    with PIL.Image.open(path) as seen:
        assert PROFILE == seen.info["icc_profile"]
        assert EXPECTED == described(seen.getexif())
        assert 6 == (seen.getexif().get(0x0112) if second != ".tif" else probe(path).metadata["orientation"])
        if ".webp" not in (first, second):
            assert (200, 100) == tuple(round(float(value), 1) for value in seen.info["dpi"])
    assert probe(path).metadata["orientation"] == 6


@pytest.mark.parametrize("order", ["II", "MM"])
def test_orientation_is_read_and_changed_in_place(order):
    payload = camera_exif(order)
    changed = with_tags(payload, {ORIENTATION: number(3)})
    assert (6, 3) == (orientation(payload), orientation(changed))
    assert 1 == sum(a != b for a, b in zip(payload, changed, strict=True))


@pytest.mark.parametrize("damaged", [b"", b"II", b"II*\0\xff\xff\xff\xff", b"XX*\0\x08\0\0\0", camera_exif()[:12]])
def test_damaged_exif_has_no_orientation_and_fails_nothing(damaged, tmp_path):
    image = Image(ImageInfo(GREY.shape, "uint8", "YX", metadata={"exif": damaged}), GREY)
    assert orientation(damaged) is None
    for name in ("a.png", "a.jpg", "a.tif"):
        assert again(image, tmp_path, name).data.shape == GREY.shape


def test_a_colour_profile_is_not_put_on_a_grey_picture(tmp_path):
    image = Image(ImageInfo(GREY.shape, "uint8", "YX", metadata={"icc": PROFILE}), GREY)
    for name in ("a.png", "a.jpg", "a.tif"):
        assert "icc" not in again(image, tmp_path, name).info.metadata


def test_jpeg_profiles_in_many_parts_are_joined(tmp_path):
    long = PROFILE[:16] + b"RGB " + PROFILE[20:] + bytes(range(256)) * 600
    image = Image(ImageInfo(RGB.shape, "uint8", "YXS", samples="rgb", metadata={"icc": long}), RGB)
    assert long == again(image, tmp_path, "a.jpg").info.metadata["icc"]


def test_jpeg_comments_and_xmp_are_kept(tmp_path):
    stream = io.BytesIO()
    PIL.Image.fromarray(RGB).save(stream, "JPEG", comment=b"made by hand", xmp=b"<x:xmpmeta/>", subsampling="4:2:0")
    image = read(put(tmp_path, "a.jpg", stream.getvalue()))
    write(tmp_path / "b.jpg", image)
    with PIL.Image.open(tmp_path / "b.jpg") as seen:
        assert (b"made by hand", b"<x:xmpmeta/>") == (seen.info["comment"], seen.info["xmp"])
    assert image.info.metadata == probe(tmp_path / "b.jpg").metadata


def test_ink_means_the_same_to_pillow(tmp_path):
    ink = np.dstack([RGB, GREY])
    image = Image(ImageInfo(ink.shape, "uint8", "YXS", samples="cmyk"), ink)
    write(tmp_path / "a.jpg", image, options=WriteOptions(quality=100))
    with PIL.Image.open(tmp_path / "a.jpg") as seen:
        assert np.abs(np.asarray(seen).astype(int) - ink).mean() < 2
    assert np.abs(read(tmp_path / "a.jpg").data.astype(int) - ink).mean() < 2


# TIFF


def test_geotiff_and_other_tags_are_copied(tmp_path):
    tags = [
        (33550, "d", 3, (0.5, 0.5, 0.0), True),
        (33922, "d", 6, (0.0, 0.0, 0.0, 440720.0, 3751320.0, 0.0), True),
        (34735, "H", 8, (1, 1, 0, 1, 1024, 0, 1, 1), True),
        (34737, "s", 0, "WGS 84|", True),
        (42113, "s", 0, "0", True),
        (315, "s", 0, "Ada", True),
    ]
    for byteorder in "<>":
        path = put(tmp_path, "a.tif", tiff(GREY, extratags=tags, byteorder=byteorder, resolution=(300, 150)))
        write(tmp_path / "b.tif", read(path), force=True)
        with tifffile.TiffFile(path) as before, tifffile.TiffFile(tmp_path / "b.tif") as after:
            for code, *_ in [*tags, (282,), (283,), (296,)]:
                assert before.pages[0].tags[code].value == after.pages[0].tags[code].value


@pytest.mark.parametrize(
    "options",
    [
        {"photometric": "miniswhite"},
        {"photometric": "rgb", "planarconfig": "separate"},
        {"photometric": "rgb", "extrasamples": ["assocalpha"]},
        {"photometric": "rgb", "extrasamples": ["unassalpha"]},
        {"photometric": "minisblack", "planarconfig": "contig"},
        {"photometric": "separated"},
    ],
)
@pytest.mark.parametrize("dtype", ["uint8", "float16", "uint32", "int8"])
def test_tiff_pixels_and_their_meaning_come_back_exactly(options, dtype, tmp_path):
    shape = {"miniswhite": (9, 8), "separated": (9, 8, 4), "minisblack": (9, 8, 7)}.get(
        options["photometric"], (9, 8, 3)
    )
    shape = (3, 9, 8) if "planarconfig" in options and options["photometric"] == "rgb" else shape
    shape = (9, 8, 4) if "extrasamples" in options else shape
    data = np.random.default_rng(3).integers(0, 2**32, shape, np.uint32)
    data = (
        data if dtype == "uint32" else data.astype("uint8").view("int8" if dtype == "int8" else "uint8").astype(dtype)
    )
    path = put(tmp_path, "a.tif", tiff(data, **options))

    write(tmp_path / "b.tif", read(path))

    with tifffile.TiffFile(path) as before, tifffile.TiffFile(tmp_path / "b.tif") as after:
        assert before.asarray().dtype == after.asarray().dtype
        assert np.array_equal(before.asarray(), after.asarray())
        for name in ("photometric", "planarconfig", "extrasamples", "bitspersample", "sampleformat"):
            assert getattr(before.pages[0], name) == getattr(after.pages[0], name), name


def test_white_as_zero_is_turned_where_black_is_zero(tmp_path):
    path = put(tmp_path, "a.tif", tiff(GREY, photometric="miniswhite"))
    assert np.array_equal(GREY, read(path).data)
    assert np.array_equal(255 - GREY, again(read(path), tmp_path, "a.png").data)


def test_one_bit_is_read_as_black_and_white(tmp_path):
    image = read(put(tmp_path, "a.tif", tiff(GREY > 99)))
    assert np.array_equal(np.where(GREY > 99, 255, 0), image.data)
    assert ("uint8", ("1-bit samples are scaled to 8 bits, 0 to 255",)) == (image.info.dtype, image.info.notes)


@pytest.mark.parametrize(("scale", "dtype"), [(257, "uint8"), (256, "uint8"), (255, "uint16")])
def test_palettes_are_expanded_to_the_depth_that_they_need(scale, dtype, tmp_path):
    colours = np.stack([np.arange(256), np.arange(256)[::-1], np.full(256, 9)]).astype(np.uint16) * np.uint16(scale)
    image = read(put(tmp_path, "a.tif", tiff(GREY, photometric="palette", colormap=colours)))
    expected = colours.T[GREY] // (scale if dtype == "uint8" else 1)
    assert (dtype, "YXS", "rgb") == (image.info.dtype, image.info.axes, image.info.samples)
    assert np.array_equal(expected, image.data)


def test_a_compression_that_loses_detail_is_not_repeated(tmp_path):
    path = put(tmp_path, "a.tif", tiff(RGB, photometric="rgb", compression="jpeg"))
    image = read(path)
    assert remarks(FORMATS["tiff"], image.info) == ("the compression of the source is not kept: deflate is used",)
    write(tmp_path / "b.tif", image)
    with tifffile.TiffFile(tmp_path / "b.tif") as after:
        assert (8, "RGB") == (after.pages[0].compression, after.pages[0].photometric.name)
        assert np.array_equal(image.data, after.asarray())


# ImageJ


def hyperstack():
    data = np.arange(2 * 3 * 4 * 9 * 7).reshape(2, 3, 4, 9, 7).astype(np.uint16)
    stream = io.BytesIO()
    tifffile.imwrite(
        stream,
        data,
        imagej=True,
        resolution=(5, 4),
        metadata={
            "axes": "TZCYX",
            "spacing": 2.0,
            "unit": "\\u00B5m",
            "finterval": 0.5,
            "mode": "composite",
            "min": 1.0,
            "max": 300.0,
            "Info": "from the bench, µm",
            "Labels": [f"plane {number}" for number in range(24)],
            "Ranges": (0.0, 10.0, 0.0, 20.0, 0.0, 30.0, 0.0, 40.0),
            "LUTs": [np.full((3, 256), level, np.uint8) for level in range(4)],
            "Overlays": [b"one", b"two"],
        },
    )
    return data, stream.getvalue()


def test_all_of_imagej_is_kept(tmp_path):
    data, content = hyperstack()
    path = put(tmp_path, "a.tif", content)
    write(tmp_path / "b.tif", read(path))

    image = read(tmp_path / "b.tif")
    assert {"Z": (2.0, "um"), "Y": (0.25, "um"), "X": (0.2, "um"), "T": (0.5, "s")} == image.info.spacing
    assert read(path).info == image.info
    with tifffile.TiffFile(path) as before, tifffile.TiffFile(tmp_path / "b.tif") as after:
        first, second = before.imagej_metadata, after.imagej_metadata
        assert first.keys() == second.keys()
        assert all(np.array_equal(first[key], second[key]) for key in first)
        assert np.array_equal(data, after.asarray())
        assert before.series[0].axes == after.series[0].axes == "TZCYX"
        assert before.pages[0].resolution == after.pages[0].resolution


def test_a_changed_spacing_is_written(tmp_path):
    _, content = hyperstack()
    image = read(put(tmp_path, "a.tif", content))
    steps = {"Z": (4.0, "um"), "Y": (0.5, "um"), "X": (0.4, "um"), "T": (0.5, "s")}
    changed = again(Image(replace(image.info, spacing=steps), image.data), tmp_path)
    assert steps == {axis: (pytest.approx(step), unit) for axis, (step, unit) in changed.info.spacing.items()}


def test_labels_of_planes_that_are_gone_are_dropped(tmp_path):
    _, content = hyperstack()
    image = read(put(tmp_path, "a.tif", content))
    fewer = again(Image(replace(image.info, shape=(1, 3, 4, 9, 7)), image.data[:1]), tmp_path)
    assert "Labels" not in fewer.info.metadata["imagej"]
    assert fewer.info.metadata["imagej"]["Info"] == "from the bench, µm"


def test_imagej_intensities_are_not_replaced_by_their_colours(tmp_path):
    colours = np.arange(768, dtype=np.uint16).reshape(3, 256) * np.uint16(85)
    path = put(
        tmp_path, "a.tif", tiff(GREY, imagej=True, metadata={"axes": "YX"}, photometric="palette", colormap=colours)
    )
    image = read(path)
    assert np.array_equal(GREY, image.data)
    write(tmp_path / "b.tif", image)
    with tifffile.TiffFile(tmp_path / "b.tif") as after:
        assert np.array_equal(colours, after.pages[0].colormap)
        assert np.array_equal(GREY, after.asarray())


@pytest.mark.parametrize("dtype", ["int32", "float64", "int16"])
def test_what_imagej_cannot_hold_becomes_ome_and_is_said(dtype, tmp_path):
    _, content = hyperstack()
    image = read(put(tmp_path, "a.tif", content))
    other = Image(replace(image.info, dtype=dtype), image.data.astype(dtype))

    first, second = remarks(FORMATS["tiff"], other.info)
    assert f"ImageJ holds no {dtype}: written as OME-TIFF" == first
    assert all(word in second for word in ("labels", "colours", "overlays"))
    found = again(other, tmp_path).info
    assert ("ome", "TZCYX", dtype) == (found.format, found.axes, found.dtype)
    assert image.info.spacing == found.spacing


# OME


def microscope_xml(data):
    """An OME-XML as a microscope might write it: a prefix, another schema's annotations, channels with names."""
    with tifffile.TiffFile(io.BytesIO(tiff(data, ome=True, metadata={"axes": "ZYX"}))) as file:
        xml = file.ome_metadata
    xml = xml.replace("<Pixels ", '<Pixels SignificantBits="12" PhysicalSizeZ="1.5" PhysicalSizeZUnit="µm" ', 1)
    xml = xml.replace('Name="Image0"', 'Name="Zelle &amp; Kern &lt;1&gt;"')
    planes = "".join(f'<Plane TheZ="{z}" TheC="0" TheT="0" DeltaT="{z}.5"/>' for z in range(len(data)))
    notes = '<StructuredAnnotations><x:Note xmlns:x="urn:lab">grün</x:Note></StructuredAnnotations>'
    return xml.replace("</Pixels>", f"{planes}</Pixels>").replace("</OME>", f"{notes}</OME>")


def test_ome_xml_is_kept_but_for_what_changed(tmp_path):
    xml = microscope_xml(STACK)
    image = read(put(tmp_path, "a.ome.tif", tiff(STACK, description=xml.encode())))
    assert {"Z": (1.5, "um")} == image.info.spacing

    write(tmp_path / "b.tif", Image(replace(image.info, dtype="float32"), image.data.astype(np.float32)))

    with tifffile.TiffFile(tmp_path / "b.tif") as after:
        assert after.is_ome
        assert ("ZYX", np.float32) == (after.series[0].axes, after.asarray().dtype)
        text = after.ome_metadata
    for part in ("Zelle &amp; Kern &lt;1&gt;", "grün", 'DeltaT="11.5"', 'PhysicalSizeZ="1.5"', 'Type="float"'):
        assert part in text
    for part in ("SignificantBits", "UUID"):
        assert part not in text
    assert {"Z": (1.5, "um")} == read(tmp_path / "b.tif").info.spacing


def test_ome_xml_follows_a_changed_size_and_spacing(tmp_path):
    image = read(put(tmp_path, "a.ome.tif", tiff(STACK, description=microscope_xml(STACK).encode())))
    half = image.data[::2, ::2, ::2]
    info = replace(image.info, shape=half.shape, spacing={"Z": (3.0, "um"), "X": (0.4, "um")})

    found = again(Image(info, half), tmp_path)

    assert (half.shape, info.spacing) == (found.info.shape, found.info.spacing)
    assert np.array_equal(half, found.data)
    assert "DeltaT" not in found.info.metadata["ome"]  # planes that it told of are gone
    assert "grün" in found.info.metadata["ome"]


def test_ome_of_other_channels_is_described_anew(tmp_path):
    image = read(put(tmp_path, "a.ome.tif", tiff(STACK, description=microscope_xml(STACK).encode())))
    features = np.stack([image.data, image.data])
    found = again(Image(replace(image.info, shape=features.shape, axes="CZYX"), features), tmp_path)
    assert ("CZYX", image.info.spacing) == (found.info.axes, found.info.spacing)


def test_a_renamed_ome_file_is_still_whole(tmp_path):
    xml = microscope_xml(STACK).replace(' UUID="', ' OldUUID="', 1)
    mark = '<TiffData IFD="0" PlaneCount="12"><UUID FileName="before.ome.tif">urn:uuid:1</UUID></TiffData>'
    start, end = xml.index("<TiffData"), xml.index("/>", xml.index("<TiffData")) + 2
    path = put(tmp_path, "after.ome.tif", tiff(STACK, description=(xml[:start] + mark + xml[end:]).encode()))
    assert ("ome", STACK.shape) == ((info := probe(path)).format, info.shape)


def test_steps_of_resolution_are_exact():
    for value in (300.0, 118.11, 72.009, 1 / 0.325):
        stream = io.BytesIO()
        image = Image(ImageInfo(GREY.shape, "uint8", "YX", metadata={"resolution": (value, value, "cm")}), GREY)
        FORMATS["tiff"].load().write(stream, image, WriteOptions(), "tiff")
        found = read(stream.getvalue()).info.metadata["resolution"]
        assert found[0] == pytest.approx(value, rel=1e-9)
        assert Fraction(found[0]).limit_denominator(10**6) == Fraction(value).limit_denominator(10**6)


@pytest.mark.parametrize("unit", ["um", "nm", "mm", "cm"])
@pytest.mark.parametrize("resolution", [(1, 1), None], ids=["1 pixel per unit", "nothing"])
def test_imagej_pixels_of_exactly_one_unit_have_their_size(tmp_path, unit, resolution):
    more = {} if resolution is None else {"resolution": resolution}
    metadata = {"axes": "ZYX", "unit": unit, "spacing": 1.0}
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((2, 4, 5), "u2"), imagej=True, metadata=metadata, **more)
    assert dict.fromkeys("XYZ", (1.0, unit)) == dict(probe(tmp_path / "a.tif").spacing)


@pytest.mark.parametrize("unit", ["inch", "cm"])
def test_one_pixel_per_unit_is_a_resolution(tmp_path, unit):
    code = {"inch": 2, "cm": 3}[unit]
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((4, 5), "u1"), resolution=(1, 1), resolutionunit=code, metadata=None)
    assert {"X": (1.0, unit), "Y": (1.0, unit)} == probe(tmp_path / "a.tif").steps


def test_ome_pixels_of_exactly_one_unit_have_their_size(tmp_path):
    metadata = {"axes": "ZYX"} | {f"PhysicalSize{axis}": 1.0 for axis in "XYZ"}
    metadata |= {f"PhysicalSize{axis}Unit": "\u00b5m" for axis in "XYZ"}
    tifffile.imwrite(tmp_path / "a.ome.tif", np.zeros((2, 4, 5), "u2"), ome=True, metadata=metadata)
    assert dict.fromkeys("XYZ", (1.0, "um")) == dict(probe(tmp_path / "a.ome.tif").spacing)
