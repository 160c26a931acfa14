"""Archives of torch.export as tests need them: the one that lies in tests/graphs, and the same but for a change."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

ARCHIVE = Path(__file__).parent / "graphs" / "small.pt2"
TRUTH: Mapping[str, Any] = json.loads(ARCHIVE.with_suffix(".json").read_text())
GRAPH = "small/models/model.json"


def members(data: bytes) -> dict[str, bytes]:
    """The members of a zip by name."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {info.filename: archive.read(info) for info in archive.infolist()}


def zipped(some: Mapping[str, bytes], how: int = zipfile.ZIP_STORED) -> bytes:
    """A zip of members."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", how) as archive:
        for name, data in some.items():
            archive.writestr(name, data)
    return stream.getvalue()


def altered(change: Callable[[Any], object]) -> bytes:
    """The archive with its graph changed in place."""
    some = members(ARCHIVE.read_bytes())
    graph = json.loads(some[GRAPH])
    change(graph)
    return zipped(some | {GRAPH: json.dumps(graph).encode()})
