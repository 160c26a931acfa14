"""The house itself: who may import whom, what stays light, and what every command owes its reader."""

import ast
import importlib
import re
import subprocess
import sys
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import convcli
from convcli.commands import COMMANDS, command_function
from convcli.options.parse import build

ROOT = Path(convcli.__file__).parent
README = Path(__file__).parents[1] / "README.md"
BENCHMARKS = Path(__file__).parent / "bench"
ARCHITECTURE = README.with_name("convcli") / "README.md"

MAY_IMPORT = {
    "__main__": {"cli"},
    "cli": {"__init__", "commands", "formats", "native", "options", "report", "signals", "streams"},
    "commands": {
        *("formats", "kernels", "machine", "methods", "networks", "options", "pictures", "requests", "runs"),
        *("stores", "streams", "tables", "tuning"),
    },
    "api": {
        "arrays",
        "engine",
        "filters",
        "formats",
        "image",
        "kernels",
        "networks",
        "operations",
        "planner",
        "requests",
        "runs",
    },
    "options": {"kernels"},
    "requests": {
        *("filters", "formats", "image", "kernels", "methods", "operations", "options", "runs", "stores", "streams"),
    },
    "runs": {
        *("__init__", "engine", "folders", "formats", "image", "operations", "planner", "report", "signals", "stores"),
        *("streams", "tables"),
        *("machine", "native", "pictures"),
    },
    "report": {"image", "machine", "operations", "pictures", "streams", "tables"},
    "operations": {
        *("arrays", "engine", "filters", "formats", "geometry", "image", "kernels", "machine", "methods", "planner"),
        *("stores", "tables"),
    },
    "tuning": {"api", "engine", "filters", "image", "kernels", "machine", "planner"},
    "engine": {"arrays", "filters", "geometry", "image", "kernels", "methods", "native", "planner"},
    "planner": {"geometry", "machine", "methods"},
    "methods": {"geometry", "machine", "native"},
    "filters": {"geometry", "image", "kernels"},
    "kernels": {"formats", "geometry", "networks", "stores", "streams"},
    "formats": {"arrays", "image", "native", "stores", "streams"},
    "stores": set(),
    "image": set(),
    "networks": {"geometry", "tables"},
    "pictures": {"geometry", "image", "kernels", "networks", "streams", "tables"},
    "geometry": set(),
    "native": set(),
    "machine": {"folders", "native"},
    "tables": {"streams"},
    "streams": set(),
    "arrays": set(),
    "folders": set(),
    "signals": set(),
    "errors": set(),
    "records": set(),
    "numerals": set(),
    "samples": set(),
    "system": set(),
    "__init__": set(),
}
"""Room -> the rooms it may import besides those that are anyone's.

Only `cli` knows the commands, and formats know nothing of filters.
"""

ANYONES = ("errors", "records", "numerals", "samples", "system")
MODULES = sorted(ROOT.rglob("*.py"))
HEAVY = ("numpy", "scipy", "tifffile", "PIL", "imagecodecs", "imageio", "rich")
FORBIDDEN = (
    *("pickle", "shelve", "marshal", "dill", "joblib", "socket", "ssl", "urllib", "http", "ftplib", "smtplib"),
    *("requests", "subprocess", "pty", "runpy", "code"),
)
MAY_START = {"tuning.py": {"subprocess"}, "formats/jpegxr/apart.py": {"subprocess"}}
"""The only modules that start a program, Python itself: to time an import; for a decoder that crashes."""
LONGEST_MODULE, LONGEST_BARE = 450, 55  # lines; of a module, and of a function that nothing explains


def name_of(path):
    return str(path.relative_to(ROOT))


def room_of(parts):
    """The room of a module, given the parts of its name below `convcli`."""
    return parts[0] if parts else "__init__"


@cache
def nodes(path):
    """What a file's code is made of."""
    return (*ast.walk(ast.parse(path.read_text())),)


def parsed(path):
    """A file's code; of the package's own, which imports nothing by itself, without what it tells type checkers."""
    tree = nodes(path)[0]
    told = path == ROOT / "__init__.py"
    return ast.Module([node for node in tree.body if not (told and isinstance(node, ast.If))], [])


@cache
def imports(path):
    """The modules that a file imports, at its top or inside a function, for their types too."""
    return (*found_imports(path),)


def found_imports(path):
    for node in ast.walk(parsed(path)) if path == ROOT / "__init__.py" else nodes(path):
        if isinstance(node, ast.ImportFrom):
            assert not node.level, "imports name the package"
            modules = {path.stem for path in ROOT.iterdir()} if node.module == "convcli" else {}
            yield from (f"convcli.{alias.name}" if alias.name in modules else node.module for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_room_imports_only_the_rooms_it_may(path):
    room = room_of(path.relative_to(ROOT).with_suffix("").parts)
    ours = [name.split(".")[1:] for name in imports(path) if name.split(".")[0] == "convcli"]
    assert {room_of(parts) for parts in ours} <= MAY_IMPORT[room] | {room, *ANYONES}


def test_the_architecture_page_names_every_room_and_no_file_that_is_not_there():
    page = ARCHITECTURE.read_text()
    rows = [line.split("|")[1] for line in page[: page.index("## The values")].splitlines() if line.startswith("| `")]
    assert {f"{room}/" if (ROOT / room).is_dir() else f"{room}.py" for room in MAY_IMPORT} == set(
        re.findall(r"`([^`]+)`", "".join(rows))
    )
    named = re.findall(r"`((?:\.\./)?[a-z_/0-9]+(?:\.py|\.md|/))`", page)
    assert [] == [
        name
        for name in named
        if not (ARCHITECTURE.parent / name).exists() and not (ARCHITECTURE.parents[1] / name).exists()
    ]


def test_rooms_have_an_order():
    assert set(MAY_IMPORT) == set(TopologicalSorter(MAY_IMPORT).static_order())


def test_type_checkers_are_told_of_every_public_name_where_it_is():
    tree = ast.parse((ROOT / "__init__.py").read_text())
    told = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module != "importlib"]
    assert convcli._PUBLIC == {alias.name: node.module for node in told for alias in node.names}
    assert {*convcli.__all__} == {"__version__", *convcli._PUBLIC}


@pytest.mark.parametrize("name", convcli.__all__)
def test_a_public_name_is_there(name):
    assert name in dir(convcli)
    assert getattr(convcli, name)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_nothing_opens_a_network_runs_a_pickle_or_starts_a_program(path):
    assert not {name.split(".")[0] for name in imports(path)} & set(FORBIDDEN) - MAY_START.get(name_of(path), set())


LIGHT = (
    "",
    "--help",
    "--version",
    "shapes 3@224x224 conv7-64/2p3",
    "shapes 3@224x224 conv7-64/2p3 --json",
    "flops 3@224x224 conv7-64/2p3",
    "flops --help",
    "conv2d --help",
    "conv2d --help-all",
    "help conv2d",
    "upsample --help",
    "kernels",
)
LOADED = """
import sys
from convcli.cli import run
code = run(sys.argv[1:])
print(*sys.modules, file=sys.stderr)
sys.exit(code)
"""


@pytest.mark.parametrize("words", LIGHT)
def test_what_needs_no_pixels_loads_no_pixel_library(words):
    done = subprocess.run([sys.executable, "-c", LOADED, *words.split()], capture_output=True, text=True, check=False)
    assert 0 == done.returncode, done.stderr
    assert not set(done.stderr.split()) & set(HEAVY)


@pytest.mark.parametrize("words", ["shapes 3@8x8 conv3-4", "flops 3@8x8 conv3-4"])
def test_layers_that_are_typed_load_no_reader_of_models_and_no_drawing(words):
    done = subprocess.run([sys.executable, "-c", LOADED, *words.split()], capture_output=True, text=True, check=True)
    elsewhere = ("convcli.networks.onnx", "convcli.networks.exported", "convcli.pictures", "convcli.formats")
    assert [] == [name for name in done.stderr.split() if name.startswith(elsewhere)]


def test_a_picture_is_filtered_without_masked_arrays(tmp_path):
    """They take 15 ms to load; NumPy's `unique` brings them."""
    picture = Path(__file__).parents[1] / "samples" / "shapes.png"
    words = ("conv2d", picture, "-k", "sobel:x", "-k", "sobel:y", "--combine", "max", "-q", "-o", tmp_path / "o.png")
    done = subprocess.run([sys.executable, "-c", LOADED, *words], capture_output=True, text=True, check=False)
    assert 0 == done.returncode, done.stderr
    assert "numpy.ma" not in done.stderr.split()


@pytest.fixture(params=COMMANDS)
def command(request):
    return request.param


def test_a_command_is_in_the_readme(command):
    assert f"| `{command}` |" in README.read_text()


def test_every_option_of_a_command_is_explained(command):
    options = build(command, command_function(command)).params
    assert [] == [option.name for option in options if not option.help]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_says_what_it_is_for_and_is_no_longer_than_can_be_read(path):
    text = path.read_text()
    assert ast.get_docstring(nodes(path)[0])
    assert len(text.splitlines()) <= LONGEST_MODULE


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_long_function_is_explained(path):
    functions = [node for node in nodes(path) if isinstance(node, ast.FunctionDef)]
    bare = [f.name for f in functions if not ast.get_docstring(f) and f.end_lineno - f.lineno >= LONGEST_BARE]
    assert [] == bare


MAY_LOOK = {
    "formats/source.py": "files that a caller has opened are of any type",
    "formats/__init__.py": "files that a caller has opened are of any type",
    "formats/tiff/samples.py": "tifffile gives a number for what has no name",
}
"""Where what an object has is looked for by name, which is not ours."""


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_what_an_object_has_is_in_its_contract(path):
    """No attribute of ours is looked for under a name: a misspelt one would never be found, and nobody would know."""
    calls = [node for node in nodes(path) if isinstance(node, ast.Call)]
    named = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id in ("hasattr", "getattr")]
    looked = [call.lineno for call in named if call.func.id == "hasattr" or isinstance(call.args[1], ast.Constant)]
    assert [] == looked or name_of(path) in MAY_LOOK


@pytest.mark.parametrize("path", sorted(BENCHMARKS.glob("*.py")), ids=lambda path: path.stem)
def test_what_a_benchmark_imports_of_the_package_is_there(path):
    """They run where peers are installed, which no other test asks for."""
    for node in nodes(path):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("convcli"):
            names = [
                each.name for each in node.names if not (ROOT / each.name).exists()
            ]  # `from convcli import native`
            assert [] == [name for name in names if not hasattr(importlib.import_module(node.module), name)]
