"""`convcli kernels` lists, shows and saves kernels."""

import csv
import io
import json
import subprocess
import sys

import numpy as np
import pytest

from convcli.cli import run
from convcli.commands.kernels import grid, kernels
from convcli.errors import ConvError, UsageError
from convcli.kernels import KERNELS, parse_kernel


def printed(capsys, *arguments):
    assert 0 == run(["kernels", *arguments])
    return capsys.readouterr().out


def test_the_list_has_every_kernel_with_its_parameters_and_an_example(capsys):
    rows = list(csv.DictReader(io.StringIO(printed(capsys, "--csv"))))
    assert list(KERNELS) == [row["kernel"] for row in rows]
    for row in rows:
        kernel = KERNELS[row["kernel"]]
        assert (kernel.usage, kernel.example) == (row["parameters"], row["example"])
        assert kernel.description == row["what it is"]
    listed = json.loads(printed(capsys, "--json"))
    assert (1, list(KERNELS)) == (listed["schema"], [entry["name"] for entry in listed["kernels"]])


def test_the_list_for_volumes_leaves_flat_kernels_out(capsys):
    rows = list(csv.DictReader(io.StringIO(printed(capsys, "--3d", "--csv"))))
    assert [name for name, kernel in KERNELS.items() if 3 in kernel.ndims] == [row["kernel"] for row in rows]


@pytest.mark.parametrize("text", [kernel.example for kernel in KERNELS.values() if 2 in kernel.ndims])
def test_what_is_shown_is_what_the_kernel_is(text, capsys):
    (shown,) = json.loads(printed(capsys, "--json", "--", text))["kernels"]
    taps = np.array(shown["taps"])
    assert (text, list(taps.shape)) == (shown["name"], shown["shape"])
    assert pytest.approx(taps.sum(), abs=1e-12) == shown["sum"]
    assert pytest.approx(np.abs(taps).sum(), abs=1e-12) == shown["absolute_sum"]
    assert (abs(taps.sum()) < 1e-6 * np.abs(taps).sum()) == shown["zero_sum"]
    assert rest(taps, shown["rank"]) < 1e-6
    assert rest(taps, shown["rank"] - 1) > 1e-8
    assert len(parse_kernel(text).terms) == shown["terms"]


def rest(taps, rank):
    """What the best approximation of a rank leaves, as a share of the sum of absolute taps."""
    u, s, v = np.linalg.svd(taps, full_matrices=False)
    return np.abs(taps - u[:, :rank] * s[:rank] @ v[:rank]).sum() / np.abs(taps).sum()


def test_a_bank_and_a_volume_are_shown(capsys):
    (bank,) = json.loads(printed(capsys, "1 2; 2 4 ^ 1 0; 0 1", "--json"))["kernels"]
    assert ([1, 2, 2, 2], True, 2) == (bank["shape"], bank["bank"], bank["rank"])
    (volume,) = json.loads(printed(capsys, "--3d", "laplacian", "--json"))["kernels"]
    assert ([3, 3, 3], [1, 1, 1]) == (volume["shape"], volume["origin"])


def test_people_see_one_row_for_each_kernel_and_its_taps(capsys):
    expected = (
        "kernel   size  sum  sum of |taps|  zero sum  rank  terms  origin\n"
        "-------  ----  ---  -------------  --------  ----  -----  ------\n"
        "sharpen  3x3     1              9  no           2         1,1\n"
        "sobel:y  3x3     0              8  yes          1      1  1,1\n"
        "\n"
        "sharpen\n"
        " 0  -1   0\n"
        "-1   5  -1\n"
        " 0  -1   0\n"
        "\n"
        "sobel:y\n"
        "-1  -2  -1\n"
        " 0   0   0\n"
        " 1   2   1\n"
    )
    assert expected == printed(capsys, "sharpen", "sobel:y")


def test_of_a_large_kernel_the_middle_is_shown():
    lines = grid(np.add.outer(100 * np.arange(30), np.arange(30)))
    assert 13 == len(lines) == len({len(line) for line in lines}) * 13
    assert "...   909   910" == lines[1][:15]
    assert 10 == len(grid(np.ones((10, 4))))


def test_many_planes_are_counted_not_printed(capsys, tmp_path):
    np.save(tmp_path / "bank.npy", np.ones((20, 3, 1, 1)))
    lines = printed(capsys, str(tmp_path / "bank.npy")).splitlines()
    assert "... 49 more" == lines[-1]
    assert "[0, 0]" in lines


def test_an_offset_is_told(capsys, tmp_path):
    (tmp_path / "k.mat").write_text("1 1 1 128\n1\n")
    assert "k.mat: 128 is added to every result\n" in printed(capsys, str(tmp_path / "k.mat"))


@pytest.mark.parametrize("suffix", [".txt", ".csv", ".tsv", ".mat", ".json", ".npy", ".npz", ".tif"])
def test_a_saved_kernel_is_the_same_kernel(suffix, capsys, tmp_path):
    path = tmp_path / f"k{suffix}"
    assert "" == printed(capsys, "log:1.5", "-o", str(path))
    np.testing.assert_allclose(parse_kernel("log:1.5").array(), parse_kernel(str(path)).array(), rtol=1e-7)
    assert [path] == list(tmp_path.iterdir())


def test_a_saved_kernel_can_be_shown_as_well(capsys, tmp_path):
    shown = printed(capsys, "box:3", "--json", "-o", str(tmp_path / "k.npy"))
    assert "box:3" == json.loads(shown)["kernels"][0]["name"]
    assert (tmp_path / "k.npy").exists()


def test_text_goes_to_standard_output(capsys):
    assert "-1 0 1\n-2 0 2\n-1 0 1\n" == printed(capsys, "sobel", "-o", "-")


def test_an_existing_file_needs_force(tmp_path):
    path = tmp_path / "k.txt"
    path.write_text("old")
    with pytest.raises(ConvError) as caught:
        kernels(["box:3"], output=str(path))
    assert ("exists", "old") == (caught.value.code, path.read_text())
    kernels(["sobel"], output=str(path), force=True)
    assert "-1 0 1\n-2 0 2\n-1 0 1\n" == path.read_text()


@pytest.mark.parametrize(
    ("message", "code", "texts", "options"),
    [
        ("saves one kernel, not 2", "usage", ["box:3", "sobel"], {"output": "/no/k.txt"}),
        ("saves one kernel, not 0", "usage", None, {"output": "/no/k.txt"}),
        ("'.xyz' is no kernel format; use .txt", "unknown-format", ["box:3"], {"output": "/no/k.xyz"}),
        ("'no suffix' is no kernel format", "unknown-format", ["box:3"], {"output": "/no/k"}),
        (".txt cannot hold a filter bank; use .json, .npy, .npz", "unknown-format", ["1 ^ 2"], {"output": "-"}),
        ("--json excludes --csv and --markdown", "usage", None, {"json": True, "csv": True}),
        ("unknown kernel 'gausian'; did you mean 'gaussian'?", "kernel", ["gausian:2"], {}),
    ],
)
def test_a_wrong_request_is_refused(message, code, texts, options):
    with pytest.raises(UsageError) as caught:
        kernels(texts, **options)
    assert message in caught.value.message
    assert code == caught.value.code


def test_a_kernel_comes_from_standard_input():
    done = subprocess.run(
        [sys.executable, "-m", "convcli", "kernels", "-", "--csv"], input=b"1 2 1\n", capture_output=True, check=True
    )
    assert b'-,1x3,4.0,4.0,False,1,,"0,1"' == done.stdout.splitlines()[1]


def test_the_list_loads_no_numpy_and_a_closed_pipe_is_no_traceback():
    program = (
        "import sys; from convcli.cli import run; run(['kernels'])\n"
        "print([m for m in ('numpy', 'scipy', 'rich') if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "[]\n" == done.stderr
    shell = f"{sys.executable} -m convcli kernels gaussian:2 gaussian:3 gaussian:4 gaussian:5 | head -1"
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=True)
    assert "Traceback" not in done.stderr
