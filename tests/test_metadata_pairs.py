"""What a file says beside its pixels is in the result, or named by the report: every kind, every pair of formats."""

import contextlib
import json
import re
import struct
import zlib

import numpy as np
import pytest
import tifffile

import zarrs
from convcli.errors import ConvError
from convcli.formats import FORMATS, ReadOptions, encode, left_out, probe, read, remarks
from convcli.formats.jpegxr import apart
from convcli.formats.jpegxr import whole as jpegxr
from convcli.formats.kinds import KINDS
from convcli.formats.units import LENGTHS
from convcli.runs import one
from told import (
    COLOUR,
    ENDINGS,
    GREY,
    MAIN,
    MORE,
    NAME,
    PACKET,
    PROFILE,
    SAYING,
    SEEN,
    TARGETS,
    XMP,
    XMP_BLOCK,
    app,
    background_of,
    block,
    bmp,
    camera,
    dots_of,
    exif,
    exif_of,
    gif,
    jpeg,
    photoshop,
    picture,
    png,
    png_of,
    saved,
    small_picture,
    tag,
    tag_of,
    tiff,
    xmp_of,
)

pytestmark = pytest.mark.usefixtures("jxrlib_here")
BY_WINDOWS = (".png", ".tif", ".npy", ".jpg", ".gif", ".nii", ".nrrd", ".mha", ".mrc")
BY_PILLOW = (".png", ".jpg", ".webp", ".avif", ".bmp", ".tif")

SOURCES = [(kind, name) for kind, makers in SAYING.items() for name in makers]


def source_of(folder, kind, name):
    """The file of a format that says a kind of thing."""
    if name == "nifti":
        pytest.importorskip("nibabel", reason="nibabel is not installed (pip install '.[nifti]')")
    path = folder / f"in{ENDINGS.get(name, f'.{name}')}"
    path.write_bytes(SAYING[kind][name]())
    return path


def told(run, path, target, *words, command="conv2d", kernel="identity"):
    """What the report of a run says in warnings and remarks; None where the format holds no such picture."""
    words += ("--dtype", "float32") if target.suffix == ".hdr" else ()
    code, lines = run(command, path, "-k", kernel, *words, "-o", target, "--force", "--json")
    if code and lines[-1].endswith(("[shape]", "[dtype]")):
        return None
    assert 0 == code, lines
    report = json.loads(run.output)
    return " ".join(report["warnings"] + [line for line in report["remarks"] if not line.startswith("in memory")])


@pytest.mark.sweep(2)
@pytest.mark.parametrize(("kind", "name"), SOURCES)
def test_every_kind_is_in_the_result_or_named_as_lost_read_at_once_or_by_windows(
    run, tmp_path, monkeypatch, kind, name
):
    source = source_of(tmp_path, kind, name)
    if kind in SEEN:
        assert SEEN[kind](source), "the file itself does not say it"
    for ending in TARGETS:
        target = tmp_path / f"out{ending}"
        said = told(run, source, target)
        if said is not None and kind in SEEN:
            assert SEEN[kind](target) != (kind in said), (ending, said)
        if ending in BY_WINDOWS:
            with monkeypatch.context() as patch:
                patch.setattr(one, "LONG", 0)
                assert said == told(run, source, tmp_path / f"second{ending}")
            assert said is None or unnamed(target) == unnamed(tmp_path / f"second{ending}")


def unnamed(path):
    """A file without the name that OME-XML makes for every one."""
    return re.sub(rb"urn:uuid:[0-9a-f-]+", b"", path.read_bytes())


def test_every_kind_of_the_table_is_said_by_some_file(tmp_path):
    images = [probe(SAYING[kind][name]()) for kind, name in SOURCES if name != "nifti"]
    more = {"attributes": {"sample": "liver"}, "ome": {"omero": {"channels": [zarrs.CHANNEL]}}}
    images.append(probe(zarrs.image(tmp_path / "in.ome.zarr", [np.zeros((9, 9), np.uint8)], axes="yx", **more)))
    pytest.importorskip("nibabel", reason="nibabel is not installed (pip install '.[nifti]')")
    images.append(probe(SAYING["spacing"]["nifti"]()))
    images.append(probe(SAYING["pictures"]["gif"](), options=ReadOptions(frames=(None, None))))
    header = struct.pack("<i36x8h14xh2x12x8f", 348, 2, 8, 6, 1, 1, 1, 1, 1, 2, *[1] * 8).ljust(148, b"\0") + b"a text"
    (tmp_path / "in.hdr").write_bytes(header.ljust(348, b"\0"))
    (tmp_path / "in.img").write_bytes(bytes(48))
    images.append(probe(tmp_path / "in.hdr"))
    assert [] == [kind.name for kind in KINDS if not any(kind.found(info) for info in images)]


@pytest.mark.parametrize("name", SAYING["resolution"])
@pytest.mark.parametrize(("command", "factor"), [("conv2d", 0.5), ("upsample", 2)])
def test_dots_per_inch_follow_the_pixels_into_every_format(run, tmp_path, name, command, factor):
    source = source_of(tmp_path, "resolution", name)
    for ending in TARGETS:
        target = tmp_path / f"out{ending}"
        said = told(run, source, target, "-s", "2", command=command, kernel="box:3")
        if said is not None:
            assert dots_of(target, 200 * factor, 100 * factor) or "resolution" in said, ending


@pytest.mark.parametrize(
    "steps", [(0.2, 0.4, "um"), (0.02, 0.02, "um"), (30.0, 31.0, "mm"), (3.0, 3.0, "m"), (0.1, 0.1, "nm")]
)
@pytest.mark.parametrize("ending", [".png", ".jpg", ".webp", ".jp2", ".avif", ".jxl", ".jxr", ".tif", ".bmp", ".dib"])
def test_distances_of_every_size_are_held_or_named(run, tmp_path, steps, ending):
    x, y, unit = steps
    metadata = {"PhysicalSizeX": x, "PhysicalSizeXUnit": unit, "PhysicalSizeY": y, "PhysicalSizeYUnit": unit}
    (tmp_path / "in.ome.tif").write_bytes(tiff("ome", metadata=metadata))
    said = told(
        run, tmp_path / "in.ome.tif", tmp_path / f"out{ending}", *(("--format", "tiff") if ending == ".tif" else ())
    )
    found = probe(tmp_path / f"out{ending}").steps
    lengths = [found[axis][0] * LENGTHS[found[axis][1]] for axis in "XY" if axis in found]
    assert ("spacing" in said) != (lengths == pytest.approx([x * LENGTHS[unit], y * LENGTHS[unit]], rel=2e-3))


def test_a_jpeg_of_inks_has_dots_per_inch_though_jfif_is_not_for_inks(run, tmp_path):
    inks = np.dstack([GREY] * 4)
    dots = {"resolution": (200, 100), "resolutionunit": "INCH"}
    (tmp_path / "in.tif").write_bytes(tiff("tiff", image=inks, **dots, photometric="separated"))
    told(run, tmp_path / "in.tif", tmp_path / "out.jpg")
    assert (200, 100, 2) == tuple(exif_of(tmp_path / "out.jpg")[code] for code in (282, 283, 296))


def test_what_is_said_twice_is_changed_twice(run, tmp_path):
    dots = b"8BIM\x03\xed\0\0" + struct.pack(">IIHHIHH", 16, 200 << 16, 1, 1, 100 << 16, 1, 1)
    packet = PACKET % (
        'xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:XResolution="200/1" tiff:YResolution="100/1" '
        'tiff:ResolutionUnit="2" tiff:ImageWidth="8" '
        'xmlns:exif="http://ns.adobe.com/exif/1.0/" exif:PixelYDimension="6"'
    )
    made = exif(_282=200.0, _283=100.0, _296=2)
    made.get_ifd(0x8769)[0xA002] = 8
    segments = (app(1, b"http://ns.adobe.com/xap/1.0/\0" + packet.encode()), photoshop(dots))
    (tmp_path / "in.jpg").write_bytes(jpeg(*segments, exif=made, dpi=(200, 100)))
    told(run, tmp_path / "in.jpg", tmp_path / "out.jpg", "-s", "2", kernel="box:3")
    seen = picture(tmp_path / "out.jpg")
    assert (100, 50) == seen.info["dpi"]
    assert (100, 50, 2) == tuple(seen.getexif()[code] for code in (282, 283, 296))
    assert 4 == seen.getexif().get_ifd(0x8769)[0xA002]
    assert (100.0, 50.0) == tuple(seen.info["photoshop"][0x03ED][key] for key in ("XResolution", "YResolution"))
    for said in (b'XResolution="1000000/10000"', b'ImageWidth="4"', b'PixelYDimension="3"'):
        assert said in seen.info["xmp"]


LONG = b"w" * 70000


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("description", tiff("tiff", tag(270, 2, LONG + b"\0"), tag(315, 2, b"Ada\0"))),
        ("comments", png((b"tEXt", b"Comment\0" + LONG))),
        ("EXIF", png((b"eXIf", exif(_271="Maker", _700=LONG, _274=6).tobytes()[6:]))),
        ("XMP", png((b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP.replace(b"keep", LONG)))),
    ],
)
@pytest.mark.parametrize("ending", [".jpg", ".pgm", ".gif", ".webp", ".tif", ".png"])
def test_what_is_longer_than_a_segment_is_whole_or_named(run, tmp_path, kind, content, ending):
    source, target = tmp_path / f"in.{content[:2].hex()}", tmp_path / f"out{ending}"
    source.write_bytes(content)
    said = told(run, source, target)
    whole = target.read_bytes().count(b"w") >= len(LONG)  # formats cut it into pieces
    assert said is not None
    assert whole != (kind in said) or kind == "EXIF"
    if kind == "EXIF" and ending == ".jpg":
        assert "EXIF" in said
        assert 6 == exif_of(target)[274]


def turned_sources():
    """Pictures that lie on their side, and say so in every way that their format has."""
    packet = (PACKET % 'xmlns:t="http://ns.adobe.com/tiff/1.0/" t:Orientation="6"').encode()
    payload = b"Exif\0\0" + small_picture().replace(
        struct.pack("<HHII", 271, 2, 6, 100), struct.pack("<HHIHH", 274, 3, 1, 6, 0)
    )
    yield ".jpg", jpeg(app(1, b"http://ns.adobe.com/xap/1.0/\0" + packet), exif=payload)
    yield ".jpg", jpeg(app(1, b"http://ns.adobe.com/xap/1.0/\0" + packet))
    yield ".png", png((b"eXIf", payload[6:]), (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + packet))
    yield ".webp", saved("WEBP", exif=payload, xmp=packet)
    yield ".avif", saved("AVIF", exif=payload, xmp=packet, speed=10)
    yield ".gif", gif(XMP_BLOCK.replace(XMP, packet))
    yield ".tif", tiff("tiff", (274, 3, 1, 6, True), tag(700, 1, packet))


@pytest.mark.parametrize(("suffix", "content"), list(turned_sources()))
def test_what_was_turned_upright_is_turned_once_and_nothing_says_otherwise(run, tmp_path, suffix, content):
    (tmp_path / f"in{suffix}").write_bytes(content)
    for ending in TARGETS:
        target = tmp_path / f"out{ending}"
        said = told(run, tmp_path / f"in{suffix}", target, "--auto-orient")
        if said is None or ending not in BY_PILLOW:
            continue
        assert (6, 8) == picture(target).size, ending
        assert 1 == exif_of(target).get(274, 1), ending
        assert b'Orientation="6"' not in xmp_of(target), ending
        assert b"THUM" not in target.read_bytes(), ending
        assert "orientation" not in said, ending


@pytest.mark.parametrize(("suffix", "content"), list(turned_sources()))
def test_what_lies_on_its_side_is_shown_as_before(run, tmp_path, suffix, content):
    (tmp_path / f"in{suffix}").write_bytes(content)
    for ending in TARGETS:
        target = tmp_path / f"out{ending}"
        said = told(run, tmp_path / f"in{suffix}", target)
        if said is not None and ending in BY_PILLOW:
            turn = tag_of(target, 274) if ending == ".tif" else exif_of(target).get(274, 1)
            assert ending == ".tif" or (8, 6) == picture(target).size  # Pillow turns TIFFs itself
            assert ("orientation" in said) != (turn == 6), ending


BACKGROUNDS = {
    "1 bit": png_of(1, 0, b"\0\1"),
    "4 bits": png_of(4, 0, b"\0\x0f"),
    "16 bits": png_of(16, 0, b"\xff\xff"),
    "8 bits of colour": png_of(8, 2, b"\0\xff" * 3),
    "16 bits of colour": png_of(16, 2, b"\xff\xff" * 3),
    "a palette": png_of(8, 3, b"\1", palette=bytes(3) + b"\xff\xff\xff"),
}


@pytest.mark.parametrize("layout", BACKGROUNDS)
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_a_background_is_white_in_any_number_of_bits(run, tmp_path, layout, dtype):
    (tmp_path / "in.png").write_bytes(BACKGROUNDS[layout])
    assert "background" not in told(run, tmp_path / "in.png", tmp_path / "out.png", "-t", dtype)
    assert background_of(tmp_path / "out.png")


@pytest.mark.parametrize(
    ("kind", "ending", "code"), [("resolution", ".pgm", 0), ("orientation", ".pgm", 1), ("XMP", ".png", 0)]
)
def test_only_a_loss_that_matters_fails_under_strict(run, tmp_path, kind, ending, code):
    source = source_of(tmp_path, kind, "jpeg")
    assert code == run("conv2d", source, "-k", "identity", "-o", tmp_path / f"out{ending}", "--strict", "-q")[0]


DAMAGED = {
    "ICC profile": [
        png((b"iCCP", b"icc\0\0" + b"x\x9c???")),
        png((b"iCCP", b"icc\0\0" + zlib.compress(PROFILE[:200]))),
        jpeg(app(2, b"ICC_PROFILE\0\1\2" + PROFILE)),
        jpeg(app(2, b"ICC_PROFILE\0\1\1" + PROFILE[:90])),
        tiff("tiff", tag(34675, 7, PROFILE[:300])),
        gif(block(b"\xff\x0bICCRGBG1012", COLOUR[:99])),
        bmp(PROFILE)[:-50],
        bmp(PROFILE)[14:-50],
    ],
    "EXIF": [
        png((b"eXIf", b"II*\0\xff\xff\xff\xff")),
        jpeg(app(1, b"Exif\0\0MM")),
        jpeg(app(1, b"Exif\0\0" + camera().tobytes()[6:40])),
        jpeg(app(1, b"Exif\0\0")),
    ],
    "XMP": [
        png((b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0<x\xff\xfe/>")),
        jpeg(app(1, b"http://ns.adobe.com/xap/1.0/\0\xff\xd8nothing")),
        tiff("tiff", tag(700, 1, b"<x\0\xffy/>")),
    ],
    "extended XMP": [
        jpeg(app(1, b"http://ns.adobe.com/xap/1.0/\0" + MAIN.encode())),
        jpeg(
            app(1, b"http://ns.adobe.com/xap/1.0/\0" + MAIN.encode()),
            app(1, b"http://ns.adobe.com/xmp/extension/\0" + NAME + struct.pack(">II", 9999, 0) + MORE),
        ),
    ],
    "Photoshop data": [
        jpeg(photoshop(b"8BIM\4\4\0\0\xff\xff\xff\xff???")),
        tiff("tiff", tag(34377, 1, b"what is this?")),
    ],
}


@pytest.mark.parametrize(("name", "content"), [(name, one) for name, files in DAMAGED.items() for one in files])
def test_what_is_damaged_is_left_out_and_named(run, tmp_path, name, content):
    source = tmp_path / f"in.{content[:2].hex()}"
    source.write_bytes(content)
    for ending in (".png", ".jpg", ".webp", ".tif", ".gif"):
        said = told(run, source, tmp_path / f"out{ending}")
        assert said is None or f"its {name} is damaged" in said or "chunks that break PNG's rules" in said
        assert said is None or picture(tmp_path / f"out{ending}").getexif() is not None


@pytest.mark.sweep(2)
@pytest.mark.parametrize(("kind", "name"), SOURCES)
def test_damage_to_what_is_said_never_ends_in_a_traceback(tmp_path, monkeypatch, kind, name):
    content, rng = source_of(tmp_path, kind, name).read_bytes(), np.random.default_rng(len(kind))
    monkeypatch.setattr(jpegxr, "decoded", apart.decoded)  # which may crash
    for _ in range(1 if name == "jxr" else 6):
        changed = bytearray(content)
        for place in rng.integers(16, len(content), 3):
            changed[place] = rng.integers(256)
        try:
            image = read(bytes(changed), options=ReadOptions(lenient=True, auto_orient=True, max_pixels=10**6))
        except ConvError:
            continue
        for entry in FORMATS.values():
            with contextlib.suppress(ConvError):
                remarks(entry, image.info)
                left_out(entry, image.info)
                encode(image, entry)


def test_names_of_further_pages_are_told_as_lost(run, tmp_path):
    with tifffile.TiffWriter(tmp_path / "in.tif") as file:
        for number in range(3):
            name = [tag(285, 2, b"second\0")] if number == 1 else []
            file.write(GREY, photometric="minisblack", metadata=None, extratags=name, software=False)
    assert "the names of all pages but the first" in told(run, tmp_path / "in.tif", tmp_path / "out.tif")
