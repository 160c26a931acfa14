"""`python -m tests.bench.fields`: receptive fields of real models, held against the span of the gradient in PyTorch.

A part of each model is exported to ONNX, and what its output is said to see at some places near the middle is compared
with the pixels that these outputs have a gradient to. Weights are positive, so that nothing cancels, and maximum
poolings are averages, whose gradient reaches all that they look at. Needs what `tests.bench.exported` needs.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.bench.exported import made

MODELS = {
    "alexnet": ("features", (256, 256)),
    "vgg11_bn": ("features", (320, 320)),
    "resnet18": ("layer4", (576, 544)),
    "googlenet": ("inception4d", (448, 448)),
    "squeezenet1_1": ("features", (320, 320)),
    "densenet121": ("features.denseblock2", (320, 320)),
    "mobilenet_v2": ("features", (640, 608)),
    "mobilenet_v3_small": ("features.3", (224, 224)),
    "shufflenet_v2_x0_5": ("stage4", (640, 640)),
    "mnasnet0_5": ("layers.9", (320, 320)),
    "efficientnet_b0": ("features.2", (192, 192)),
    "convnext_tiny": ("features.3", (320, 320)),
    "swin_t": ("features.2", (224, 224)),
    "fcn_resnet50": ("backbone.layer2", (288, 256)),
    "lraspp_mobilenet_v3_large": ("classifier", (224, 192)),
    "r3d_18": ("layer2", (16, 96, 96)),
    "timm:mobilevit_s": ("stages.2", (192, 160)),
    "timm:mobilevitv2_050": ("stages.3", (192, 160)),
}
"""Which part of which model, on an image of which size: one larger than what its middle sees."""


def main() -> None:
    """Compare the models named on the command line, or all."""
    names = sys.argv[1:] or list(MODELS)
    wrong = 0
    for name in names:
        found = list(differences(name))
        wrong += bool(found)
        print(f"{'wrong' if found else 'equal':6} {name:28} {'; '.join(found)}", flush=True)
    print(f"{len(names) - wrong} of {len(names)} equal")
    raise SystemExit(bool(wrong))


def differences(name: str) -> Iterator[str]:
    """Places of a model's part that see other pixels than is said."""
    import torch

    part, size = MODELS[name]
    model = Part(name, part)
    image = torch.rand((1, 3, *size), dtype=torch.float64) + 0.5
    seen, sizes = said(model.float(), image.float())
    model = model.double()
    for shift in (0, 1, 3):
        place = tuple(n // 2 + shift if n // 2 + shift < n else n // 2 for n in sizes)
        true = spans(model, image, place)
        told = [within(field.at(u) if field else None, n) for field, u, n in zip(seen, place, size, strict=True)]
        if true != told:
            yield f"at {place} {told} for {true}"
    if not shift:
        yield "nothing compared"


def within(interval: tuple[int, int] | None, size: int) -> tuple[int, int] | None:
    """The pixels of an interval that there are."""
    return interval and (max(0, interval[0]), min(size - 1, interval[1]))


def Part(name: str, part: str) -> Any:  # noqa: N802 -- a class that needs torch
    """A model up to one of its modules."""
    import torch
    from torch import nn

    model, _ = made(name if ":" in name else f"torchvision:{name}")

    class Whole(nn.Module):
        """The model, which returns what the module makes."""

        def __init__(self) -> None:
            super().__init__()
            self.model, self.kept = model, None
            model.get_submodule(part).register_forward_hook(self.keep)

        def keep(self, _module: Any, _given: Any, result: Any) -> None:
            self.kept = result

        def forward(self, image: Any) -> Any:
            self.model(image)
            return self.kept.permute(0, 3, 1, 2) if name.startswith("swin") else self.kept

    generator = torch.Generator().manual_seed(0)
    for module in [*model.modules()]:
        for key, child in [*module.named_children()]:
            if isinstance(child, (nn.MaxPool2d, nn.MaxPool3d)):
                kind = nn.AvgPool2d if isinstance(child, nn.MaxPool2d) else nn.AvgPool3d
                setattr(module, key, kind(child.kernel_size, child.stride, child.padding, child.ceil_mode))
    with torch.no_grad():
        for tensor in model.parameters():
            tensor.uniform_(0.5, 1.5, generator=generator).div_(tensor[0].numel() if tensor.dim() > 1 else 10)
    return Whole().eval()


def said(model: Any, image: Any) -> tuple[list[Any], list[int]]:
    """What convcli says that the output sees, and its sizes."""
    import torch

    from convcli.networks.onnx.graph import Asked, graph_of
    from convcli.networks.onnx.model import read_model

    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        path = Path(folder) / "model.onnx"
        torch.onnx.export(model, (image,), str(path), dynamo=False, opset_version=17)
        walked = graph_of(read_model(str(path)), Asked({}))
    value = next(iter(walked.outputs.values()))
    return [axis.field for axis in value.seen], list(value.dims[2:])


def spans(model: Any, image: Any, place: tuple[int, ...]) -> list[tuple[int, int] | None]:
    """The first and the last pixel of each axis that an output has a gradient to."""
    image = image.clone().requires_grad_()
    model(image)[(slice(None), slice(None), *place)].sum().backward()
    touched = image.grad[0].abs().sum(0) > 0
    found = []
    for axis in range(touched.dim()):
        others = [d for d in range(touched.dim()) if d != axis]
        pixels = touched.amax(others).nonzero().flatten().tolist() if others else []
        found.append((pixels[0], pixels[-1]) if pixels else None)
    return found


if __name__ == "__main__":
    main()
