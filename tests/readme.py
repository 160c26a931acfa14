"""The parts of the README and the pages of samples that the program writes: console blocks, pictures and tables."""

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from importlib import import_module
from itertools import zip_longest
from pathlib import Path

import imageio.v3 as iio
import numpy as np

from convcli.commands import COMMANDS
from convcli.filters.borders import ALIASES, BORDERS
from convcli.formats import FORMATS
from convcli.formats.kinds import KINDS, TIFFS
from convcli.kernels import KERNELS
from convcli.methods import METHODS

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
TEXTBOOK = ROOT / "samples" / "convolutions.md"
PAGES = (README, *sorted((ROOT / "samples").glob("*.md")))
"""Those whose commands are run, each in a folder of its own."""
WRITTEN = (*PAGES, ROOT / "convcli" / "README.md")
"""Those that have tables of the program's own."""
PICTURES = ROOT / "samples" / "pictures"
CONSOLE = re.compile(r"```console\n(.*?)```\n", re.DOTALL)
SHOWN = re.compile(r"\]\((?:samples/)?pictures/([\w.]+)\)")
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
FENCED = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
GENERATED = re.compile(r"(<!-- table (\w+) -->\n)(.*?)(<!-- end table -->)", re.DOTALL)
VOLATILE = re.compile(r"\d[\d.,e+-]*(?= ?(?:ms|s|MB|G(?:MAC|B)/s|a second)\b)|\d+ threads?|\d+(?= % of (?:this|its) m)")

SECONDS = re.compile(r"# ?(?:ms|s)\b")
"""A time: on a busy machine a second where it was milliseconds."""


def anchors(page):
    """What links into a page may name: its headings, as GitHub writes them in addresses."""
    headings = HEADING.findall(FENCED.sub("", page.read_text()))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def run_console(block, folder):
    """A console block with what its commands print today; commands start with `$`, `\\` continues a line."""
    commands = re.findall(r"^\$ ((?:.*\\\n)*.*)", block, re.MULTILINE)
    return "".join(f"$ {command}\n{shell(command, folder)}" for command in commands)


def shell(command, folder):
    """What a command prints, on standard output and error, in a folder with the samples."""
    environment = {**os.environ, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "COLUMNS": "120", "TERM": "dumb"}
    done = subprocess.run(
        ["/bin/bash", "-c", f"exec 2>&1; {command}"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return re.sub(r"[ \t]+$", "", done.stdout, flags=re.MULTILINE)


def prepare(folder):
    """Samples, and a `convcli` on the path that is the one under test."""
    (folder / "samples").symlink_to(ROOT / "samples")
    (folder / "bin").mkdir()
    for name, words in (("convcli", "-m convcli"), ("python3", "")):
        script = folder / "bin" / name
        script.write_text(f'#!/bin/sh\nexec {sys.executable} {words} "$@"\n')
        script.chmod(0o755)


def steady(text):
    """Text without the times and rates that differ from run to run; tables of such numbers lose their alignment too."""
    return re.sub(r" +", " ", SECONDS.sub("# s", VOLATILE.sub("#", text)))


def differences(shown, made):
    """What two pictures do not have in common, of drawings and of pixels; nothing where they look the same."""
    if shown.suffix == ".svg":
        return [pair for pair in zip_longest(elements(shown), elements(made), fillvalue="") if not alike(*pair)]
    pixels, fresh = (iio.imread(path).astype(int) for path in (shown, made))
    if pixels.shape != fresh.shape:
        return [(pixels.shape, fresh.shape)]
    off = np.abs(pixels - fresh)
    near = (off.mean() < 1, off.max() < 32) if shown.suffix == ".jpg" else (off.max() == 0,)  # decoders of JPEG round
    return [] if all(near) else [(off.mean(), off.max())]


def elements(drawing):
    """The elements of an SVG that say anything, in order, each with its attributes and text."""
    said = (each for each in ET.parse(drawing).iter() if each.attrib or (each.text or "").strip())
    return [f"{each.tag} {sorted(each.attrib.items())} {each.text}" for each in said]


def alike(shown, made):
    """Whether two elements say the same, with numbers that look the same."""
    numbers, fresh = (np.array(NUMBER.findall(text), float) for text in (shown, made))
    return NUMBER.split(shown) == NUMBER.split(made) and np.allclose(numbers, fresh, rtol=0.001, atol=0.05)


def table(name):
    """A Markdown table of one of the program's own tables."""
    head, rows = TABLES[name]()
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def commands():
    rows = [[f"`{name}`", does] for name, does in COMMANDS.items()]
    return ["command", "does"], rows


def kernels():
    rows = [[f"`{k.name}`", k.usage, k.description, f"`{k.example}`"] for k in KERNELS.values()]
    return ["kernel", "parameters", "what it is", "example"], rows


def borders():
    also = {rule: ", ".join(alias for alias, of in ALIASES.items() if of == rule) for rule in BORDERS}
    return ["border", "outside", "also called"], [
        [f"`{rule}`", f"`{drawn}`", also[rule]] for rule, drawn in BORDERS.items()
    ]


def formats():
    rows = [
        [entry.title, " ".join(entry.suffixes), numbers(entry.dtypes), ", ".join(entry.samples) or "any axes"]
        for entry in FORMATS.values()
    ]
    return ["format", "names", "sample types", "holds"], rows


def numbers(dtypes):
    return "read only" if not dtypes else "all" if len(dtypes) > 6 else ", ".join(dtypes)


def methods():
    return ["method", "how"], [[f"`{name}`", first_line(import_module(f"convcli.methods.{name}"))] for name in METHODS]


def first_line(thing):
    return thing.__doc__.strip().splitlines()[0]


def metadata():
    held = {}
    for kind in KINDS:
        held.setdefault(kind.held, []).append(kind.name)
    rows = [[", ".join(names), ", ".join(dict.fromkeys(holders(places))) or "none"] for places, names in held.items()]
    return ["what a file says beside its pixels", "held by"], rows


def holders(places):
    """Formats by the names of the places that metadata goes to, in the order of the table of formats."""
    if places.issuperset(TIFFS):
        yield "every TIFF"
    elif "tiff" in places:
        yield "TIFF without dimensions to name"
    others = places - set(TIFFS if places.issuperset(TIFFS) else ["tiff"])
    for name, entry in FORMATS.items():
        if {name, entry.module.partition(".")[0]} & others:
            yield {"nifti.whole": "NIfTI", "pnm.whole": "PNM"}.get(entry.module, entry.title)


TABLES = {
    "commands": commands,
    "kernels": kernels,
    "borders": borders,
    "formats": formats,
    "methods": methods,
    "metadata": metadata,
}
