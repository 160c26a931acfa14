"""Files damaged where their structure is, through the whole of a command: read, filtered, written, read again.

    python tests/damages.py --cases 20000 --seed 1

makes the same damaged files every time, filters each, and prints a line for every one that ends in a traceback, takes
more than a second or 400 MB, is read without a word though a peer refuses it, or becomes a file that cannot be opened.
`--only NUMBER` does one again, and `--keep FOLDER` keeps the files that a line tells of. Peers: Pillow (its libpng,
libjpeg, libtiff, libwebp; warnings are errors), djpeg -strict where it is installed, NumPy, nibabel.
"""

from __future__ import annotations

import argparse
import faulthandler
import gzip
import io
import json
import re
import shutil
import subprocess
import sys
import time
import warnings
import zipfile
import zlib
from contextlib import redirect_stderr, redirect_stdout
from functools import cache
from importlib.util import find_spec
from math import prod
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import imagecodecs
import numpy as np
import PIL.Image

from convcli import cli
from convcli.errors import ConvError
from convcli.formats import read
from convcli.formats.jpegxr import apart
from damaging import damaged
from damaging_files import SUFFIXES, sound_files
from mutations import LONGEST, bound_memory

DJPEG = shutil.which("djpeg")
NIBABEL = find_spec("nibabel") is not None
SAMPLE = 1e-6  # seconds that a sample of the result may take besides: a damaged file may declare many soundly
FILTERS = (
    "conv2d -k identity",
    "conv2d -k box:3 -s 2",
    "conv2d -k sharpen --auto-orient",
    "upsample -k bilinear -s 2",
    "upsample -k bilinear --scale 3/2",
    "dilate -k box:3 --rate 2",
)
TARGETS = (
    "same",
    "same",
    "tif",
    "png",
    "jpg",
    "webp",
    "npy",
    "gif",
    "bmp",
    "ppm",
    "nii",
    "ome.tif",
    "npz",
    "qoi",
    "tga",
    "dib",
    "ico",
    "jxl",
    "nrrd",
    "mha",
    "mrc",
    "jp2",
    "avif",
)
OPENED_BY_PILLOW = ("png", "jpg", "webp", "gif", "bmp", "ppm", "qoi", "tga", "dib", "ico")
PIXELS = "256|257|258|259|262|273|277|278|279|322|323|324|325"
"""Tags without which there are no pixels."""
ACCEPTED = (
    ("tiff", r"cannot identify image file", "kinds of TIFF that Pillow does not know"),
    ("tiff", r"Metadata Warning, tag \d+ had too many entries", "libtiff takes the first, or refuses them with us"),
    ("tiff", r"bytes pattern|bytes-like object|cannot be interpreted|decoder error -9", "Pillow's own errors"),
    ("tiff", rf"Skipping tag (?!({PIXELS})\b)", "the same"),
    ("pnm", r"Channel value too large", "Pillow joins the two numbers that a comment parts"),
    ("pnm", r"base 10: b'\d+\\x", "Pillow joins the number and the samples that a comment parts"),
    ("csv", r"string 'NA'", "how R writes NaN"),
    ("hdr", r"FORMAT_ERROR", "no line of FORMAT stands in the header, as Radiance's own programs allow"),
    ("minc", r"into shape \(\)|negative seek", "SciPy reads the number of a dimension, too, which nobody needs"),
    ("minc", r"multiple of element size", "the size that the header repeats, which readers are to ignore"),
    ("npy", r"created on Python 2", "an old way to write the header, which is read all the same"),
)
"""Kind, what the peer says, and why it is no reason to refuse the file."""


class Verdict(NamedTuple):
    """What a command made of a file: its exit code, what it printed, whether it said that something is amiss, and of
    how many samples the result is.
    """

    code: int
    errors: str
    told: bool
    samples: int


def run(words):
    """A command in this process."""
    out, errors = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(errors):
        code = cli.run([str(word) for word in words])
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    shapes = [line["shape"]["output"] or [] for line in lines if line.get("shape")]
    return Verdict(code, errors.getvalue(), any(line.get("warnings") for line in lines), sum(map(prod, shapes)))


def refusal(kind, content):
    """Why a peer refuses a file; nothing where all read it."""
    for peer in PEERS[kind]:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                peer(content)
            except MemoryError:
                return ""
            except Exception as error:  # noqa: BLE001 -- whatever a peer raises is a refusal
                return f"{peer.__name__}: {' '.join(str(error).split()) or type(error).__name__}"
    return ""


def pillow(content):
    """Pillow reads the first picture."""
    with PIL.Image.open(io.BytesIO(content)) as picture:
        picture.load()


def djpeg(content):
    """libjpeg-turbo's own program reads it, warnings as errors."""
    if DJPEG is None or b"\xff\xda\x0e\x04" in content or b"\xff\xda\x00\x0e\x04" in content:  # it does not write inks
        return
    done = subprocess.run([DJPEG, "-strict", "-outfile", "/dev/null"], input=content, capture_output=True, check=False)
    if done.returncode:
        raise ValueError(done.stderr.decode("latin-1"))


def numpy(content):
    """NumPy reads the array."""
    if content[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            content = archive.read(archive.infolist()[0])
    np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)


def nibabel(content):
    """nibabel reads the volume."""
    if NIBABEL:
        import nibabel as library

        plain = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
        kind = library.Nifti2Image if int.from_bytes(plain[:4], "little") == 540 else library.Nifti1Image
        np.asarray(kind.from_bytes(plain).dataobj)


def loadtxt(content):
    """NumPy reads the rows."""
    text = content.decode("utf-8-sig")
    first = next(line for line in text.splitlines() if line.strip() and line[0] != "#")
    np.loadtxt(io.StringIO(text), delimiter=next((each for each in ",;\t" if each in first), None))


def libavif(content):
    """libavif reads it."""
    imagecodecs.avif_decode(content)


def openjpeg(content):
    """OpenJPEG reads it."""
    imagecodecs.jpeg2k_decode(content)


def libjxl(content):
    """libjxl reads it."""
    imagecodecs.jpegxl_decode(content)


def jxrlib(content):
    """jxrlib reads it, in a process of its own, where it may crash."""
    with apart.process("decode", 2**24, data=content) as answer:
        if answer.readline() != apart.DONE:
            raise ValueError("jxrlib does not")


def rgbe(content):
    """imagecodecs reads it, the header too."""
    imagecodecs.rgbe_decode(content)


def pydicom(content):
    """pydicom reads the pixels, whatever it warns of."""
    if find_spec("pydicom") is not None:
        import pydicom as library

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            np.asarray(library.dcmread(io.BytesIO(content)).pixel_array)


def minc(content):
    """SciPy, or h5py, reads the numbers of the image."""
    if content[:2] == b"\x1f\x8b":
        content = gzip.decompress(content)
    if content[:3] == b"CDF":
        from scipy.io import netcdf_file

        netcdf_file(io.BytesIO(content)).variables["image"].data.sum()
    elif find_spec("h5py") is not None:
        import h5py

        with h5py.File(io.BytesIO(content)) as file:
            np.asarray(file["minc-2.0/image/0/image"])


def pynrrd(content):
    """pynrrd reads the array."""
    if find_spec("nrrd") is not None:
        import nrrd

        stream = io.BytesIO(content)
        nrrd.read_data(nrrd.read_header(stream), stream)


def mrcfile(content):
    """mrcfile reads the map."""
    if find_spec("mrcfile") is not None:
        from mrcfile.mrcinterpreter import MrcInterpreter

        stream = io.BytesIO(gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content)
        np.asarray(MrcInterpreter(iostream=stream).data)


def freesurfer(content):
    """nibabel reads the volume."""
    if NIBABEL:
        from nibabel.freesurfer import MGHImage

        np.asarray(MGHImage.from_bytes(gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content).dataobj)


def metaio(content):
    """The numbers are as many as the header of a MetaImage says."""
    head, _, numbers = content.partition(b"ElementDataFile = LOCAL\n")
    lines = [line.partition("=") for line in head.decode("latin-1").splitlines()]
    fields = {name.strip(): value.strip() for name, _, value in lines}
    numbers = zlib.decompress(numbers) if fields.get("CompressedData") == "True" else numbers
    size = {"MET_UCHAR": 1, "MET_USHORT": 2}[fields["ElementType"]]
    if len(numbers) < size * prod(int(each) for each in fields["DimSize"].split()):
        raise ValueError("numbers are missing")


PEERS = {
    **dict.fromkeys(("png", "tiff", "gif", "webp", "bmp", "pnm", "qoi", "tga", "dib", "ico"), (pillow,)),
    "jp2": (openjpeg,),
    "avif": (libavif,),
    "jxl": (libjxl,),
    "jxr": (jxrlib,),
    "hdr": (rgbe,),
    "jpeg": (djpeg, pillow),
    "npy": (numpy,),
    "npz": (numpy,),
    "nifti": (nibabel,),
    "csv": (loadtxt,),
    "dicom": (pydicom,),
    "minc": (minc,),
    "nrrd": (pynrrd,),
    "metaimage": (metaio,),
    "mrc": (mrcfile,),
    "mgh": (freesurfer,),
}


@cache
def judged_by_peers():
    """The sound files that peers read: only of these do they judge damaged ones."""
    return frozenset(name for name, (kind, content) in sound_files().items() if not refusal(kind, content))


def accepted(kind, message):
    """Whether a difference from a peer has been looked at and found right."""
    return any(kind == each and re.search(pattern, message) for each, pattern, _ in ACCEPTED)


def case(number, seed):
    """The name of a sound file, its kind, the damaged content, the command and the ending of its target."""
    rng = np.random.default_rng([seed, number])
    name = list(sound_files())[int(rng.integers(len(sound_files())))]
    kind, content = sound_files()[name]
    for _ in range(5):
        changed = damaged(kind, content, rng)
        if changed != content:
            break
    words = FILTERS[int(rng.integers(len(FILTERS)))].split()
    ending = TARGETS[int(rng.integers(len(TARGETS)))]
    return name, kind, changed, words, Path(name).suffix[1:] if ending == "same" else ending


def problem(number, seed, folder):
    """What is wrong about what a command made of a damaged file; nothing where nothing is."""
    name, kind, content, (command, *options), ending = case(number, seed)
    source, target = folder / f"in{SUFFIXES[kind]}", folder / f"out.{'pgm' if ending == 'pbm' else ending}"
    target.unlink(missing_ok=True)
    source.write_bytes(content)
    start = time.process_time()
    try:
        verdict = run([command, source, *options, "-o", target, "--json", "-qq", "--force"])
    except BaseException as error:  # noqa: BLE001 -- any error at all is what is looked for
        return f"{type(error).__name__}: {error}"
    if (taken := time.process_time() - start) > LONGEST + SAMPLE * verdict.samples:
        return f"took {taken:.1f} s"
    lines = verdict.errors.splitlines()
    if verdict.code not in (0, 1, 2) or "Traceback" in verdict.errors or (verdict.code and len(lines) != 1):
        return f"exit {verdict.code}: {verdict.errors.strip()[-200:]}"
    if "[memory]" in verdict.errors and "for this job" not in verdict.errors:  # what is declared may be too much
        return verdict.errors
    if verdict.code:
        return f"left {target.name} behind" if target.exists() else ""
    if unreadable := opened_again(target, ending):
        return f"{' '.join([command, *options])} -o .{ending}: {unreadable}"
    if verdict.told or name not in judged_by_peers():
        return ""
    refused = refusal(kind, content)
    return "" if not refused or accepted(kind, refused) else f"was read without a word: {refused}"


def opened_again(target, ending):
    """Why what was written cannot be read, here or by Pillow."""
    from convcli.formats import ReadOptions

    try:
        axes = {1: None, 2: None, 3: "ZYX", 4: "ZYXS"}[np.load(target).ndim] if ending == "npy" else None
        read(target, options=ReadOptions(axes=axes)) if ending != "npz" else None
    except (ConvError, KeyError) as error:
        return str(error)
    return refusal("pnm", target.read_bytes()) if ending in OPENED_BY_PILLOW else ""


def main(cases, seed, only=None, keep=None):
    """Try all cases; print what is wrong, then how many were tried."""
    faulthandler.enable()
    PIL.Image.MAX_IMAGE_PIXELS = None
    with TemporaryDirectory() as name:
        folder = Path(name)
        for sound, (kind, content) in sound_files().items():  # libraries are loaded, and what is sound is read
            (folder / f"in{SUFFIXES[kind]}").write_bytes(content)
            verdict = run(
                [
                    "conv2d",
                    folder / f"in{SUFFIXES[kind]}",
                    "-k",
                    "identity",
                    "-o",
                    folder / "out.tif",
                    "-qq",
                    "--force",
                    "--json",
                ]
            )
            assert (0, "") == verdict[:2], (sound, verdict)
        judged_by_peers()
        bound_memory()
        for number in [only] if only is not None else range(cases):
            if wrong := problem(number, seed, folder):
                print(f"{number}, {case(number, seed)[0]}: {wrong}", flush=True)
                if keep:
                    Path(keep).mkdir(exist_ok=True)
                    Path(keep, f"{number} {case(number, seed)[0]}").write_bytes(case(number, seed)[2])
    print(f"{cases} tried")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int)
    parser.add_argument("--keep")
    chosen = parser.parse_args()
    main(chosen.cases, chosen.seed, chosen.only, chosen.keep)
    sys.stdout.flush()
