"""`python tests/make_exported.py` makes tests/graphs/small.pt2, an archive of torch.export, and what is true of it.

Made by PyTorch 2.13.0 on the CPU; its weights are random, of the seed 0. Needs torch, and numpy for the first layer's
result. What lies in the archive as a pickle (the sample inputs) is left out: nothing here opens one.
"""

from __future__ import annotations

import json
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

GRAPHS = Path(__file__).parent / "graphs"
SIZE = (1, 3, 33, 32)


class Block(nn.Module):
    """Two convolutions, of which one is grouped, and a way around them."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(8, 8, 3, padding=1, groups=2, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.second = nn.Conv2d(8, 8, 3, padding="same", dilation=2)

    def forward(self, x: Any) -> Any:
        """Both ways, added."""
        return x + self.second(torch.relu_(self.norm(self.first(x))))


class Small(nn.Module):
    """A bit of everything that changes sizes or multiplies."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2, 1)
        self.blocks = nn.Sequential(Block(), Block())
        self.pool = nn.MaxPool2d(3, 2, 1, ceil_mode=True)
        self.qkv = nn.Linear(8, 24)
        self.out = nn.Linear(8, 8)
        self.up = nn.ConvTranspose2d(8, 4, 2, 2)
        self.head = nn.Linear(8, 10)

    def forward(self, x: Any) -> Any:
        """Classes, and a map."""
        x = self.pool(self.blocks(self.stem(x)))
        tokens = x.flatten(2).transpose(1, 2)
        q, k, v = self.qkv(tokens).reshape(1, -1, 3, 2, 4).permute(2, 0, 3, 1, 4).unbind(0)
        seen = nn.functional.scaled_dot_product_attention(q, k, v)
        tokens = tokens + self.out(seen.transpose(1, 2).flatten(2))
        x = tokens.transpose(1, 2).reshape(x.shape)
        return self.head(x.mean((2, 3))), torch.cat([self.up(x), self.up(x)], 1)


def main() -> None:
    """Write the archive and the truth."""
    warnings.simplefilter("ignore")
    torch.manual_seed(0)
    model, image = Small().eval(), torch.rand(SIZE)
    target = GRAPHS / "small.pt2"
    torch.export.save(torch.export.export(model, (image,)), target)
    without_pickles(target)
    layer = model.stem(image).detach()
    truth = {**counted(model, image), "stem": [round(float(layer[0, c, 8, 8]), 6) for c in range(8)]}
    truth["pixels"] = [[[round(float(v), 8) for v in row] for row in plane] for plane in image[0, :, 15:18, 15:18]]
    (GRAPHS / "small.json").write_text(json.dumps(truth) + "\n")


def counted(model: Any, image: Any) -> dict[str, Any]:
    """What PyTorch counts: multiply-adds with weights, those of two activations, parameters, sizes of outputs."""
    from torch.nn.attention import SDPBackend, sdpa_kernel

    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        outputs = model(image)
    flops = {str(operation): count for operation, count in counter.get_flop_counts()["Global"].items()}
    products = sum(count for operation, count in flops.items() if "bmm" in operation)
    norms = sum(p.numel() for m in model.modules() if isinstance(m, nn.BatchNorm2d) for p in m.parameters())
    return {
        "macs": (sum(flops.values()) - products) // 2,
        "products": products // 2,
        "params": sum(p.numel() for p in model.parameters()) - norms,
        "others": norms,
        "outputs": [list(each.shape) for each in outputs],
    }


def without_pickles(path: Path) -> None:
    """Leave out the sample inputs, and compress the graph, as any zip program may."""
    with zipfile.ZipFile(path) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            how = zipfile.ZIP_DEFLATED if name.endswith(".json") else zipfile.ZIP_STORED
            if "sample_inputs" not in name:
                archive.writestr(zipfile.ZipInfo(name), data, how)


if __name__ == "__main__":
    main()
