"""`python -m tests.bench.printed [NAME ...]`: models of torchvision and timm as printed, held against PyTorch's hooks.

Each model is built without memory (on the meta device), printed, read by `--from torch`, and run once with hooks on its
convolutions and linear layers. A total that is given must be exact in multiply-adds, parameters and output; a printout
whose order is not proven must be refused. `--keep DIR` writes the printouts and their true numbers, as tests read them.

Needs what `tests.bench.exported` needs, without onnx. Exit code 1 where any total is wrong.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from convcli.errors import ConvError
from convcli.networks.costs import Convention, costs, together
from convcli.networks.network import Shape
from convcli.networks.readers.torch_printout import read_printout
from convcli.networks.trace import trace
from tests.bench.exported import TIMM, vision

declared = cache(vision)
"""torchvision.models, whose operators can be declared once."""
MORE_TIMM = """
efficientnet_b0 fbnetc_100 ghostnet_100 mnasnet_100 mobilenetv2_100 mobilenetv3_large_100 mobilenetv3_small_100
regnetx_002 regnety_008 resnet18 resnet26d resnet50 resnext50_32x4d seresnet50 spnasnet_100 tf_mobilenetv3_small_100
vgg11 vgg16_bn wide_resnet50_2
""".split()
VIDEO = ("mc3_18", "r2plus1d_18", "r3d_18")
LARGE_VIDEO = ("mvit_v1_b", "mvit_v2_s", "swin3d_t", "swin3d_s", "swin3d_b", "s3d")
WITHOUT_COUNT = ("detection", "optical_flow")
"""Models that are only printed: what they compute depends on what they see."""


def main() -> None:
    """Print, read and compare the models named, or all of them."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.printed", description=__doc__)
    parser.add_argument("names", nargs="*", help="torchvision:resnet18, timm:resnet18; all by default")
    parser.add_argument("--keep", type=Path, help="a folder for the printouts and their numbers")
    options = parser.parse_args()
    found: Counter[str] = Counter()
    truth = {}
    for name in options.names or [
        *torchvision_names(),
        *(f"timm:{name}" for name in dict.fromkeys([*TIMM, *MORE_TIMM])),
    ]:
        printed, shape, true = model_numbers(name)
        verdict, detail = verdict_on(printed, shape, true)
        found[f"{name.partition(':')[0]} {verdict}"] += 1
        print(f"{verdict:8} {name:45} {detail}", flush=True)
        truth[name] = {"input": str(shape), "verdict": verdict} | true
        if options.keep:
            (options.keep / f"{name.replace(':', '-')}.txt").write_text(f"{printed}\n")
            (options.keep / "truth.json").write_text(json.dumps(truth, indent=1) + "\n")
    print(", ".join(f"{count} {what}" for what, count in sorted(found.items())))
    sys.exit(any("wrong" in what for what in found))


def torchvision_names() -> Iterator[str]:
    """Every model of torchvision but the quantized ones, which print other layers."""
    models = declared()
    for name in models.list_models():
        if "quantization" not in models.get_model_builder(name).__module__:
            yield f"torchvision:{name}"


def verdict_on(printed: str, shape: Shape, true: dict[str, Any]) -> tuple[str, str]:
    """Exact, refused or wrong; and why."""
    try:
        traced = trace(read_printout(printed).network, shape)
    except ConvError as error:
        return "refused", error.message[:80]
    total = together(costs(traced, Convention()))
    said = {"macs": total.macs, "params": total.params, "output": str(traced.output)}
    different = [f"{what} {said[what]} for {true.get(what)}" for what in said if said[what] != true.get(what)]
    return ("wrong", "; ".join(different)) if different else ("exact", "")


def model_numbers(name: str) -> tuple[str, Shape, dict[str, Any]]:
    """How a model is printed, an input for it, and its true numbers; none where it is only printed."""
    import torch

    with torch.device("meta"):
        model, sizes = built(name)
        model.eval()
        text, shape = repr(model), Shape(sizes[0], sizes[1:])
        if sizes[0] == 0:
            return text, Shape(3, (224, 224)), {}
        return text, shape, counted(model, torch.zeros(1, *sizes))


def built(name: str) -> tuple[Any, tuple[int, ...]]:
    """A model and the size of an input for it, whose channels are 0 where it is only printed."""
    models = declared()
    room, _, short = name.partition(":")
    if room == "timm":
        import timm

        model = timm.create_model(short, pretrained=False)
        return model, tuple(model.pretrained_cfg["input_size"])
    module = models.get_model_builder(short).__module__
    more = {"weights_backbone": None} if "segmentation" in module or "detection" in module else {}
    made = on_the_processor(lambda: models.get_model(short, weights=None, **more)) if "regnet" in short else None
    made = made or models.get_model(short, weights=None, **more)
    frames = (3, 16, 112, 112) if short in VIDEO else (3, 16, 224, 224) if short in LARGE_VIDEO else ()
    size = 299 if short == "inception_v3" else 224
    return made, (0,) if any(word in module for word in WITHOUT_COUNT) else frames or (3, size, size)


def on_the_processor(make: Any) -> Any:
    """A RegNet, whose widths are computed by tensors that must have numbers."""
    import torch
    from torchvision.models import regnet

    computed = regnet.BlockParams.from_init_params

    def with_numbers(*given: Any, **named: Any) -> Any:
        with torch.device("cpu"):
            return computed(*given, **named)

    regnet.BlockParams.from_init_params = with_numbers
    try:
        return make()
    finally:
        regnet.BlockParams.from_init_params = computed


def counted(model: Any, x: Any) -> dict[str, Any]:
    """Multiply-adds by hooks on the layers that run, parameters, and the output."""
    import torch
    from torch import nn

    transposed = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
    macs = 0

    def hook(layer: Any, given: Any, made: Any) -> None:
        nonlocal macs
        places = given[0] if isinstance(layer, transposed) else made
        macs += places.numel() * layer.weight[0].numel()

    layers = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, *transposed)
    hooks = [layer.register_forward_hook(hook) for layer in model.modules() if isinstance(layer, layers)]
    with torch.no_grad():
        made = model(x)
    for each in hooks:
        each.remove()
    made = made.get("out") if isinstance(made, dict) else made
    output = str(Shape(made.shape[1], tuple(made.shape[2:]))) if isinstance(made, torch.Tensor) else ""
    return {"macs": macs, "params": sum(each.numel() for each in model.parameters()), "output": output}


if __name__ == "__main__":
    main()
