"""What exiftool puts into files is in results, by exiftool, or named by the report: every pair of formats."""

import json
import re
import shutil
import subprocess

import PIL.Image
import PIL.ImageCms
import pytest

from told import COLOURED

EXIFTOOL = shutil.which("exiftool")
pytestmark = [
    pytest.mark.skipif(EXIFTOOL is None, reason="needs exiftool (Debian's libimage-exiftool-perl)"),
    pytest.mark.usefixtures("jxrlib_here"),
]
PROFILE = PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("sRGB")).tobytes()
BY_EXIF = {
    "EXIF:Make": "Maker",
    "EXIF:Artist": "Ada",
    "EXIF:Copyright": "(c) Ada",
    "EXIF:DateTimeOriginal": "2024:01:02 03:04:05",
    "EXIF:ExposureTime": "0.004",
    "EXIF:LensModel": "a lens",
    "EXIF:UserComment": "of a user",
    "EXIF:GPSLatitude": "48.5",
    "EXIF:GPSLatitudeRef": "S",
    "EXIF:GPSAltitude": "35",
    "EXIF:XPTitle": "by Windows",
}
WRITTEN = {
    **dict.fromkeys(BY_EXIF, "EXIF"),
    "EXIF:ImageDescription": "description",
    "EXIF:Orientation": "orientation|EXIF",  # in AVIF and JPEG XL the latter does not turn a picture
    "XMP-dc:Title": "XMP",
    "XMP-xmp:Rating": "XMP",
    "IPTC:ObjectName": "IPTC",
    "IPTC:Keywords": "IPTC",
    "Photoshop:URL": "Photoshop's data",
    "Comment": "comments",
}
"""What is put into a file -> what a report calls it where it is lost."""
VALUES = {
    **BY_EXIF,
    "EXIF:ImageDescription": "to be described",
    "EXIF:Orientation": "6",
    "XMP-dc:Title": "a title",
    "XMP-xmp:Rating": "4",
    "IPTC:ObjectName": "a name",
    "IPTC:Keywords": "a word",
    "Photoshop:URL": "http://a.org",
    "Comment": "a comment",
}
ELSEWHERE = {
    "ImageDescription": ("Description", "Comment"),
    "Comment": ("ImageDescription",),
    "Orientation": ("Transformation",),
}
SOURCES = ("jpg", "png", "tif", "webp", "gif", "avif", "jp2", "jxl")
TARGETS = (*SOURCES, "jxr")


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """A folder of a picture in each format with all that exiftool can put into it."""
    folder = tmp_path_factory.mktemp("sources")
    picture = PIL.Image.fromarray(COLOURED)
    for ending in SOURCES:
        options = {"icc_profile": PROFILE, "dpi": (200, 100)} if ending in ("jpg", "png", "tif") else {}
        if ending == "jxl":
            imagecodecs = pytest.importorskip("imagecodecs")
            (folder / "in.jxl").write_bytes(imagecodecs.jpegxl_encode(COLOURED, lossless=True))
        else:
            picture.save(folder / f"in.{ending}", **options)
    tags = [f"-{name}#={value}" for name, value in VALUES.items()]
    names = [f"in.{ending}" for ending in SOURCES]
    subprocess.run([EXIFTOOL, "-q", "-m", "-overwrite_original", *tags, *names], cwd=folder, check=False)
    return folder


def found_in(*paths):
    """The values of all tags of files, by the names that they have in any group."""
    call = [EXIFTOOL, "-json", "-a", "-G1:4", "-n", *map(str, paths)]
    done = subprocess.run(call, capture_output=True, check=False)
    tags = []
    for held in json.loads(done.stdout):
        values = {}
        for name, value in held.items():
            values.setdefault(name.rpartition(":")[2], []).extend(
                map(str, value if isinstance(value, list) else [value])
            )
        tags.append(values)
    return tags


def holds(tags, name, value):
    """Whether a value is among those of a tag, or of one that stands for it; a part of a text that was joined."""
    values = [each for other in (name, *ELSEWHERE.get(name, ())) for each in tags.get(other, ())]
    return any(value == each or value in each.split("\n") for each in values) or (
        "Transformation" in tags and value == "6" and values[-1] == "4"
    )


@pytest.mark.parametrize("source", SOURCES)
def test_what_exiftool_put_in_is_there_or_named(run, sources, tmp_path, source):
    said = {}
    for ending in TARGETS:
        path = tmp_path / f"out.{ending}"
        code, lines = run("conv2d", sources / f"in.{source}", "-k", "identity", "-o", path, "--json")
        assert 0 == code, lines
        report = json.loads(run.output)
        said[path] = " ".join(report["warnings"] + report["remarks"])
    before, *after = found_in(sources / f"in.{source}", *said)
    unsaid = {
        (path.suffix, name)
        for (path, words), tags in zip(said.items(), after, strict=True)
        for name, word in WRITTEN.items()
        if holds(before, name.rpartition(":")[2], VALUES[name])
        and not holds(tags, name.rpartition(":")[2], VALUES[name])
        and not re.search(word, words)
    }
    assert set() == unsaid
    assert all("Warning" not in tags for tags in after if "Warning" not in before), [
        tags.get("Warning") for tags in after
    ]


def test_in_place_all_that_exiftool_reads_stays(run, sources, tmp_path):
    paths = [tmp_path / f"in.{ending}" for ending in SOURCES]
    for path in paths:
        shutil.copy(sources / path.name, path)
        code, lines = run("conv2d", path, "-k", "identity", "--in-place", "-qq")
        assert 0 == code, lines
    befores, afters = (found_in(*(folder / path.name for path in paths)) for folder in (sources, tmp_path))
    names = [name.rpartition(":")[2] for name in VALUES]
    for path, before, after in zip(paths, befores, afters, strict=True):
        assert [] == [name for name in names if before.get(name) != after.get(name)], path.name
