"""One call of a PyTorch operator as the archive says it, and the nodes that it becomes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from math import inf, nan

from convcli.networks.exported.fields import LARGEST, Fields, as_fields, damaged
from convcli.networks.onnx.model import Node
from convcli.records import record

OWN = "aten"
"""The domain of operators that ONNX lacks: that of PyTorch's own."""
VIEWS = frozenset(
    "view reshape permute transpose slice select squeeze unsqueeze expand flatten unflatten split chunk unbind "
    "tensor_split split_with_sizes t swapaxes alias detach contiguous expand_as view_as reshape_as narrow to dropout "
    "movedim moveaxis swapdims diagonal mT numpy_T unfold as_strided".split()
)
"""Operators whose result is another look at the same numbers, and changes with them."""


MOST_LOOKS = 1000
"""At a tensor that is changed in place."""


@record
class Named:
    """A value by its name: a tensor, or an integer that is computed."""

    name: str


Argument = object
"""Named, a number, text, a tuple of these, or None for what is left out or tells nothing of sizes."""


PLAIN: Mapping[str, tuple[type, ...]] = {
    "as_int": (int,),
    "as_float": (float, int),
    "as_bool": (bool,),
    "as_string": (str,),
}
"""Kinds of arguments that are said as they are, and what JSON has for them."""
NAMED = ("as_tensor", "as_optional_tensor", "as_sym_int", "as_sym_float", "as_sym_bool")
"""Kinds that are a name, or may be one."""
LISTS = {f"{kind}s": kind for kind in (*PLAIN, *NAMED)}
SPECIAL = {"Infinity": inf, "-Infinity": -inf, "NaN": nan}
"""Numbers that JSON lacks, as torch.export writes them."""


def argument(given: Fields) -> Argument:
    """What an argument of a call is.

    >>> argument(Fields({"as_ints": [2, 2]}, "")), argument(Fields({"as_tensor": {"name": "x"}}, ""))
    ((2, 2), Named(name='x'))
    """
    kind, said = given.only()
    if kind in LISTS:
        return tuple(one(each, LISTS[kind], given) for each in given.items(kind))
    return one(said, kind, given) if kind in PLAIN or kind in NAMED else None


def one(said: object, kind: str, given: Fields) -> Argument:
    """A value of a kind, or its name; None for a tensor that is left out."""
    if kind in PLAIN:
        return plain(said, kind, given)
    inner = as_fields(said, given.where)
    for key in ("name", "as_name"):
        if key in inner.found:
            return Named(inner.text(key))
    kind, said = inner.only()
    if kind == "as_tensor":
        return Named(inner.fields(kind).text("name"))
    return None if kind == "as_none" else plain(said, kind, given)


def plain(said: object, kind: str, given: Fields) -> Argument:
    """A number or text that is what its kind says; text stands for a number only where JSON has none.

    >>> plain(3, "as_int", Fields({}, "")), plain("-Infinity", "as_float", Fields({}, ""))
    (3, -inf)
    """
    if kind == "as_float" and isinstance(said, str) and said in SPECIAL:
        return SPECIAL[said]
    if not isinstance(said, PLAIN.get(kind, ())) or (kind != "as_bool" and isinstance(said, bool)):
        raise damaged(f"{given.where[-80:]!r} is {str(said)[:20]!r}")
    if isinstance(said, int) and not -LARGEST <= said < LARGEST:
        raise damaged(f"an integer of more than 64 bits in {given.where[-60:]!r}")
    return said


class Names:
    """Names of values as nodes have them, while in-place operators change what they mean.

    What is written through one look at a tensor shows in all others; these are then read from both.
    """

    def __init__(self, owned: dict[str, str], taken: Collection[str], prefix: str = "") -> None:
        self.owned, self.taken, self.prefix = owned, taken, prefix
        self.base: dict[str, str] = {}
        self.looks: dict[str, list[str]] = {}
        self.now: dict[str, str] = {}
        self.stale: dict[str, list[str]] = {}

    def of(self, name: str) -> str:
        """The name of a value: its weight's own, or one that no weight and no other graph has."""
        return self.owned.get(name) or (f"%{name}" if name in self.taken else f"{self.prefix}{name}")

    def viewed(self, name: str, result: str) -> None:
        """A result looks at the numbers of another value."""
        root = self.base.get(name, name)
        self.base[result] = root
        self.looks.setdefault(root, [root]).append(result)

    def written(self, name: str, result: str) -> None:
        """A value is changed in place, and the result is what it is now."""
        others = [self.latest(other) for other in self.looks.get(self.base.get(name, name), ())]
        if len(others) > MOST_LOOKS:
            raise damaged(f"more than {MOST_LOOKS:,} looks at {name[:60]!r}, which is written to")
        for other in {*others} - {self.latest(name)}:
            self.stale.setdefault(other, []).append(result)
        self.now[self.latest(name)] = result
        self.viewed(name, result)

    def latest(self, name: str) -> str:
        """The name under which a value was last changed."""
        while name in self.now:
            name = self.now[name]
        return name


class Calling:
    """A call: its arguments by name, and the nodes made for it so far."""

    def __init__(
        self,
        target: str,
        name: str,
        given: Sequence[tuple[str, Argument]],
        outputs: Sequence[Argument],
        names: Names,
        dims: Mapping[str, tuple[int | str, ...]],
    ) -> None:
        self.library, _, rest = target.removeprefix("torch.ops.").partition(".")
        self.operator, _, self.overload = rest.partition(".")
        self.name, self.names, self.sizes = name, names, dims
        self.arguments = [value for _, value in given]
        self.by_name = {key: value for key, value in given if key}
        self.nodes: list[Node] = []
        self.results = [
            each.name
            for some in outputs
            for each in (some if isinstance(some, tuple) else (some,))
            if isinstance(each, Named)
        ]

    # --- arguments

    def first(self) -> str:
        """The first value that is read."""
        return next((each.name for each in self.arguments if isinstance(each, Named)), "")

    def tensors(self) -> list[str]:
        """All values that are read, in order."""
        flat = (each for some in self.arguments for each in (some if isinstance(some, tuple) else (some,)))
        return [self.read(each.name) for each in flat if isinstance(each, Named)]

    def input(self, key: str) -> str:
        """A value by the name of its argument; "" where it is left out."""
        found = self.by_name.get(key)
        return self.read(found.name) if isinstance(found, Named) else ""

    def read(self, name: str) -> str:
        """What a value is now."""
        name = self.names.latest(name)
        sources = self.names.stale.pop(name, None)
        if sources is None:
            return self.names.of(name)
        changed = f"{name}:{sources[-1]}"
        inputs, result = tuple(map(self.names.of, (name, *sources))), self.names.of(changed)
        self.nodes.append(Node("written", OWN, result, inputs, (result,), {}))
        self.names.now[name] = changed
        return result

    def rank(self) -> int:
        """The dimensions of the first value."""
        return len(self.sizes.get(self.first(), ()))

    def axis(self, key: str, default: int, rank: int) -> int:
        """A dimension counted from the front."""
        found = self.integer(key, default)
        if not -max(rank, 1) <= found < max(rank, 1):
            raise damaged(f"{self.name!r:.60} names axis {found} of {rank}")
        return found % max(rank, 1)

    def integer(self, key: str, default: int) -> int:
        """An argument that is an integer, or true or false."""
        found = self.by_name.get(key, default)
        return found if isinstance(found, int) else default

    def real(self, key: str, default: float) -> float:
        """An argument that is a number."""
        found = self.by_name.get(key, default)
        return found if isinstance(found, (int, float)) else default

    def text(self, key: str, default: str = "") -> str:
        """An argument that is text."""
        found = self.by_name.get(key, default)
        return found if isinstance(found, str) else default

    def several(self, key: str) -> tuple[object, ...]:
        """An argument that is a list, or one number; nothing where it is left out."""
        found = self.by_name.get(key)
        return found if isinstance(found, tuple) else () if found is None else (found,)

    def integers(self, key: str, count: int = 0, default: int = 0) -> tuple[int, ...]:
        """A list of integers, `count` of them, where one holds for all."""
        found = tuple(each for each in self.several(key) if isinstance(each, int)) or (default,) * count
        return found * count if len(found) == 1 and count else found

    def reals(self, key: str) -> tuple[float, ...]:
        """A list of numbers."""
        return tuple(each for each in self.several(key) if isinstance(each, (int, float)))

    def stated(self, result: int, axis: int) -> int | None:
        """A size of a result, as the archive says it."""
        dims = self.sizes.get(self.results[result], ())
        size = dims[axis] if axis < len(dims) else None
        return size if isinstance(size, int) else None

    # --- nodes

    def whole(self, numbers: Sequence[object]) -> str:
        """The name of a list of integers, some of which may be computed."""
        for each in numbers:
            if not isinstance(each, (int, Named)):
                raise damaged(f"{self.name[:60]!r} takes whole numbers, not {str(each)[:20]!r}")
        if all(isinstance(each, int) for each in numbers):
            return self.constant(value_ints=tuple(numbers))
        parts = []
        for each in numbers:
            if isinstance(each, Named):
                parts.append(self.inner("Unsqueeze", (self.read(each.name),), axes=(0,)))
            else:
                parts.append(self.constant(value_ints=(each,)))
        return self.inner("Concat", parts, axis=0)

    def constant(self, **value: object) -> str:
        """The name of a constant."""
        return self.inner("Constant", (), **value)

    def inner(self, operator: str, inputs: Sequence[str], **attributes: object) -> str:
        """A node whose one result is not one of the call's."""
        name = f"{self.name}:{len(self.nodes)}"
        self.nodes.append(Node(operator, "", name, tuple(inputs), (name,), attributes))
        return name

    def make(self, operator: str, inputs: Sequence[str], domain: str = "", /, **attributes: object) -> None:
        """The node that makes the call's results."""
        results = tuple(map(self.names.of, self.results))
        self.nodes.append(Node(operator, domain, self.name, tuple(inputs), results, attributes))

    def slide(self, operator: str, axes: int, inputs: Sequence[str], **attributes: object) -> None:
        """The node that slides over the last `axes` dimensions; a value without a batch is a batch of one meanwhile."""
        if self.rank() != axes + 1:
            self.make(operator, inputs, **attributes)
            return
        batch = self.inner("Unsqueeze", inputs[:1], axes=(0,))
        made = tuple(f"{self.name}:batch{i}" for i in range(len(self.results)))
        self.nodes.append(Node(operator, "", self.name, (batch, *inputs[1:]), made, attributes))
        for value, result in zip(made, map(self.names.of, self.results), strict=True):
            self.nodes.append(Node("Squeeze", "", f"{value}:squeeze", (value,), (result,), {"axes": (0,)}))
