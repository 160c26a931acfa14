"""Pasted PyTorch printouts: their figures, and where the reading stops instead of guessing."""

import pytest

from convcli.errors import UsageError
from convcli.networks.advice import advice, doubts
from convcli.networks.costs import Convention, costs, together
from convcli.networks.network import Network, Shape
from convcli.networks.notation import parse
from convcli.networks.readers.torch_printout import read_printout
from convcli.networks.trace import trace
from printouts import ALEXNET, DCGAN, RESIDUAL


@pytest.mark.parametrize(
    ("printed", "shape", "expected", "classes", "wrapper"),
    [
        (ALEXNET, Shape(3, (224, 224)), (Shape(1000), 714_188_480, 61_100_840), ("AlexNet",), ""),
        (DCGAN, Shape(100, (1, 1)), (Shape(3, (64, 64)), 104_628_224, 3_576_704), (), "Generator"),
    ],
)
def test_known_models_cost_what_is_known(
    printed: str, shape: Shape, expected: tuple[Shape, int, int], classes: tuple[str, ...], wrapper: str
) -> None:
    """torchvision's AlexNet; the generator of pytorch/examples."""
    printout = read_printout(printed)
    assert expected == cost(printout.network, shape)
    assert (classes, wrapper) == (printout.classes, printout.wrapper)


def cost(network: Network, shape: Shape) -> tuple[Shape, int, int]:
    """Output, multiply-adds and parameters of a network."""
    traced = trace(network, shape)
    total = together(costs(traced, Convention()))
    return traced.output, total.macs, total.params


def test_layers_have_the_names_of_their_parameters() -> None:
    names = [layer.name for layer in read_printout(ALEXNET).network.words()]
    assert ["features.0", "features.1"] == names[:2]
    assert ["avgpool", "classifier.0", "classifier.6"] == [names[13], names[14], names[-1]]


def block(text: str) -> str:
    """A block of a residual network in a Sequential."""
    lines = text.splitlines()
    return "\n".join(["Sequential(", *(line[2:] for line in lines[4:-2]), ")"])


BLOCK = block(RESIDUAL)


def test_a_known_block_branches_as_its_class_does() -> None:
    network = read_printout(BLOCK).network
    words = "{ conv3-128/2p1-b bn relu conv3-128p1-b bn | conv1-128/2-b bn } relu"
    assert cost(parse(words), Shape(64, (16, 16))) == cost(network, Shape(64, (16, 16)))


@pytest.mark.parametrize(
    "changed",
    [
        BLOCK.replace("BasicBlock", "Block"),
        BLOCK.replace("(bn2)", "(norm2)"),
        BLOCK.replace("(relu): ReLU(inplace=True)", "(relu): MaxPool2d(kernel_size=2, stride=2)"),
        BLOCK.replace("    (relu): ReLU(inplace=True)\n", ""),
        BLOCK.replace("(downsample)", "(shortcut)"),
        BLOCK.replace("  (relu)", "  (attention): Conv2d(128, 128, kernel_size=(1, 1), stride=(1, 1))\n    (relu)"),
    ],
)
def test_a_block_that_is_not_exactly_the_known_one_is_refused_at_its_line(changed: str) -> None:
    with pytest.raises(
        UsageError, match=r"line 2, layer 1: \w+ 0 .*, its forward may branch; export it.*--assume-order"
    ):
        read_printout(changed)
    assert read_printout(changed, assume_order=True).is_assumed


GATE = """\
Sequential(
  (0): Conv2d(3, 16, kernel_size=(3, 3), stride=(2, 2), padding=(1, 1))
  (1): SqueezeExcitation(
    (avgpool): AdaptiveAvgPool2d(output_size=1)
    (fc1): Conv2d(16, 8, kernel_size=(1, 1), stride=(1, 1))
    (fc2): Conv2d(8, 16, kernel_size=(1, 1), stride=(1, 1))
    (activation): ReLU()
    (scale_activation): Hardsigmoid()
  )
  (2): Conv2d(16, 32, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))
)
"""


def test_squeeze_and_excitation_is_a_gate_and_no_chain() -> None:
    """A chain would go on with one pixel: 9 times 16 times 32 multiply-adds instead of 64 times as many."""
    words = "conv3-16/2p1 as:1 gap conv1-8 relu conv1-16 hsigmoid mul:1 conv3-32p1"
    assert cost(parse(words), Shape(3, (16, 16))) == cost(read_printout(GATE).network, Shape(3, (16, 16)))


def test_a_layer_with_its_activation_inside_is_read() -> None:
    printed = """\
Sequential(
  (0): BatchNormAct2d(
    32, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True
    (drop): Identity()
    (act): SiLU(inplace=True)
  )
  (1): SelectAdaptivePool2d(pool_type=avg, flatten=Flatten(start_dim=1, end_dim=-1))
  (2): DropPath(drop_prob=0.100)
  (3): Linear(in_features=32, out_features=10, bias=True)
)
"""
    network = read_printout(printed).network
    assert ["bn", "id", "silu", "gap", "flatten", "id", "fc"] == [layer.kind for layer in network.words()]
    assert (Shape(10), 320, 394) == cost(network, Shape(32, (7, 7)))


def test_a_list_runs_in_the_order_printed_only_where_that_is_asked_for() -> None:
    printed = (
        "Net(\n  (a): ModuleList(\n    (0-2): 3 x Sequential(\n      (0): ReLU()\n      (1): Tanh()\n    )\n  )\n)"
    )
    with pytest.raises(UsageError, match="line 2, layer 1: ModuleList a does not say in which order its parts run"):
        read_printout(printed)
    assert 6 == read_printout(printed, assume_order=True).network.size()


AVERAGE = "Sequential(\n  (0): AvgPool2d(kernel_size=2, stride=2, padding=0)\n)"


@pytest.mark.parametrize(("size", "matters"), [(8, False), (9, True)])
def test_a_ceil_mode_that_is_not_printed_is_warned_of_where_it_matters(size: int, matters: bool) -> None:
    lines = advice(trace(read_printout(AVERAGE).network, Shape(1, (size, size))))
    assert matters == any("ceil_mode" in line for line in lines)
    assert matters == bool(doubts(trace(read_printout(AVERAGE).network, Shape(1, (size, size)))))
    typed = advice(trace(parse("AvgPool2d(2)"), Shape(1, (size, size))))
    assert not any("ceil_mode" in line for line in typed)


def test_a_linear_layer_behind_an_image_says_what_is_not_printed() -> None:
    printed = """\
Sequential(
  (0): Conv2d(3, 16, kernel_size=(3, 3), stride=(1, 1))
  (1): Linear(in_features=16, out_features=10, bias=True)
)
"""
    with pytest.raises(UsageError, match=r"line 3, layer 2: .*a global pooling is not printed"):
        trace(read_printout(printed).network, Shape(3, (8, 8)))


@pytest.mark.parametrize(
    "name", ["DeformConv2d", "StdConv2d", "BlurPool2d", "LPPool2d", "MaxPool2dSame", "LinearAttention"]
)
def test_a_module_that_makes_other_sizes_is_not_suggested(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_printout(f"Sequential(\n  (0): {name}(3, 8, kernel_size=(3, 3), stride=(2, 2))\n)")
    assert "did you mean" not in str(caught.value)


def test_a_pooling_that_is_not_printed_is_guessed_at_by_its_size() -> None:
    printed = "Sequential(\n  (0): Conv2d(3, 16, kernel_size=(3, 3), stride=(1, 1))\n  (1): Linear(144, 10)\n)\n"
    with pytest.raises(UsageError, match="a pooling to 9 positions is not printed, or the input has another size"):
        trace(read_printout(printed).network, Shape(3, (8, 8)))


def test_a_slope_that_runs_twice_is_no_two_layers() -> None:
    """A PReLU that forward() calls twice has its parameters once: such a block is not taken for the known one."""
    with pytest.raises(UsageError, match="BasicBlock 0 has other parts than the class that is known"):
        read_printout(BLOCK.replace("ReLU(inplace=True)", "PReLU(num_parameters=1)"))


def test_a_wrapper_for_several_devices_changes_nothing() -> None:
    printed = f"DataParallel(\n  (module): {BLOCK}\n)"
    assert read_printout(BLOCK).network == read_printout(printed).network


def test_nested_sequences_and_empty_ones_are_read_in_order() -> None:
    convolution = "Conv2d(1, 2, kernel_size=(3, 3), stride=(1, 1))"
    inner = f"    (0): Sequential(\n      (a): {convolution}\n    )\n    (1): Sequential()\n"
    printed = f"Sequential(\n  (0): Sequential(\n{inner}  )\n\n  (1): ReLU()\n)\n"
    printout = read_printout(printed)
    assert [("conv", "0.0.a"), ("relu", "1")] == [(layer.kind, layer.name) for layer in printout.network.words()]
    assert ((), "") == (printout.classes, printout.wrapper)


def test_a_single_module_is_a_model() -> None:
    assert 1 == read_printout("Conv2d(1, 2, kernel_size=(3, 3), stride=(1, 1))").network.size()


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        ("Sequential(\n  (0): Blub(3)\n)", "line 2, layer 1: unknown module 'Blub'; "),
        ("Net(\n  (a): ReLU()\n)", "line 1, layer 1: Net is not known, its forward may branch; export it: "),
        (
            "Sequential(\n  (0): ReLU()\n  (1): MultiheadAttention()\n)",
            "line 3, layer 2: unknown module 'MultiheadAttention'",
        ),
        (
            "Net(\n  (0): ReLU()\n  (1): ReLU()\n)",
            "line 1, layer 1: Net is not known, its forward may branch; export it: ",
        ),
        ("A(\n" * 100, "line 61, layer 1: more than 60 modules inside each other"),
        ("Net(\n  (0): ReLU()\n  more\n)", "line 3, layer 2: is no module; a printed one looks like (conv1): "),
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
        ("Net(\n)", "line 1, layer 1: unknown module 'Net'"),
        ("Sequential(\n)", "no module in it"),
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
