"""Dataclasses whose methods are not generated as source text, which Python would compile anew at every start.

Here they are closures over the fields, which the standard library still finds: `fields` and `asdict` work on them.
What that saves: one small PNG through `conv2d` makes 71 of these classes, by 498 million instructions in all; with
`dataclasses.dataclass` in the place of `record` they are 756 million (callgrind; Python 3.11, AMD EPYC, November 2026).
`shapes`, `flops` and `convcli --help` make none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, Field, FrozenInstanceError, dataclass, field, fields
from functools import cache
from inspect import get_annotations
from operator import attrgetter
from typing import Any, NoReturn, TypeVar, dataclass_transform, overload

T = TypeVar("T")
NO_FIELD = ("ClassVar", "InitVar", "KW_ONLY")
"""Words of annotations that make no field, or another one."""


@overload
def record(cls: type[T], /) -> type[T]: ...
@overload
def record(*, frozen: bool = True, eq: bool = True) -> Callable[[type[T]], type[T]]: ...


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def record(cls: Any = None, /, *, frozen: bool = True, eq: bool = True) -> Any:
    """A class of records, frozen unless told otherwise, equal where their fields are.

    A frozen one travels (`pickle`, `copy`) as the values that it was made of, and is made of them again: what it has
    cached of itself stays behind, so that it is as small after use as before.

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
    every = _declared(cls)
    methods: dict[str, Any] = {
        "__init__": _initializer(every, finished=any("__post_init__" in vars(base) for base in cls.__mro__)),
        "__repr__": _repr,
    }
    if eq and (compared := [each.name for each in every if each.compare]):
        methods |= _comparison(attrgetter(*compared), frozen=frozen)
    if frozen:
        methods |= {"__setattr__": _refuse, "__delattr__": _refuse, "__reduce__": _reducer(every)}
    for name, method in methods.items():
        if name not in own or (name == "__hash__" and cls.__dict__[name] is None):
            setattr(cls, name, method)
    return cls


def _declared(cls: Any) -> tuple[Field[Any], ...]:
    """The fields that the standard library finds in a class.

    It looks three times into the text of each annotation for what makes it no field; texts without that are hidden from
    it meanwhile: 1.5 % of a start (callgrind, November 2026).
    """
    told = get_annotations(cls)
    cls.__annotations__ = {
        name: None if isinstance(text, str) and not any(word in text for word in NO_FIELD) else text
        for name, text in told.items()
    }
    dataclass(init=False, repr=False, eq=False)(cls)
    cls.__annotations__, every = told, fields(cls)
    for each in every:
        each.type = told.get(each.name, each.type)
    return every


def replace(old: T, /, **changes: Any) -> T:
    """A record with some of its fields changed."""
    state = vars(old)
    kind: Any = type(old)
    made: T = kind(**{name: state[name] for name in _given(kind)} | changes)
    return made


@cache
def _given(kind: Any) -> tuple[str, ...]:
    """The fields of a class of records that it is made from."""
    return tuple(each.name for each in fields(kind) if each.init)


def _initializer(every: tuple[Field[Any], ...], *, finished: bool) -> Callable[..., None]:
    """A method that fills the fields, by place and by name, and has the record `finished` by itself."""
    names = tuple(each.name for each in every if each.init)
    known, most = frozenset(names), len(names)
    defaults = {each.name: each.default for each in every if each.default is not MISSING}
    makers = [(each.name, each.default_factory) for each in every if each.default_factory is not MISSING]
    size = len(known | defaults.keys() | {name for name, _ in makers})

    def init(self: Any, /, *args: Any, **given: Any) -> None:
        state = self.__dict__
        if len(args) < size:
            state.update(defaults)
        state.update(zip(names, args, strict=False))
        if given:
            if not given.keys() <= known or not given.keys().isdisjoint(names[: len(args)]):
                raise TypeError(f"{type(self).__name__}({', '.join(names)}) does not take {', '.join(given)} here")
            state.update(given)
        for name, make in makers:
            if name not in state:
                state[name] = make()
        if len(state) != size or len(args) > most:
            raise TypeError(f"{type(self).__name__} takes {', '.join(names)}; {len(args) + len(given)} were given")
        if finished:
            self.__post_init__()

    return init


def _comparison(values: attrgetter[Any], *, frozen: bool) -> dict[str, Any]:
    """Methods that compare the values of fields."""

    def eq(self: Any, other: object) -> Any:
        return values(self) == values(other) if type(other) is type(self) else NotImplemented

    def hash_(self: Any) -> int:
        return hash(values(self))

    return {"__eq__": eq, "__hash__": hash_ if frozen else None}


def _reducer(every: tuple[Field[Any], ...]) -> Callable[[Any], tuple[type, tuple[Any, ...]]]:
    """A method that says how to make the same record again: the class and the values of its fields, by place."""
    names = [each.name for each in every if each.init]

    def reduce(self: Any) -> tuple[type, tuple[Any, ...]]:
        state = vars(self)
        return type(self), tuple([state[name] for name in names])

    return reduce


def _repr(self: Any) -> str:
    shown = ", ".join(f"{each.name}={getattr(self, each.name)!r}" for each in fields(self) if each.repr)
    return f"{type(self).__qualname__}({shown})"


def _refuse(_self: Any, name: str, *_value: Any) -> NoReturn:
    raise FrozenInstanceError(f"cannot assign to field {name!r}")
