"""`python -m tests.bench.exported [NAME ...]`: models of torchvision and timm, exported, held against PyTorch.

Each model is exported with random weights by one of torch.onnx's exporters, or by torch.export, and what
`convcli flops` says of the file is compared with what PyTorch counts: multiply-adds by its FlopCounterMode
(convolutions and products with weights; products of activations apart), weights and biases of all convolutions and
linear layers, sizes of the outputs. The verdict: exact, "at least", or wrong, which no model may be. `--device meta`
makes, counts and exports models without memory for their weights, which the file then lacks (not by torchscript's
exporter, which runs them).

Needs torch, onnx and onnxscript, and torchvision or timm, both without what they depend on (`pip install --no-deps`):
the operators that torchvision then lacks are declared here. Each model runs in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

LIMIT = 900  # seconds for one model
LEFT_OUT = ("detection", "quantization", "optical_flow")
SIZES = {"inception_v3": 299}
VIDEO = (1, 3, 16, 112, 112)
LARGE_VIDEO = ("mvit_v1_b", "mvit_v2_s", "swin3d_t", "swin3d_s", "swin3d_b", "s3d")
TIMM = """
convnext_nano convnextv2_tiny coatnet_0_rw_224 crossvit_9_240 cspdarknet53 cspresnext50 deit_tiny_patch16_224
densenet121 dla34 dpn68 edgenext_small efficientformer_l1 efficientnet_lite0 efficientnetv2_rw_t efficientvit_b0
ese_vovnet19b_dw fastvit_t8 fbnetc_100 focalnet_tiny_srf gcresnet33ts gcvit_xxtiny ghostnetv2_100 gmixer_24_224
gmlp_s16_224 hardcorenas_a hrnet_w18 inception_resnet_v2 inception_v4 lcnet_050 legacy_senet154 levit_128
mambaout_femto maxvit_tiny_tf_224 mixer_b16_224 mixnet_s mobilenetv3_small_050 mobilenetv4_conv_small mobileone_s0
mobilevit_s mobilevitv2_050 nest_tiny nf_regnet_b1 nfnet_f0 pit_ti_224 poolformer_s12 pvt_v2_b0 regnety_002
repghostnet_050 repvgg_a0 res2net50_14w_8s resmlp_12_224 resnest14d resnetv2_50 rexnet_100 sebotnet33ts_256
selecsls42b semnasnet_075 skresnet18 starnet_s1 swin_tiny_patch4_window7_224 swinv2_tiny_window8_256
tf_efficientnet_b0 tinynet_a tiny_vit_5m_224 tnt_s_patch16_224 tresnet_m twins_pcpvt_small vgg11_bn visformer_tiny
vit_tiny_patch16_224 volo_d1_224 vovnet39a xception41 xcit_nano_12_p16_224
""".split()


def main() -> None:
    """Export and compare the models named, or all of them."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.exported", description=__doc__)
    parser.add_argument("names", nargs="*", help="torchvision:resnet18, timm:vit_tiny_patch16_224; all by default")
    parser.add_argument("--exporter", choices=("torchscript", "dynamo", "export"), default="torchscript")
    parser.add_argument("--device", choices=("cpu", "meta"), default="cpu", help="meta: without weights")
    parser.add_argument("--keep", type=Path, help="a folder for the graphs, which are thrown away otherwise")
    parser.add_argument("--one", action="store_true", help="run one model in this process")
    options = parser.parse_args()
    if options.one:
        print(json.dumps(compared(options.names[0], options.exporter, options.device, options.keep)))
        return
    counts: dict[str, int] = {}
    for name in options.names or [*torchvision_names(), *(f"timm:{name}" for name in TIMM)]:
        verdict, detail = judged(name, options.exporter, options.device, options.keep)
        counts[verdict] = counts.get(verdict, 0) + 1
        print(f"{verdict:12} {name:45} {detail}", flush=True)
    print(", ".join(f"{count} {verdict}" for verdict, count in counts.items()))


def judged(name: str, exporter: str, device: str, keep: Path | None) -> tuple[str, str]:
    """The verdict on one model, in a process of its own, and what differs."""
    command = [sys.executable, "-W", "ignore", "-m", "tests.bench.exported", "--one", name]
    command += ["--exporter", exporter, "--device", device]
    command += ["--keep", str(keep)] if keep else []
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False, env=anew())
    except subprocess.TimeoutExpired:
        return "not exported", f"after {LIMIT} s"
    if done.returncode:
        return "not exported", " ".join(done.stderr.strip().splitlines()[-1:])[:150]
    found = json.loads(done.stdout.splitlines()[-1])
    return verdict_on(found["said"], found["true"])


def anew() -> dict[str, str]:
    """The environment for one more benchmark, which is found in the folder that it is started in."""
    return {key: value for key, value in os.environ.items() if key != "PYTHONSAFEPATH"}


def verdict_on(said: dict[str, Any], true: dict[str, Any]) -> tuple[str, str]:
    """Exact, at least, or wrong; and what differs."""
    if "error" in said:
        return "refused", said["error"].strip()[:150]
    different = [what for what in true if said[what] != true[what]]
    detail = "; ".join(f"{what} {said[what]} for {true[what]}" for what in different)
    if not different and not said["at_least"]:
        return "exact", ""
    is_less = all(said[what] <= true[what] for what in different if what in ("macs", "params", "products"))
    return ("at least" if said["at_least"] and is_less else "wrong"), detail


def torchvision_names() -> Iterator[str]:
    """The models of torchvision for classification, segmentation and video."""
    models = vision()
    for name in models.list_models():
        module = models.get_model_builder(name).__module__
        if not any(word in module for word in LEFT_OUT):
            yield f"torchvision:{name}"


@cache
def vision() -> Any:
    """torchvision.models, where torchvision was installed beside a PyTorch that it was not built for."""
    import torch

    library = torch.library.Library("torchvision", "DEF")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define(
        "roi_align(Tensor input, Tensor rois, float spatial_scale, int pooled_height, int pooled_width, "
        "int sampling_ratio, bool aligned) -> Tensor"
    )
    from torchvision import models

    models.declared = library  # which must outlive this function
    return models


def made(name: str) -> tuple[Any, tuple[int, ...]]:
    """A model, and the size of an input for it."""
    models = vision()
    room, _, short = name.partition(":")
    if room == "timm":
        import timm

        model = timm.create_model(short, pretrained=False)
        return model, (1, *model.default_cfg["input_size"])
    module = models.get_model_builder(short).__module__
    more = {"weights_backbone": None} if "segmentation" in module else {}
    size = SIZES.get(short, 224)
    if "video" in module:
        return models.get_model(short, weights=None), (1, 3, 16, size, size) if short in LARGE_VIDEO else VIDEO
    return models.get_model(short, weights=None, **more), (1, 3, size, size)


def filled(model: Any) -> Any:
    """The model with random weights, no two of them alike: exporters put equal ones together."""
    import torch

    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for tensor in model.parameters():
            tensor.uniform_(0.01, 0.02, generator=generator)
        for name, tensor in model.named_buffers():
            if name.endswith(("running_mean", "running_var")):
                tensor.uniform_(0.5, 1, generator=generator)
    return model.eval()


def compared(name: str, exporter: str, device: str, keep: Path | None) -> dict[str, Any]:
    """What convcli says of a model, and what is true."""
    import torch

    torch.backends.mha.set_fastpath_enabled(False)  # one operator that no exporter knows
    vision()
    with torch.device("cpu" if "regnet" in name else device):  # RegNets compute their widths by tensors
        model, size = made(name)
    with torch.device(device):
        model, image = filled(model.to(device)), torch.rand(size)
        true = counted(model, image) | {"params": sum(parameters(model, has_buffers=exporter != "export").values())}
        with tempfile.TemporaryDirectory() as folder, torch.no_grad():
            path = keep_folder(keep, folder) / f"{name.replace(':', '-')}-{exporter}"
            file = path.with_name(path.name + (".pt2" if exporter == "export" else ".onnx"))
            EXPORTERS[exporter](model, [image], file)
            if keep:
                file.with_suffix(".json").write_text(json.dumps(true))
            return {"said": said_of(file), "true": true}


def keep_folder(keep: Path | None, other: str) -> Path:
    """The folder of the files: the one to keep them in, or another one."""
    folder = keep or Path(other)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def by_export(model: Any, inputs: Sequence[Any], path: Path) -> None:
    """An archive of torch.export."""
    import torch

    torch.export.save(torch.export.export(model, tuple(inputs)), path)


def by_dynamo(model: Any, inputs: Sequence[Any], path: Path) -> None:
    """ONNX as torch.onnx writes it today, its large or absent weights in a file that does not exist."""
    import onnx_ir
    import torch

    program = torch.onnx.export(model, tuple(inputs), dynamo=True, optimize=False, verbose=False)
    assert program is not None
    for graph in program.model.graphs():
        for value in graph.initializers.values():
            there = value.const_value
            assert there is not None
            if there.nbytes > SMALL or there.raw.is_meta:
                value.const_value = onnx_ir.ExternalTensor(
                    "absent.bin", 0, there.nbytes, there.dtype, shape=there.shape, name=value.name
                )
    path.write_bytes(onnx_ir.serde.serialize_model(program.model).SerializeToString())


def by_torchscript(model: Any, inputs: Sequence[Any], path: Path) -> None:
    """ONNX as torch.onnx wrote it until PyTorch 2.8, its large weights left out."""
    import torch

    kept = torch.onnx.TrainingMode.PRESERVE  # batch normalisation is not folded into convolutions
    torch.onnx.export(model, tuple(inputs), str(path), dynamo=False, opset_version=17, training=kept)
    path.write_bytes(without_weights(path))


EXPORTERS = {"torchscript": by_torchscript, "dynamo": by_dynamo, "export": by_export}
SMALL = 4096  # bytes of a tensor that is kept: sizes, and what computes them


def counted(model: Any, *inputs: Any) -> dict[str, Any]:
    """What PyTorch counts."""
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        output = model(*inputs)
    flops = {str(operation): count for operation, count in counter.get_flop_counts()["Global"].items()}
    products = sum(count for operation, count in flops.items() if "bmm" in operation or "dot_product" in operation)
    outputs = output.values() if isinstance(output, dict) else output if isinstance(output, (list, tuple)) else [output]
    return {
        "macs": (sum(flops.values()) - products) // 2,
        "products": products // 2,
        "outputs": [list(each.shape) for each in outputs],
    }


TRAINING = ("aux1", "aux2", "AuxLogits", "aux_classifier")
"""Modules of torchvision that run in training alone."""
DIRECT = {
    "PosEmbedRel": ("height_rel", "width_rel"),
    "WindowAttention": ("q_bias", "k_bias", "v_bias"),
    "BlurPool2d": ("filt",),
}
"""Modules of timm that multiply by, or add as a bias, what is no layer's weight: by `@` and by torch.nn.functional."""


def parameters(model: Any, *, has_buffers: bool) -> dict[int, int]:
    """The numbers in weights and biases of all convolutions and linear layers but those for training, each once.

    An ONNX file does not say which weights are buffers, such as the filter of a BlurPool2d.
    """
    import torch
    from torch import nn

    found = {}
    for name, module in model.named_modules():
        if name.partition(".")[0] in TRAINING:
            continue
        if isinstance(module, (nn.modules.conv._ConvNd, nn.Linear)):
            found |= {id(each): each.numel() for each in module.parameters(recurse=False)}
        elif type(module).__name__ in DIRECT:
            some = (getattr(module, each, None) for each in DIRECT[type(module).__name__])
            kinds = (nn.Parameter, torch.Tensor) if has_buffers else (nn.Parameter,)
            found |= {id(each): each.numel() for each in some if isinstance(each, kinds)}
        elif isinstance(module, nn.MultiheadAttention):
            found |= {
                id(each): each.numel() for each in (module.in_proj_weight, module.in_proj_bias) if each is not None
            }
    return found


def said_of(path: Path) -> dict[str, Any]:
    """What convcli says of a file."""
    command = [sys.executable, "-m", "convcli", "flops", str(path), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return {"error": done.stderr}
    total = json.loads(done.stdout)["total"]
    return {
        "macs": total["macs"],
        "products": total["macs_products"],
        "params": total["params"],
        "outputs": list(total["outputs"].values()),
        "at_least": total["at_least"],
    }


def without_weights(path: Path) -> bytes:
    """The file with large tensors left out."""
    import onnx

    model = onnx.load(path, load_external_data=False)
    for tensor in model.graph.initializer:
        if len(tensor.raw_data) > SMALL:
            onnx.external_data_helper.set_external_data(tensor, "absent.bin")
            tensor.ClearField("raw_data")
    return model.SerializeToString()


if __name__ == "__main__":
    main()
