"""Shuffles, factors, causal padding, slices, gates and attention of the notation against PyTorch itself."""

import random

import pytest

from convcli.networks.costs import Convention, costs, together
from convcli.networks.network import Shape
from convcli.networks.notation import parse
from convcli.networks.trace import Trace, trace

torch = pytest.importorskip("torch", reason="PyTorch is not installed: the notation cannot be compared with it")
nn = torch.nn


def made_by(module, shape: Shape) -> Shape:
    """What PyTorch makes of a shape."""
    with torch.no_grad():
        made = module(torch.zeros(1, shape.channels, *shape.spatial))
    return Shape(made.shape[1], tuple(made.shape[2:]))


def test_shuffles_and_factors_have_pytorchs_sizes() -> None:
    random_ = random.Random(0)
    for _ in range(200):
        r, g = random_.randint(1, 4), random_.randint(1, 4)
        n, m = r * random_.randint(2, 9), r * random_.randint(2, 9)
        up = round(random_.uniform(0.5, 3), random_.randint(1, 3))
        shape = Shape(4 * g, (n, m))
        for word, module in (
            (f"unshuffle{r}", nn.PixelUnshuffle(r)),
            (f"cshuffle{g}", nn.ChannelShuffle(g)),
            (f"up{up}", nn.Upsample(scale_factor=up)),
            (f"bilinear{up}x{r}", nn.Upsample(scale_factor=(up, r), mode="bilinear")),
        ):
            assert made_by(module, shape) == trace(parse(word), shape).output, (word, shape)


def spans(module, length: int) -> list[tuple[int, int]]:
    """The first and the last input that each output depends on, by the gradient of each."""
    found = []
    for u in range(module(torch.zeros(1, 1, length)).shape[2]):
        signal = torch.zeros(1, 1, length, requires_grad=True)
        module(signal).sum(1)[0, u].backward()
        seen = torch.nonzero(signal.grad[0, 0]).flatten().tolist()
        found.append((seen[0], seen[-1]))
    return found


def clipped(traced: Trace, length: int) -> list[tuple[int, int]]:
    """The same as the receptive field says, without the padding."""
    field = traced.steps[-1].fields[0]
    assert field
    ends = [field.at(u) for u in range(traced.output.spatial[0])]
    return [(max(0, end[0]), min(length - 1, end[1])) for end in ends if end]


def ones(module):
    """A module whose weights are 1, so that no gradient vanishes by chance."""
    for parameter in module.parameters():
        nn.init.ones_(parameter)
    return module


class Gate(nn.Module):
    """x times the gate that the mean of x opens."""

    def forward(self, x):
        return x * (1 + x.mean(2, keepdim=True)) + x.mean(2, keepdim=True)


class Both(nn.Module):
    """Two modules on the same input, added."""

    def __init__(self, one, other) -> None:
        super().__init__()
        self.one, self.other = one, other

    def forward(self, x):
        return self.one(x) + self.other(x)


def convolution(k: int, s: int = 1, d: int = 1, pads: tuple[int, int] = (0, 0)):
    """A convolution of one channel, padded by numbers."""
    return nn.Sequential(nn.ConstantPad1d(pads, 0.0), nn.Conv1d(1, 1, k, s, dilation=d, bias=False))


@pytest.mark.parametrize(
    ("words", "module"),
    [
        ("conv3-1pcd2 conv3-1/2pc", nn.Sequential(convolution(3, 1, 2, (4, 0)), convolution(3, 2, 1, (2, 0)))),
        ("conv3-1p1 up1.5", nn.Sequential(convolution(3, 1, 1, (1, 1)), nn.Upsample(scale_factor=1.5))),
        (
            "conv3-1p1 bilinear1.5 conv3-1",
            nn.Sequential(convolution(3, 1, 1, (1, 1)), nn.Upsample(scale_factor=1.5, mode="linear"), convolution(3)),
        ),
        ("conv3-1/2 as:x gap as:g from:x mul:g conv2-1", nn.Sequential(convolution(3, 2), Gate(), convolution(2))),
        (
            "{ conv3-1p1 | gap up=12 } conv2-1",
            nn.Sequential(
                Both(convolution(3, 1, 1, (1, 1)), nn.Sequential(nn.AdaptiveAvgPool1d(1), nn.Upsample(size=12))),
                convolution(2),
            ),
        ),
        (
            "{ conv3-1p1 | max3 up3 } conv2-1",
            nn.Sequential(
                Both(convolution(3, 1, 1, (1, 1)), nn.Sequential(nn.AvgPool1d(3), nn.Upsample(scale_factor=3))),
                convolution(2),
            ),
        ),
    ],
)
def test_receptive_fields_are_the_spans_of_gradients(words: str, module) -> None:
    assert spans(ones(module), 12) == clipped(trace(parse(words), Shape(1, (12,))), 12)


@pytest.mark.parametrize(("heads", "bias"), [(1, True), (4, True), (8, False)])
def test_attention_has_pytorchs_parameters_and_multiplications(heads: int, bias: bool) -> None:
    from torch.utils.flop_counter import FlopCounterMode

    module = nn.MultiheadAttention(32, heads, bias=bias, batch_first=True)
    module.train()  # the fused path of inference hides its products from the counter
    places = torch.zeros(1, 35, 32)
    with FlopCounterMode(display=False) as counter:
        module(places, places, places, need_weights=True)
    total = together(costs(trace(parse(f"attn{heads}{'' if bias else '-b'}"), Shape(32, (5, 7))), Convention()))
    assert sum(each.numel() for each in module.parameters()) == total.params
    assert counter.get_total_flops() == total.spent.flops


def test_slices_and_heads_have_pytorchs_sizes_and_parameters() -> None:
    first, second = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(4, 6, 3, stride=2)
    x = first(torch.zeros(1, 3, 9, 11))
    assert (
        Shape(6, tuple(second(x[:, 2:6]).shape[2:]))
        == trace(parse("conv3-8p1 slice2:6 conv3-6/2"), Shape(3, (9, 11))).output
    )
