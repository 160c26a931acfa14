"""Networks in files: text and TOML, blocks, options and what a design is expected to cost."""

from pathlib import Path

import pytest

from convcli.errors import UsageError
from convcli.networks.costs import Convention, costs, together
from convcli.networks.expectations import check_expectations
from convcli.networks.network import Shape
from convcli.networks.notation import parse
from convcli.networks.readers.toml import Design, looks_like_toml, read_design
from convcli.networks.rules import Rules, Settings
from convcli.networks.trace import trace

SAMPLES = sorted((Path(__file__).parent.parent / "samples" / "networks").iterdir())
NETWORKS = [path for path in SAMPLES if path.suffix != ".onnx"]


def text_design(text: str) -> Design:
    """A design from a text file."""
    return read_design(text, toml=False)


def toml_design(text: str) -> Design:
    """A design from a TOML file."""
    return read_design(text, toml=True)


@pytest.mark.parametrize("path", NETWORKS, ids=lambda path: path.name)
def test_every_sample_keeps_what_it_promises(path: Path) -> None:
    design = read_design(path.read_text(encoding="utf-8"), toml=path.suffix == ".toml")
    assert {"output", "macs", "params"} <= design.expect.keys()
    assert design.input
    traced = trace(design.network, design.input, design.settings.rules())
    check_expectations(design.expect, traced, together(costs(traced, Convention())))


def test_the_samples_are_the_networks_that_the_readme_names() -> None:
    names = {path.stem for path in NETWORKS}
    assert {"mobilenet-v1", "vgg-16", "resnet-18", "resnet-50", "u-net", "c3d", "dcgan"} == names


def test_text_and_toml_say_the_same() -> None:
    text = text_design(
        """
        # a comment
        input 3@32x32
        options --no-bias --bn --pad 1 --framework torch
        basic = { conv3-8 conv3-8 | id }   # a block
        two = 2*basic
        conv3-8#first.layer max2  # the stem
        3*( two
            relu )
        expect macs = 12
        expect output = 8@16x16
        """
    )
    toml = toml_design(
        """
        input = "3@32x32"
        bias = false
        bn = true
        pad = 1
        framework = "torch"
        layers = ["conv3-8#first.layer max2", "3*( two", "relu )"]
        [blocks]
        basic = "{ conv3-8 conv3-8 | id }"
        two = ["2*basic"]
        [expect]
        macs = 12
        output = "8@16x16"
        """
    )
    assert text == toml
    assert parse("conv3-8#first.layer max2 3*( 2*{ conv3-8 conv3-8 | id } relu )") == text.network
    assert Rules(bias=False, bn=True, pad=((1, 1),), framework="torch") == text.settings.rules()


def test_a_text_file_may_begin_with_its_input() -> None:
    assert Shape(3, (8, 8)) == text_design("3@8x8 conv3-4\nrelu").input
    assert parse("conv3-4 relu") == text_design("3@8x8 conv3-4\nrelu").network
    assert text_design("conv3-4").input is None


def test_settings_of_the_command_line_count_more_than_those_of_the_file() -> None:
    file, line = Settings(bias=False, pad="h"), Settings(bias=True, framework="tf")
    assert Settings(bias=True, pad="h", framework="tf") == line.over(file)


def test_a_text_without_a_name_is_toml_where_it_says_layers() -> None:
    assert looks_like_toml('name = "x"\nlayers = "relu"')
    assert not looks_like_toml("input 3@8x8\nbasic = relu\nbasic")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("conv3-4\n\nconv3-64q", "'conv3-64q': line 3, layer 2, character 9: 'q' says nothing about conv"),
        ("basic = conv3-64q\nbasic", "block 'basic', line 1, layer 1, character 9: 'q'"),
        ("a = b\nb = relu\na", "unknown layer 'b'"),
        ("conv3-4 {\nrelu |\n", "line 2, after layer 2"),
        ("conv = relu", "block 'conv' has"),
        ("max2 = relu\nmax2", "block 'max2' has the name of a layer"),
        ("options --blub\nrelu", "'--blub': is no option of a network"),
        ("options --pad\nrelu", "'--pad': is no option of a network"),
        ("options --pad x\nrelu", "'x': 'x' is no padding"),
        ("options --framework jax\nrelu", "'jax' is no framework known here"),
        ("input 3x8x8\nrelu", "'3x8x8': is no input"),
    ],
)
def test_mistakes_in_text_files_name_their_line(text: str, expected: str) -> None:
    with pytest.raises(UsageError) as caught:
        text_design(text)
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("layers = ", "is no TOML: Invalid value (at end of document)"),
        ('input = "3@8x8"', "has no layers"),
        ('layers = "relu"\ninputs = "3@8x8"', "unknown key 'inputs'; known are name, input, layers"),
        ("layers = 3", "layers must be a text, or a list of texts"),
        ('layers = ["relu", 3]', "layers must be a text, or a list of texts"),
        ('layers = "relu"\nbias = "no"', "bias must be true or false, not 'no'"),
        ('layers = "relu"\nblocks = "x"', "blocks must be a table: [blocks]"),
        ('layers = "relu"\n[blocks]\nrelu = "id"', "block 'relu' has the name of a layer"),
        ('layers = "relu"\n[blocks]\nfoo = "conv3-64q"', "block 'foo', layer 1, character 9"),
        ('layers = "relu conv3-64q"', "layer 2, character 9"),
    ],
)
def test_mistakes_in_toml_files_name_their_key(text: str, expected: str) -> None:
    with pytest.raises(UsageError) as caught:
        toml_design(text)
    assert expected in str(caught.value)
