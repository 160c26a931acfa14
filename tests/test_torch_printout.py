"""Pasted PyTorch printouts: their figures, and where the reading stops instead of guessing."""

import pytest

from convcli.errors import UsageError
from convcli.networks.costs import Convention, costs, together
from convcli.networks.network import Shape
from convcli.networks.readers.torch_printout import read_printout
from convcli.networks.trace import trace
from printouts import ALEXNET, DCGAN, RESIDUAL


@pytest.mark.parametrize(
    ("printed", "shape", "output", "macs", "params"),
    [
        (ALEXNET, Shape(3, (224, 224)), Shape(1000), 714_188_480, 61_100_840),
        (DCGAN, Shape(100, (1, 1)), Shape(3, (64, 64)), 104_628_224, 3_576_704),
    ],
)
def test_known_models_cost_what_is_known(printed: str, shape: Shape, output: Shape, macs: int, params: int) -> None:
    """torchvision's AlexNet; the generator of pytorch/examples."""
    printout = read_printout(printed)
    traced = trace(printout.network, shape)
    total = together(costs(traced, Convention()))
    assert (output, macs, params, ()) == (traced.output, total.macs, total.params, printout.classes)


def test_layers_have_the_names_of_their_parameters() -> None:
    names = [layer.name for layer in read_printout(ALEXNET).network.words()]
    assert ["features.0", "features.1"] == names[:2]
    assert ["avgpool", "classifier.0", "classifier.6"] == [names[13], names[14], names[-1]]


def test_a_branch_that_a_printout_does_not_show_stops_the_reading_at_its_line() -> None:
    printout = read_printout(RESIDUAL)
    assert ("BasicBlock",) == printout.classes
    with pytest.raises(UsageError, match="line 12, layer 8: expects 64 input channels, but 128 arrive"):
        trace(printout.network, Shape(3, (64, 64)))


def test_nested_sequences_and_empty_ones_are_read_in_order() -> None:
    convolution = "Conv2d(1, 2, kernel_size=(3, 3), stride=(1, 1))"
    inner = f"    (0): Sequential(\n      (a): {convolution}\n    )\n    (1): Sequential()\n"
    printed = f"Sequential(\n  (0): Sequential(\n{inner}  )\n\n  (1): ReLU()\n)\n"
    printout = read_printout(printed)
    assert [("conv", "0.0.a"), ("relu", "1")] == [(layer.kind, layer.name) for layer in printout.network.words()]
    assert () == printout.classes


def test_a_single_module_is_a_model() -> None:
    assert 1 == read_printout("Conv2d(1, 2, kernel_size=(3, 3), stride=(1, 1))").network.size()


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        ("Net(\n  (0): Blub(3)\n)", "line 2, layer 1: unknown module 'Blub'; "),
        ("Net(\n  (0): ReLU()\n  (1): MultiheadAttention()\n)", "line 3, layer 2: unknown module 'MultiheadAttention'"),
        ("Net(\n  (0): Conv2dd(1, 2, kernel_size=(3, 3))\n)", "did you mean Conv2d?"),
        (
            "Net(\n  (a): ModuleList(\n    (0-1): 2 x ReLU()\n  )\n)",
            "line 2, layer 1: ModuleList a does not say in which order",
        ),
        ("Net(\n  (0): Conv2d(1, 2\n)", "line 2, layer 1: 'Conv2d(1, 2' is no call"),
        ("Net(\n  (a): Sequential(\n    (0): ReLU()\n  )", "the printout ends inside the model"),
        ("Net(\n  (a): Sequential(\n    (0): ReLU()", "the printout ends inside a"),
        ("Net(\n  (0): ReLU()\n)\nNet(\n  (0): ReLU()\n)", "line 4, layer 2: stands behind the end of the model"),
        (")", "closes nothing that is open"),
        ("Net(\n)", "no module in it"),
        ("", "no module in it; paste what print(model) shows"),
        ("conv3-64", "'conv3-64' is no call like Conv2d(3, 64, 7)"),
        ("Net(\n  (0): ReLU() and more\n)", "is no call"),
    ],
)
def test_what_cannot_be_read_is_named_by_its_line(printed: str, expected: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_printout(printed)
    assert expected in str(caught.value)
    assert 2 == caught.value.exit_code
