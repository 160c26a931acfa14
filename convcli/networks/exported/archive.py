"""The zip that torch.export.save writes: a graph as JSON, and beside it the bytes of every weight.

Layout: torch/export/pt2_archive/constants.py. What lies in it as a pickle (sample inputs, odd tensors) is not opened.
"""

from __future__ import annotations

import io
import json
import mmap
import os
import zipfile
import zlib
from struct import error as StructError  # noqa: N812 -- it is a class
from struct import unpack_from
from typing import IO

from convcli.errors import ConvError
from convcli.networks.exported.fields import Fields, as_fields, damaged
from convcli.networks.exported.program import Payload, model_of
from convcli.networks.onnx.model import Model
from convcli.networks.onnx.wire import Buffer, Span

MOST_JSON = 1 << 27
"""Bytes of a graph; that of a network with 2,000 layers has a hundredth of it."""
LOCAL_HEADER = 30
"""Bytes before the name in the header of each member."""
UNSOUND = (
    *(zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, StructError, EOFError, NotImplementedError),
    *(RuntimeError, ValueError, OverflowError),  # encrypted members; places before the file; sizes beyond it
)
"""What the standard library says of a damaged zip."""


def read_archive(path: str) -> Model:
    """The model in a file; weights are not read."""
    with open(path, "rb") as stream:  # noqa: PTH123 -- pathlib takes 5 ms to import
        if not os.fstat(stream.fileno()).st_size:
            raise ConvError("is empty; a model was not written, or not downloaded", "empty")
        data = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        return Archive(stream, data).model()


def parse_archive(data: bytes) -> Model:
    """The model in bytes."""
    return Archive(io.BytesIO(data), data).model()


class Archive:
    """A zip by the names of its members, which all stand in one folder."""

    def __init__(self, stream: IO[bytes], data: Buffer) -> None:
        self.data = data
        try:
            self.zip = zipfile.ZipFile(stream)
        except UNSOUND:
            raise damaged("the list of its members cannot be read") from None
        self.members = {info.filename: info for info in self.zip.infolist()}

    def model(self) -> Model:
        """The one graph, with its weights."""
        found = [name for name in self.members if "/models/" in name and name.endswith(".json")]
        if not found:
            raise self.stranger()
        if len(found) > 1:
            raise ConvError(f"holds {len(found)} graphs; save each in a file of its own", "unknown-format")
        folder, _, name = found[0].removesuffix(".json").partition("/models/")
        payloads = {
            key: payload
            for kind in ("constants", "weights")
            for key, payload in self.payloads(f"{folder}/data/{kind}/", f"{name}_{kind}_config.json")
        }
        return model_of(self.json(found[0]), payloads)

    def stranger(self) -> ConvError:
        """What a zip is that holds no graph."""
        names = [name.rpartition("/")[2] for name in self.members]
        if "serialized_exported_program.json" in names:
            return ConvError(
                "is an archive of torch.export in its older form; load it in PyTorch 2.13 and save it again",
                "unknown-format",
            )
        if "data.pkl" in names:
            way = "torch.export.save(torch.export.export(model, (x,)), 'model.pt2'), or torch.onnx.export"
            return ConvError(f"is a pickle, which can run any program and is never opened; export it: {way}", "unsafe")
        if "archive_format" in names:
            return ConvError("holds a compiled model, and no graph; export it by torch.export.save", "unknown-format")
        return ConvError("is a zip that holds no model; torch.export.save writes one", "unknown-format")

    def json(self, name: str) -> Fields:
        """A member that is JSON."""
        info = self.members[name]
        if info.file_size > MOST_JSON:
            raise ConvError(f"its {name!r} has {info.file_size:,} bytes, of {MOST_JSON:,} at most", "bomb")
        try:
            with self.zip.open(info) as member:
                found = json.loads(member.read(MOST_JSON))
        except (*UNSOUND, RecursionError):
            raise damaged(f"{name[:80]!r} is no JSON") from None
        return as_fields(found, name)

    def payloads(self, folder: str, config: str) -> list[tuple[str, Payload]]:
        """The tensors that a list names, with where their bytes are."""
        if folder + config not in self.members:
            return []
        listed = self.json(folder + config).fields("config")
        return [(key, self.payload(folder, listed.fields(key))) for key in listed.names()]

    def payload(self, folder: str, entry: Fields) -> Payload:
        """One tensor: those that are pickled have no bytes here."""
        path = entry.text("path_name")
        is_raw = not entry.flag("use_pickle") and folder + path in self.members
        return Payload(path, entry.fields("tensor_meta"), self.data, self.span(folder + path) if is_raw else None)

    def span(self, name: str) -> Span | None:
        """Where the bytes of a member are; None for one that is compressed."""
        info = self.members[name]
        is_inside = 0 <= info.header_offset <= len(self.data) - LOCAL_HEADER
        if info.compress_type != zipfile.ZIP_STORED or not is_inside:
            return None
        lengths = self.data[info.header_offset + 26 : info.header_offset + LOCAL_HEADER]
        start = info.header_offset + LOCAL_HEADER + sum(unpack_from("<2H", lengths))
        return (start, start + info.file_size) if start + info.file_size <= len(self.data) else None
