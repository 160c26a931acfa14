"""Files that hold a model: ONNX graphs and archives of torch.export, told apart by their first bytes."""

from __future__ import annotations

from convcli.networks.onnx.model import Model, is_onnx, parse_model, read_model

SUFFIXES = (".onnx", ".pt2")
HEAD = 4
"""Bytes that tell."""
ZIP = b"PK\x03\x04"
"""How an archive of torch.export begins, as every zip; what else is one is refused where it is read."""


def is_model(head: bytes) -> bool:
    """True where a file begins as a model does.

    >>> is_model(b"PK\\x03\\x04"), is_model(b"\\x08\\x08\\x12\\x07"), is_model(b"conv3-64")
    (True, True, False)
    """
    return head.startswith(ZIP) or is_onnx(head)


def read(path: str) -> Model:
    """The model in a file; weights are not read."""
    with open(path, "rb") as stream:  # noqa: PTH123 -- pathlib takes 5 ms to import
        is_zip = stream.read(HEAD) == ZIP
    if not is_zip:
        return read_model(path)
    from convcli.networks.exported.archive import read_archive

    return read_archive(path)


def parse(data: bytes, folder: str = "") -> Model:
    """The model in bytes; `folder` is where files of weights lie."""
    if not data.startswith(ZIP):
        return parse_model(data, folder)
    from convcli.networks.exported.archive import parse_archive

    return parse_archive(data)
