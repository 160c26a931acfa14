"""`python tests/make_attention.py` makes tests/graphs/attention.zip, networks with attention by every exporter.

Small ones of the classes of torchvision and PyTorch, exported without weights by torch.onnx (both exporters) and by
torch.export, and what PyTorch's FlopCounterMode counts of them. Needs what `tests.bench.exported` needs.
"""

from __future__ import annotations

import io
import json
import tempfile
import warnings
import zipfile
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import nn

from tests.bench.exported import EXPORTERS, counted, parameters, vision
from tests.make_exported import GRAPHS

NOT_BY = {("transformer", "torchscript")}
"""What PyTorch 2.13 cannot export: a flag of its mask is a tensor there."""

FEW = 64  # bytes of floats that are kept


def networks() -> dict[str, tuple[Any, tuple[tuple[int, ...], ...]]]:
    """Networks by name, each with the sizes of its inputs."""
    models = vision()
    layer = nn.TransformerEncoderLayer(32, 4, 64)
    return {
        "vit": (models.VisionTransformer(32, 8, 2, 2, 32, 64, num_classes=10), ((1, 3, 32, 32),)),
        "swin": (models.SwinTransformer([4, 4], 24, [2, 2], [3, 6], [4, 4], num_classes=10), ((1, 3, 64, 64),)),
        "encoder": (nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), ((10, 3, 32),)),
        "transformer": (nn.Transformer(32, 4, 1, 1, 64, batch_first=True), ((1, 10, 32), (1, 7, 32))),
    }


def main() -> None:
    """Write the graphs and the truth."""
    warnings.simplefilter("ignore")
    torch.backends.mha.set_fastpath_enabled(False)
    found: dict[str, bytes] = {}
    truth = {}
    for name, (made, sizes) in networks().items():
        torch.manual_seed(0)
        network = made.eval().requires_grad_(False)
        for parameter in network.parameters():
            parameter.uniform_(0.01, 0.02)
        images = tuple(map(torch.rand, sizes))
        params = sum(parameters(network, has_buffers=False).values())
        truth[name] = counted(network, *images) | {"params": params, "inputs": sizes}
        for exporter, export in EXPORTERS.items():
            if (name, exporter) not in NOT_BY:
                found[f"{name}-{exporter}"] = exported(export, network, images)
    with zipfile.ZipFile(GRAPHS / "attention.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in found.items():
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    (GRAPHS / "attention.json").write_text(json.dumps(truth, indent=1) + "\n")


def exported(export: Any, network: Any, images: tuple[Any, ...]) -> bytes:
    """What an exporter makes, without weights and without what it says of the Python code."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.pt2"
        if export is EXPORTERS["export"]:
            export(network.to("meta"), [image.to("meta") for image in images], path)
            return graph_alone(path)
        export(network, images, path)
        model = onnx.load(path, load_external_data=False)
    for node in model.graph.node:
        node.ClearField("doc_string")
        node.ClearField("metadata_props")
    for value in (*model.graph.value_info, *model.graph.input, *model.graph.output, *model.graph.initializer):
        value.ClearField("metadata_props")
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT and len(tensor.raw_data) > FEW:
            onnx.external_data_helper.set_external_data(tensor, "absent.bin")
            tensor.ClearField("raw_data")
    return model.SerializeToString()


def graph_alone(path: Path) -> bytes:
    """An archive with nothing but its graph, from whose calls the Python code is left out."""
    stream = io.BytesIO()
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(stream, "w") as made:
        for info in archive.infolist():
            data = archive.read(info)
            if info.filename.endswith("model.json"):
                graph = json.loads(data)
                for call in graph["graph_module"]["graph"]["nodes"]:
                    call["metadata"] = {}
                data = json.dumps(graph).encode()
            if "sample_inputs" not in info.filename and not info.filename.endswith("_0"):
                made.writestr(zipfile.ZipInfo(info.filename), data)
    return stream.getvalue()


if __name__ == "__main__":
    main()
