"""Damaged models, ONNX files and archives of torch.export: each is answered or refused in one line, in seconds.

None takes memory to speak of.

`python tests/onnx_mutations.py --cases 10000` tries as many; some hundred run with the other tests.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import random
import tempfile
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from archives import ARCHIVE, members, zipped
from convcli.cli import run
from convcli.errors import ConvError
from convcli.networks.onnx.operators import OPERATORS
from convcli.networks.onnx.wire import fields
from onnx_files import BOOL, INT64, field, floats, function, graph, integers, model, node, port, real, small, tensor

SLOWEST = 20  # seconds of processor time for one file
MOST = 150 * 2**20  # bytes that this process may grow by, over all files

INTEGERS = (0, 1, 2, 127, 128, 2**16, 2**31 - 1, 2**31, 2**40, 2**62, 2**63 - 1, 2**63, 2**64 - 1)
COMMANDS = (
    ["flops", "--json"],
    ["shapes"],
    ["flops", "--group", "scope"],
    ["shapes", "--all", "--csv"],
    ["flops"],
    ["flops", "--emit"],
)


def seeds() -> list[bytes]:
    """Files to damage: real graphs, and small ones with all that is seldom."""
    chain = [
        node("Shape", "x", "s"),
        node("Gather", "s two", "h"),
        node("Mul", "h three", "m"),
        node("Concat", "two two m m", "sizes", axis=0),
        node("Resize", "x _ _ sizes", "r", mode="linear"),
        node("ConstantOfShape", "two", "f"),
        node("Expand", "f two", "e"),
        node("Range", "two two three", "q"),
        node("Tile", "q three", "t"),
        node("Reshape", "r three", "y"),
    ]
    body = graph(
        [node("Conv", "h w", "h2", pads=[1] * 4), node("Identity", "go", "on")],
        [port("i", [], INT64), port("go", [], BOOL), port("h", None)],
        "on h2",
        [tensor("w", [3, 3, 3, 3])],
    )
    branches = {
        "then_branch": graph([node("Relu", "x", "o")], [], "o"),
        "else_branch": graph([node("Abs", "x", "o")], [], "o"),
    }
    block = function("B", "my", "X", "Y", [node("AveragePool", "X", "Y", kernel_shape=[2, 2], ceil_mode=1)])
    return [
        *(
            real(name)
            for name in ("unet2d", "alexnet", "shufflenet_v2_x0_5", "lraspp_mobilenet_v3_large", "convnext_tiny")
        ),
        small(chain, [integers("two", [2]), integers("three", [3])]),
        small([node("Loop", "n _ x", "y", body=body)], [integers("n", [5])]),
        model(graph([node("If", "c", "y", **branches)], [port("x", [1, 3, 8, 8]), port("c", [], BOOL)], "y")),
        small([node("B", "x", "y", domain="my")], functions=[block]),
        small([node("Einsum", "x w", "y", equation="bc...,ck->b...k")], [tensor("w", [3, 5])]),
        small([node("Resize", "x _ s", "y")], [floats("s", [1, 1, 2, 2])]),
        small([node("Split", "x", "a b", axis=2), node("Concat", "a b", "y", axis=1)]),
        small(
            [node("SplitToSequence", "x n", "s", axis=2), node("SequenceAt", "s i", "y")],
            [integers("n", [3, 5]), integers("i", [1])],
        ),
        *[ARCHIVE.read_bytes()] * 6,
        *attentive(),
    ]


def attentive() -> list[bytes]:
    """Networks with attention, as each exporter writes them."""
    with zipfile.ZipFile(ARCHIVE.parent / "attention.zip") as archive:
        return [archive.read(name) for name in archive.namelist() if name.startswith(("vit", "encoder", "transformer"))]


def graph_in(some: Mapping[str, bytes]) -> str:
    """The member of an archive that is its graph."""
    return next(name for name in some if name.endswith("/models/model.json"))


def mutated(data: bytes, chance: random.Random) -> bytes:
    """A file with one to five damages; of an archive mostly the graph is damaged, as JSON or as bytes."""
    if data[:2] == b"PK" and chance.random() < 0.8:
        some = members(data)
        name = chance.choice([*([graph_in(some)] * 8), *some])
        tree = chance.random() < 0.8 and name.endswith(".json")
        changed = json.dumps(twisted(json.loads(some[name]), chance)).encode() if tree else mutated(some[name], chance)
        return zipped(some | {name: changed}, chance.choice((0, 8)))
    for _ in range(chance.choice((1, 1, 2, 5))):
        data = chance.choice(DAMAGES)(data, chance)
    return data


def twisted(value: object, chance: random.Random) -> object:
    """A value of JSON that somewhere inside says something else, or holds a thing twice or not at all."""
    if isinstance(value, (dict, list)) and value and chance.random() < 0.93:
        keys = [*value] if isinstance(value, dict) else range(len(value))
        key = "graph_module" if "graph_module" in keys else "graph" if "graph" in keys else chance.choice(keys)
        if chance.random() < 0.03:
            return {k: value[k] for k in keys if k != key} if isinstance(value, dict) else [*value, value[key]]
        some = dict(value) if isinstance(value, dict) else list(value)
        some[key] = twisted(some[key], chance)
        return some
    targets = ("torch.ops.aten.view.default", "torch.ops.aten.permute.default", "_operator.floordiv", "x", "", "conv2d")
    others = (None, True, [], {}, 1.5, "nan", {"as_int": 3}, {"as_tensor": {"name": "x"}}, [2, 2], [[]], *targets)
    return chance.choice((*others, *INTEGERS, *range(-3, 6)))


def flipped(data: bytes, chance: random.Random) -> bytes:
    """A byte that is another one."""
    at = chance.randrange(len(data) or 1)
    return data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]


def cut(data: bytes, chance: random.Random) -> bytes:
    """The end is missing."""
    return data[: chance.randrange(len(data) + 1)]


def without(data: bytes, chance: random.Random) -> bytes:
    """Something is missing."""
    at = chance.randrange(len(data) + 1)
    return data[:at] + data[at + chance.randrange(1, 40) :]


def doubled(data: bytes, chance: random.Random) -> bytes:
    """Something is there twice."""
    at, length = chance.randrange(len(data) + 1), chance.randrange(1, 400)
    return data[: at + length] + data[at:]


def grown(data: bytes, chance: random.Random) -> bytes:
    """An integer in the place of a byte."""
    at = chance.randrange(len(data) + 1)
    return data[:at] + field(1, chance.choice(INTEGERS))[1:] + data[at + 1 :]


def renamed(data: bytes, chance: random.Random) -> bytes:
    """Another operator of a name as long."""
    old = chance.choice([name for name in OPERATORS if name.encode() in data] or ["Conv"])
    new = chance.choice([name for name in OPERATORS if len(name) == len(old)])
    places = data.count(old.encode())
    if not places:
        return data
    parts = data.split(old.encode())
    at = chance.randrange(1, places + 1)
    return old.encode().join(parts[:at]) + new.encode() + old.encode().join(parts[at:])


def numbered(data: bytes, chance: random.Random) -> bytes:
    """A small number, of which shapes are full, that is another one of as many bytes."""
    small_ones = [i for i, byte in enumerate(data) if 0 < byte < 9]
    at = chance.choice(small_ones or [0])
    return data[:at] + bytes([chance.choice((0, 1, 2, 3, 4, 7, 64, 126, 127))]) + data[at + 1 :]


def altered(data: bytes, chance: random.Random) -> bytes:
    """A field somewhere inside that says something else; all lengths around it are right."""
    parts = sound(data)
    if not parts or chance.random() < 0.1:
        return chance.choice((flipped, renamed, without, doubled))(data, chance) if data else data
    at = chance.randrange(len(parts))
    number, value = parts[at]
    if isinstance(value, int):
        told = [field(number, chance.choice((*INTEGERS, *range(6))))]
    else:
        told = [field(number, altered(data[slice(*value)], chance))]
    told = chance.choice((told, told, told, told, [], told * 2))
    rest = [[field(n, v if isinstance(v, int) else data[slice(*v)])] for n, v in parts]
    return b"".join(each for some in (*rest[:at], told, *rest[at + 1 :]) for each in some)


def sound(data: bytes) -> list[tuple[int, int | tuple[int, int]]]:
    """The fields of a message; none of what is no message."""
    try:
        return list(fields(data, 0, len(data)))
    except ConvError:
        return []


DAMAGES = (flipped, cut, without, doubled, grown, renamed, numbered, *[altered] * 14)


def tried(cases: Sequence[int], path: Path) -> Iterator[str]:
    """What went wrong with each of the cases."""
    import resource

    originals = seeds()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for case in cases:
        chance = random.Random(case)
        path.write_bytes(mutated(chance.choice(originals), chance))
        words = [*chance.choice(COMMANDS)]
        if chance.random() < 0.3:
            words += ["--input", f"{chance.choice(('input', 'x'))}=1x3x64x64"]
        started = time.process_time()
        said = io.StringIO()
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            code = run([words[0], str(path), *words[1:]])
        lines = said.getvalue().count("\n")
        if code not in (0, 1, 2) or lines != (1 if code or "--csv" in words else 0):
            yield f"case {case}: code {code}, {lines} lines: {said.getvalue()[:300]}"
        if time.process_time() - started > SLOWEST:
            yield f"case {case}: {time.process_time() - started:.1f} s"
    grown_by = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    if grown_by > MOST:
        yield f"memory grew by {grown_by:,} bytes"


def main() -> None:
    """Try as many as are asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        wrong = 0
        for line in tried(range(options.first, options.first + options.cases), Path(folder) / "model.onnx"):
            print(line, flush=True)
            wrong += 1
    print(f"{options.cases:,} files, {wrong} not answered as they should be")
    raise SystemExit(bool(wrong))


if __name__ == "__main__":
    main()
