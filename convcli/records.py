"""Dataclasses whose methods are shared, not generated: start-up has fifty of them, and to generate those of one takes a
millisecond on a slow machine. The standard library still finds the fields, so that `fields` and `asdict` work on them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, FrozenInstanceError, dataclass, field, fields
from typing import Any, NamedTuple, NoReturn, TypeVar, dataclass_transform, overload

T = TypeVar("T")


class Plan(NamedTuple):
    """How a record is made and compared: fields that are given, defaults of some, and what makes others."""

    names: tuple[str, ...]
    known: frozenset[str]
    defaults: dict[str, Any]
    makers: tuple[tuple[str, Callable[[], Any]], ...]
    size: int
    compared: tuple[str, ...]


@overload
def record(cls: type[T], /) -> type[T]: ...
@overload
def record(*, frozen: bool = True, eq: bool = True) -> Callable[[type[T]], type[T]]: ...


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def record(cls: Any = None, /, *, frozen: bool = True, eq: bool = True) -> Any:
    """A class of records, frozen unless told otherwise, equal where their fields are.

    >>> @record
    ... class Point:
    ...     x: int
    ...     y: int = 0
    >>> Point(1), Point(1) == Point(1, 0), replace(Point(1), y=2)
    (Point(x=1, y=0), True, Point(x=1, y=2))
    """
    if cls is None:
        return lambda cls: _made(cls, frozen=frozen, eq=eq)
    return _made(cls, frozen=frozen, eq=eq)


def _made(cls: Any, *, frozen: bool, eq: bool) -> Any:
    """The class with its fields found, and the methods that it does not define itself."""
    own = set(cls.__dict__)
    dataclass(init=False, repr=False, eq=False)(cls)
    every = fields(cls)
    names = tuple(each.name for each in every if each.init)
    cls.__plan__ = Plan(
        names,
        frozenset(names),
        {each.name: each.default for each in every if each.default is not MISSING},
        tuple((each.name, each.default_factory) for each in every if each.default_factory is not MISSING),
        sum(each.init or each.default is not MISSING or each.default_factory is not MISSING for each in every),
        tuple(each.name for each in every if each.compare),
    )
    methods: dict[str, Any] = {"__init__": _init, "__repr__": _repr}
    if eq:
        methods |= {"__eq__": _eq, "__hash__": _hash if frozen else None}
    if frozen:
        methods |= {"__setattr__": _refuse, "__delattr__": _refuse}
    for name, method in methods.items():
        if name not in own or (name == "__hash__" and cls.__dict__[name] is None):
            setattr(cls, name, method)
    return cls


def replace(old: T, /, **changes: Any) -> T:
    """A record with some of its fields changed."""
    state = vars(old)
    return type(old)(**{name: state[name] for name in old.__plan__.names} | changes)  # type: ignore[attr-defined]


def _init(self: Any, /, *args: Any, **given: Any) -> None:
    """Fill the fields by place and by name."""
    names, known, defaults, makers, size, _ = self.__plan__
    state = self.__dict__
    state.update(defaults)
    state.update(zip(names, args, strict=False))
    state.update(given)
    for name, make in makers:
        if name not in state:
            state[name] = make()
    twice = len(args) > len(names) or (args and given and not given.keys().isdisjoint(names[: len(args)]))
    if twice or len(state) != size or not given.keys() <= known:
        raise TypeError(f"{type(self).__name__}({', '.join(names)}) does not take {len(args)} values and {list(given)}")
    if hasattr(self, "__post_init__"):
        self.__post_init__()


def _values(self: Any) -> tuple[Any, ...]:
    """What is compared."""
    return tuple(map(self.__dict__.__getitem__, self.__plan__.compared))


def _eq(self: Any, other: object) -> Any:
    return _values(self) == _values(other) if type(other) is type(self) else NotImplemented


def _hash(self: Any) -> int:
    return hash(_values(self))


def _repr(self: Any) -> str:
    shown = ", ".join(f"{each.name}={getattr(self, each.name)!r}" for each in fields(self) if each.repr)
    return f"{type(self).__qualname__}({shown})"


def _refuse(_self: Any, name: str, *_value: Any) -> NoReturn:
    raise FrozenInstanceError(f"cannot assign to field {name!r}")
