"""Calls that read their tensors in order, and those that compute sizes."""

from __future__ import annotations

from collections.abc import Callable

from convcli.networks.exported.calling import OWN, Calling, Named
from convcli.networks.exported.fields import damaged

Translation = Callable[[Calling], None]
"""Makes the nodes of a call."""


def as_is(operator: str, domain: str = "", **attributes: object) -> Translation:
    """An operator that reads all its tensors in order."""

    def translation(call: Calling) -> None:
        call.make(operator, call.tensors(), domain, **attributes)

    return translation


def first_only(operator: str, domain: str = "") -> Translation:
    """An operator of the first tensor alone."""

    def translation(call: Calling) -> None:
        call.make(operator, call.tensors()[:1], domain)

    return translation


def without_inputs(call: Calling) -> None:
    """What is the same for every input."""
    sizes = call.several("size")
    if sizes:
        call.make("ConstantOfShape", (call.whole(sizes),))
    else:
        call.make("stated", (), OWN)


COMPUTED = {"add": "Add", "sub": "Sub", "mul": "Mul", "floordiv": "Div", "mod": "Mod", "pow": "Pow", "neg": "Neg"}
"""Operators of Python on sizes."""


def computed(call: Calling) -> None:
    """A size that follows from others."""
    inputs = []
    for each in call.arguments:
        if isinstance(each, (int, float)):
            inputs.append(call.constant(**{"value_int" if isinstance(each, int) else "value_float": each}))
        elif isinstance(each, Named):
            inputs.append(call.read(each.name))
        else:
            raise damaged(f"{call.name[:60]!r} computes with {str(each)[:20]!r}")
    operator = COMPUTED.get(call.operator)
    call.make(operator or call.operator, inputs, "" if operator else call.library)


def size(call: Calling) -> None:
    """sym_size: one size of a value."""
    sizes = call.inner("Shape", (call.read(call.first()),))
    call.make("Gather", (sizes, call.constant(value_int=call.axis("dim", 0, call.rank()))), axis=0)


def copied(call: Calling) -> None:
    """copy_: numbers in the place of others."""
    call.make("written", call.tensors()[:2], OWN)


def conditional(call: Calling) -> None:
    """where, which may also list places."""
    if len(call.tensors()) < 2:
        raise damaged(f"{call.name[:60]!r} chooses between nothing")
    call.make("Where", call.tensors())
