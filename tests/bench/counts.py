"""What the code costs its reader: `python -m tests.bench.counts` counts lines, and what one command goes through.

Lines are those of the package that are neither blank, nor comments, nor docstrings. A command is run with a function
that Python calls at every call (`sys.setprofile`): a module is entered where its own code or any function of it runs,
and is at work where one of its named functions is called. The deepest chain counts the frames of named functions.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import imageio.v3 as iio
import numpy as np

import convcli

ROOT = Path(convcli.__file__).parent
COMMAND = "conv2d photo.png -k gaussian:2 -o out.png -q"
WATCH = """
import atexit, json, sys, threading
root, to, *words = sys.argv[1:]
entered, at_work, deepest = set(), set(), []

def ours(frame):
    return frame.f_code.co_filename.startswith(root)

def is_named(code):
    return code.co_flags & 1 and not code.co_name.startswith("<")  # CO_OPTIMIZED: no body of a class or a module

def watch(frame, event, _):
    global deepest
    if event != "call" or not ours(frame):
        return
    entered.add(frame.f_code.co_filename)
    if is_named(frame.f_code):
        at_work.add(frame.f_code.co_filename)
    chain = []
    while frame:
        if ours(frame) and is_named(frame.f_code):
            chain.append(f"{frame.f_code.co_filename[len(root) + 1:]} {frame.f_code.co_qualname}")
        frame = frame.f_back
    deepest = max(deepest, chain[::-1], key=len)

def tell():
    sys.setprofile(None)
    with open(to, "w") as file:
        json.dump({"entered": len(entered), "at work": len(at_work), "deepest": deepest}, file)

atexit.register(tell)
threading.setprofile(watch)
sys.setprofile(watch)
sys.argv = ["convcli", *words]
from convcli.__main__ import main
main()
"""


def lines(path: Path) -> int:
    """Lines of code in a file."""
    text = path.read_text()
    told: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            told.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    bare = [line.strip() for number, line in enumerate(text.splitlines(), 1) if number not in told]
    return sum(1 for line in bare if line and not line.startswith("#"))


def journey(words: list[str]) -> dict[str, object]:
    """What a command goes through, in a folder that has a `photo.png`."""
    with tempfile.TemporaryDirectory() as folder:
        iio.imwrite(f"{folder}/photo.png", np.arange(512 * 512, dtype=np.uint32).reshape(512, 512).astype(np.uint8))
        found = Path(folder) / "found.json"
        subprocess.run([sys.executable, "-c", WATCH, str(ROOT), str(found), *words], cwd=folder, check=True)
        told: dict[str, object] = json.loads(found.read_text())
        return told


def main(words: list[str]) -> None:
    """Print both."""
    files = sorted(ROOT.rglob("*.py"))
    counts = {path: lines(path) for path in files}
    print(f"{ROOT}: {sum(counts.values()):,} lines of code in {len(files)} files")
    seen = journey(words)
    chain = seen["deepest"]
    assert isinstance(chain, list)
    print(
        f"convcli {' '.join(words)}: {seen['entered']} modules entered, {seen['at work']} at work; {len(chain)} deep:"
    )
    print("\n".join(f"  {each}" for each in chain))


if __name__ == "__main__":
    main(sys.argv[1:] or COMMAND.split())
