"""One call of a PyTorch operator as the archive says it, and the nodes that it becomes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from convcli.networks.exported.fields import LARGEST, Fields, as_fields, damaged
from convcli.networks.onnx.model import Node
from convcli.records import record

OWN = "aten"
"""The domain of operators that ONNX lacks: that of PyTorch's own."""
VIEWS = frozenset(
    "view reshape permute transpose slice select squeeze unsqueeze expand flatten unflatten split chunk unbind "
    "tensor_split split_with_sizes t swapaxes alias detach contiguous expand_as view_as reshape_as narrow to dropout "
    "movedim diagonal mT numpy_T unfold as_strided".split()
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


def argument(given: Fields) -> Argument:
    """What an argument of a call is.

    >>> argument(Fields({"as_ints": [2, 2]}, "")), argument(Fields({"as_tensor": {"name": "x"}}, ""))
    ((2, 2), Named(name='x'))
    """
    kind, said = given.only()
    if kind in ("as_tensors", "as_optional_tensors", "as_sym_ints", "as_ints", "as_floats", "as_bools", "as_sym_bools"):
        return tuple(one(each, given) for each in given.items(kind))
    if kind in ("as_tensor", "as_int", "as_float", "as_bool", "as_string", "as_sym_int", "as_sym_float", "as_sym_bool"):
        return one(said, given)
    return None


def one(said: object, given: Fields) -> Argument:
    """A value, or its name."""
    if isinstance(said, dict):
        inner = as_fields(said, given.where)
        if "name" in inner.found or "as_name" in inner.found:
            return Named(inner.text("name" if "name" in inner.found else "as_name"))
        return argument(inner)
    if isinstance(said, int) and not -LARGEST <= said < LARGEST:
        raise damaged(f"an integer of more than 64 bits in {given.where[-60:]!r}")
    if isinstance(said, (int, float, str)):
        return said
    raise damaged(f"{given.where[-80:]!r} is {str(said)[:20]!r}")


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

    def stated(self, result: int, axis: int) -> int | None:
        """A size of a result, as the archive says it."""
        dims = self.sizes.get(self.results[result], ())
        size = dims[axis] if axis < len(dims) else None
        return size if isinstance(size, int) else None

    # --- nodes

    def whole(self, numbers: Sequence[object]) -> str:
        """The name of a list of integers, some of which may be computed."""
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
