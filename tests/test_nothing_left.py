"""No command leaves a file open, or uses what will be dropped: in development mode Python tells."""

import json
import re
import subprocess
import sys

import numpy as np

from command import environment
from convcli.commands import COMMANDS
from faults import GREY, RGB, STACK
from readme import ROOT

DAY = """
0 help conv2d
0 completion bash
0 tune --show
0 shapes 3@224x224 conv7-64/2p3 max3/2p1 --draw layers.html
0 flops 8@28x28 conv3-8 vs dw3 pw-8 --draw costs.svg
0 kernels gabor:8,45 -o gabor.svg
0 kernels gaussian:2 -o gaussian.npy
0 conv2d rgb.npy --axes YXS -k gaussian.npy -o rgb.png --report rgb.html
0 conv2d rgb.npy --axes YXS -k sharpen -o rgb.jpg --json
3 conv2d rgb.png rgb.jpg cut.jpg none.png -k box:3 -o {stem}-{index}.tif --jobs 2 --report all.json
0 conv2d rgb.png rgb.jpg -k box:3 -o {stem}-{index}.webp --jobs 1
0 conv2d large.npy -k gaussian:3 -o large.tif --memory 2MiB --compression zstd
0 conv2d large.tif -k disk:9 --in-place --memory 2MiB
0 conv3d stack.npy --axes ZYX -k gaussian:1 -o stack.ome.zarr
0 conv3d stack.ome.zarr -k box:3 -o again.ome.zarr --jobs 2
0 upsample rgb.png -k lanczos --scale 1.5 -o more.gif
0 separable rgb.png --depthwise box:3 --pointwise 1,0,0 --dtype uint8 -o one.png
0 dilate rgb.png -k laplacian --rate 2 -o holes.bmp --verify
1 conv2d cut.jpg -k box:3 -o no.png
2 conv2d rgb.png -k none:3 -o no.png
"""
"""Lines of a shell without quotes, each behind the code that it ends with; all commands are among them."""
RUN = """
import gc, json, sys
from convcli import cli
codes = []
for line in sys.stdin:
    codes.append(cli.run(line.split()[1:]))
    gc.collect()
print(json.dumps(codes))
"""


def test_no_command_is_warned_of_in_development_mode(tmp_path):
    expected, lines = zip(*(line.split(" ", 1) for line in DAY.strip().split("\n")), strict=True)
    assert {*COMMANDS} == {line.split()[0] for line in lines}
    for name, pixels in (("rgb", RGB), ("stack", STACK), ("large", np.tile(GREY, (20, 30)))):
        np.save(tmp_path / f"{name}.npy", pixels)
    (tmp_path / "cut.jpg").write_bytes((ROOT / "samples" / "photo.jpg").read_bytes()[:3000])
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", RUN],
        input=DAY.strip(), cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert [] == re.findall(r"Exception ignored.*|Traceback.*|\w+Warning.*", done.stderr), done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert [*map(int, expected)] == found, done.stderr
