"""Archives of torch.export against PyTorch's own counts: networks written here, exported and read."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from convcli.cli import run

torch = pytest.importorskip("torch")
F = torch.nn.functional
nn = torch.nn
pytestmark = [  # PyTorch's own, when it decomposes, and of its recurrent layers
    pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning"),
    pytest.mark.filterwarnings("ignore:TF32 acceleration on top of oneDNN:UserWarning"),
    pytest.mark.filterwarnings("ignore:The tensor attributes .*_flat_weights:UserWarning"),
]


class Pools(nn.Module):
    """Poolings, resizing, padding, and joins."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 6, 3, 2, groups=3, bias=False)
        self.norm, self.slope = nn.GroupNorm(2, 6), nn.PReLU(6)

    def forward(self, x: Any) -> Any:
        """One map, many ways."""
        x = self.norm(self.a(F.pad(x, (1, 2, 0, 1), mode="reflect")))
        y = self.slope(self.b(x))
        y = F.adaptive_avg_pool2d(y, (5, 3)) + F.adaptive_max_pool2d(y, 1)
        y = F.interpolate(y, x.shape[2:], mode="bilinear", align_corners=False)
        z = F.glu(torch.cat([x.roll(1, 2), y.flip(3), x[:, ::2, :, :]], 1)[:, :14], 1)
        z = torch.stack([F.pixel_shuffle(z[:, :4], 2), F.interpolate(z[:, 4:5], scale_factor=2)], 0)
        return F.avg_pool2d(z.mean(0), 3, 2, 1), z.amax((1, 2, 3))


class Tokens(nn.Module):
    """Attention, einsum, products of matrices, and a table of positions."""

    def __init__(self) -> None:
        super().__init__()
        self.patch, self.qkv, self.out = nn.Conv2d(3, 16, 4, 4), nn.Linear(16, 48), nn.Linear(16, 16, bias=False)
        self.attend = nn.MultiheadAttention(16, 4, batch_first=True)
        self.token, self.norm = nn.Parameter(torch.rand(1, 1, 16)), nn.LayerNorm(16)

    def forward(self, x: Any) -> Any:
        """Classes."""
        x = self.patch(x).flatten(2).mT
        x = self.norm(torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1))
        q, k, v = self.qkv(x).chunk(3, -1)
        scores = torch.einsum("bic,bjc->bij", q, k).softmax(-1)
        heads = q.unflatten(-1, (4, 4)).transpose(1, 2), k[:, None, :, :4], v[:, None, :, 4:8]
        x = x + self.out(scores @ v) + F.scaled_dot_product_attention(*heads, enable_gqa=True).mean()
        return (x + self.attend(x, x, x, need_weights=False)[0])[:, 0]


class Recycled(nn.Module):
    """Weights that two layers share, a volume, a transposed convolution, and numbers written in place."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.same = nn.Conv3d(3, 4, 3, 2, 1), nn.Conv3d(4, 4, 3, padding="same")
        self.again = nn.Conv3d(4, 4, 3, padding="same")
        self.again.weight = self.same.weight
        self.up = nn.ConvTranspose3d(4, 2, 3, 2, 1, output_padding=(1, 0, 1))
        self.head = nn.Sequential(nn.Linear(2, 2), nn.Hardswish(inplace=True), nn.Dropout(), nn.Linear(2, 3))

    def forward(self, x: Any) -> Any:
        """A volume, a stack of planes, and numbers."""
        x = F.relu_(self.again(self.same(self.down(x[:, :, None].repeat(1, 1, 6, 1, 1)))))
        x = F.max_pool3d(self.up(x), 2, ceil_mode=True)
        kept = torch.zeros_like(x)
        kept[:, :, 1:] = x[:, :, :-1]
        with torch.no_grad():
            kept = kept * 2
        return x, kept.unbind(2)[0], self.head(kept.flatten(2).sum(-1))


class Single(nn.Module):
    """One image without a batch, and looks at it that move its axes."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.up = nn.Conv2d(3, 8, 3, 2, 1), nn.ConvTranspose2d(8, 4, 3, 2, 1, 1, groups=2)
        self.line, self.volume = nn.Conv1d(4, 5, 3, padding="same"), nn.Conv3d(1, 2, 3, bias=False)

    def forward(self, x: Any) -> Any:
        """A map, a row, a volume, and a product of two rows."""
        x = F.max_pool2d(self.up(self.a(x[0])), 3, 2, ceil_mode=True)
        _, places = F.max_pool2d(x, 2, return_indices=True)
        x = F.avg_pool2d(x, 2) + F.adaptive_avg_pool2d(x, 1)
        y = self.line(x.flatten(1)).narrow(1, -8, 6)
        z = self.volume(x.movedim(0, -1)[None]).moveaxis((0, 1), (-1, 0)).swapdims(0, 1)
        return x, places, F.max_pool1d(y, 2), z, torch.outer(y[0], y[1]), y.as_strided((2, 2), (1, 2)), y.T


class Recurrent(nn.Module):
    """Sequences: layers in both directions, projections, one without a batch, one without biases, and cells."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.LSTM(60, 7, 2, bidirectional=True, batch_first=True), nn.GRU(14, 6)
        self.c, self.d = nn.RNN(6, 3, bias=False), nn.LSTM(3, 4, 2, proj_size=2)
        self.cells = nn.ModuleList(
            [nn.LSTMCell(6, 5), nn.GRUCell(6, 5), nn.RNNCell(6, 5, bias=False, nonlinearity="relu")]
        )

    def forward(self, x: Any) -> Any:
        """All outputs and states."""
        x, (h, c) = self.a(x.flatten(1, 2).unflatten(2, (2, 12)).transpose(1, 3).flatten(2)[..., :60])
        x, g = self.b(x)
        y, (k, m) = self.d(self.c(x)[0][:, 0])
        ((p, q), r, s) = (cell(x[0]) for cell in self.cells)
        return x, h, c, g, y, k, m, p, q, r, s


NETWORKS = {"pools": Pools, "tokens": Tokens, "recycled": Recycled, "single": Single, "recurrent": Recurrent}


@pytest.fixture(
    scope="module",
    params=[*NETWORKS, "tokens in core operators", "single in core operators", "recurrent in core operators"],
)
def exported(request, tmp_path_factory):
    """A network, its input, and the archive that torch.export.save makes of it, as it is or decomposed."""
    name, _, core = request.param.partition(" ")
    torch.manual_seed(0)
    network, image = NETWORKS[name]().eval(), torch.rand(2, 3, 20, 24)
    path = tmp_path_factory.mktemp("exported") / f"{name}.pt2"
    program = torch.export.export(network, (image,))
    torch.export.save(program.run_decompositions() if core else program, path)
    return network, image, path


def test_costs_and_sizes_are_those_that_pytorch_counts(exported, capsys):
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    network, image, path = exported
    torch.backends.mha.set_fastpath_enabled(False)  # one operator, which is not counted
    without = torch.backends.mkldnn.flags(enabled=False)  # its recurrent layers are not counted
    with torch.no_grad(), without, sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        outputs = network(image)
    assert 0 == run(["flops", str(path), "--json"])
    total = json.loads(capsys.readouterr().out)["total"]
    assert counter.get_total_flops() == 2 * (total["macs"] + total["macs_products"])
    assert sum(p.numel() for p in network.parameters()) == total["params"] + total["params_other"]
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    assert [list(each.shape) for each in outputs] == [*total["outputs"].values()]
    assert total["at_least"] is False


@pytest.mark.filterwarnings("ignore:No complete tensor found:UserWarning")  # PyTorch's own, of strided weights
def test_weights_of_a_network_with_its_channels_last_are_kernels(tmp_path, capsys):
    network = nn.Conv2d(3, 8, 3).to(memory_format=torch.channels_last)
    torch.export.save(torch.export.export(network, (torch.rand(1, 3, 8, 8),)), tmp_path / "m.pt2")
    image = torch.rand(3, 9, 8)
    np.save(tmp_path / "x.npy", image.numpy())
    words = ("--axes", "CYX", "--layer", f"{tmp_path}/m.pt2:conv2d", "-o", f"{tmp_path}/y.npy", "-q")
    assert 0 == run(["conv2d", f"{tmp_path}/x.npy", *words]), capsys.readouterr().err
    np.testing.assert_allclose(network(image[None])[0].detach(), np.load(tmp_path / "y.npy"), atol=2e-5)
