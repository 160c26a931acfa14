"""Sizes, parameters and multiply-adds against PyTorch itself."""

import random

import pytest

from convcli.errors import UsageError
from convcli.networks.costs import Convention, costs, together
from convcli.networks.network import Shape
from convcli.networks.notation import parse
from convcli.networks.readers.torch_printout import read_printout
from convcli.networks.rules import Rules
from convcli.networks.trace import trace
from printouts import ALEXNET, DCGAN

torch = pytest.importorskip("torch", reason="PyTorch is not installed: sizes cannot be compared with it")
nn = torch.nn

CONVOLUTIONS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
POOLINGS = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}


def shape_of(module, shape: Shape) -> Shape | None:
    """What PyTorch makes of a shape; None where it refuses."""
    try:
        with torch.no_grad():
            made = module(torch.zeros(1, shape.channels, *shape.spatial))
    except RuntimeError:
        return None
    return Shape(made.shape[1], tuple(made.shape[2:])) if made.numel() else None  # nothing left is a mistake here


def ours(words: str, shape: Shape) -> Shape | None:
    """What we make of a shape under PyTorch's rules; None where we refuse."""
    try:
        return trace(parse(words), shape, Rules(framework="torch")).output
    except UsageError:
        return None


def numbers(random_: random.Random, axes: int, *ranges: tuple[int, int]) -> list[tuple[int, ...]]:
    """A random number for each axis, for each range."""
    return [tuple(random_.randint(*limits) for _ in range(axes)) for limits in ranges]


def text(values: tuple[int, ...]) -> str:
    """Numbers as the notation writes them."""
    return "x".join(map(str, values))


def test_convolutions_have_pytorchs_sizes_and_parameters() -> None:
    random_, refused = random.Random(0), 0
    for _ in range(200):
        axes, groups = random_.choice([1, 2, 3]), random_.choice([1, 2])
        n, k, s, p, d = numbers(random_, axes, (1, 9), (1, 4), (1, 3), (0, 2), (1, 2))
        module = CONVOLUTIONS[axes](4, 6, k, s, p, d, groups)
        words = f"conv{text(k)}-6/{text(s)}p{text(p)}d{text(d)}g{groups}"
        expected = shape_of(module, Shape(4, n))
        assert expected == ours(words, Shape(4, n)), words
        refused += expected is None
        if expected:
            total = together(costs(trace(parse(words), Shape(4, n)), Convention()))
            assert sum(parameter.numel() for parameter in module.parameters()) == total.params
    assert 10 < refused < 150


def test_transposed_convolutions_have_pytorchs_sizes_and_parameters() -> None:
    random_, refused = random.Random(1), 0
    for _ in range(200):
        axes, groups = random_.choice([1, 2, 3]), random_.choice([1, 2])
        n, k, s, p, d, extra = numbers(random_, axes, (1, 5), (1, 4), (1, 3), (0, 2), (1, 2), (0, 2))
        module = TRANSPOSED[axes](4, 6, k, s, p, extra, groups, dilation=d)
        words = f"tconv{text(k)}-6/{text(s)}p{text(p)}d{text(d)}o{text(extra)}g{groups}"
        expected = shape_of(module, Shape(4, n))
        assert expected == ours(words, Shape(4, n)), words
        refused += expected is None
        if expected:
            total = together(costs(trace(parse(words), Shape(4, n)), Convention()))
            assert sum(parameter.numel() for parameter in module.parameters()) == total.params
    assert 10 < refused < 190


def test_transposed_convolutions_reach_the_output_size_that_pytorch_reaches() -> None:
    random_ = random.Random(2)
    for _ in range(200):
        n, k, s, p, wanted = (random_.randint(a, b) for a, b in ((1, 6), (1, 4), (1, 3), (0, 1), (1, 20)))
        module = nn.ConvTranspose1d(1, 1, k, s, p)
        try:
            made = module(torch.zeros(1, 1, n), output_size=[wanted]).shape[2]
        except (RuntimeError, ValueError):
            made = None
        found = ours(f"tconv{k}-1/{s}p{p}={wanted}", Shape(1, (n,)))
        assert made == (found.spatial[0] if found else None), (n, k, s, p, wanted)


@pytest.mark.parametrize("ceil", [False, True])
def test_poolings_have_pytorchs_sizes(ceil: bool) -> None:
    random_ = random.Random(3)
    for _ in range(300):
        axes = random_.choice([1, 2, 3])
        n, k, s, p = numbers(random_, axes, (1, 12), (1, 4), (1, 4), (0, 2))
        module = POOLINGS[axes](k, s, p, ceil_mode=ceil)
        words = f"max{text(k)}/{text(s)}p{text(p)}{'ceil' * ceil}"
        assert shape_of(module, Shape(2, n)) == ours(words, Shape(2, n)), words


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")  # it copies; the size is what counts here
def test_same_padding_and_adaptive_pooling_and_upsampling_have_pytorchs_sizes() -> None:
    random_ = random.Random(4)
    for _ in range(100):
        n, k, d, m, f = (random_.randint(1, limit) for limit in (12, 5, 3, 9, 4))
        shape = Shape(4, (n, n + 1))
        assert shape_of(nn.Conv2d(4, 2, k, padding="same", dilation=d), shape) == ours(f"conv{k}-2psd{d}", shape)
        assert shape_of(nn.AdaptiveAvgPool2d(m), shape) == ours(f"avg={m}", shape)
        assert shape_of(nn.Upsample(scale_factor=f), shape) == ours(f"up{f}", shape)
        assert shape_of(nn.PixelShuffle(2), shape) == ours("shuffle2", shape)


def test_adaptive_pooling_reads_the_pixels_that_pytorch_reads() -> None:
    """Each output of an average depends on exactly the inputs of non-zero gradient."""
    for n in range(1, 12):
        for m in range(1, 10):
            axis = trace(parse(f"avg={m}"), Shape(1, (n,))).steps[0].applied.axes[0]
            for u in range(m):
                image = torch.zeros(1, 1, n, requires_grad=True)
                nn.AdaptiveAvgPool1d(m)(image)[0, 0, u].backward()
                assert torch.nonzero(image.grad[0, 0]).flatten().tolist() == list(axis.reads(u)), (n, m, u)


def random_model(random_: random.Random):
    """A random Sequential, some of it nested."""
    channels, modules = 3, []
    for _ in range(random_.randint(1, 6)):
        out = random_.choice([2, 4, 6])
        k, s, p = random_.randint(1, 3), random_.randint(1, 2), random_.randint(0, 1)
        module = random_.choice(
            [
                nn.Conv2d(channels, out, k, s, p, bias=random_.random() < 0.5),
                nn.ConvTranspose2d(channels, out, k + 1, s, p),
                nn.Sequential(nn.Conv2d(channels, out, (k, k + 1), padding="same"), nn.BatchNorm2d(out), nn.ReLU()),
                nn.Sequential(nn.GroupNorm(1, channels), nn.PReLU(channels), nn.Conv2d(channels, out, 1)),
            ]
        )
        modules.append(module)
        channels = out
        modules.append(
            random_.choice([nn.MaxPool2d(2, ceil_mode=True), nn.Tanh(), nn.Upsample(scale_factor=2), nn.Dropout()])
        )
    return nn.Sequential(
        nn.Sequential(*modules), nn.AdaptiveAvgPool2d((2, 3)), nn.Flatten(), nn.Linear(6 * channels, 5)
    )


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
def test_random_printed_models_have_pytorchs_shapes_parameters_and_multiplications() -> None:
    random_, held = random.Random(5), 0
    for _ in range(40):
        model = random_model(random_).eval()
        shape = Shape(3, (12, 11))
        expected = shape_of(model, shape)
        network = read_printout(str(model)).network
        if expected is None:
            with pytest.raises(UsageError):
                trace(network, shape)
            continue
        held += 1
        traced = trace(network, shape)
        total = together(costs(traced, Convention()))
        assert (expected, sum(p.numel() for p in model.parameters())) == (traced.output, total.params)
        assert counted(model, shape) == total.macs
    assert held > 20


def counted(model, shape: Shape) -> int:
    """Multiply-adds by PyTorch's own counter, which counts two FLOPs for each."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(1, shape.channels, *shape.spatial))
    return counter.get_total_flops() // 2


def test_the_printouts_of_the_tests_are_what_pytorch_prints() -> None:
    """Since PyTorch 2.13 normalisations also print their bias."""
    layers = []
    for channels, out, first in ((100, 512, True), (512, 256, False), (256, 128, False), (128, 64, False)):
        step = {} if first else {"stride": 2, "padding": 1}
        layers += [nn.ConvTranspose2d(channels, out, 4, bias=False, **step), nn.BatchNorm2d(out), nn.ReLU(inplace=True)]
    layers += [nn.ConvTranspose2d(64, 3, 4, 2, 1, bias=False), nn.Tanh()]

    class Generator(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.main = nn.Sequential(*layers)

    assert f"{Generator()}\n".replace(", bias=True, track", ", track") == DCGAN
    features = str(nn.Sequential(nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2)))
    assert all(line.strip() in ALEXNET for line in features.splitlines()[1:-1])
