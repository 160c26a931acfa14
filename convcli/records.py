"""Dataclasses whose methods are not generated as source text, which Python would compile anew at every start.

Here they are closures over the fields, which the standard library still finds: `fields` and `asdict` work on them.
What that saves: one small PNG through `conv2d` made 71 of these classes, by 498 million instructions in all; they were
756 million with `dataclasses.dataclass` in the place of `record` (callgrind; Python 3.11, AMD EPYC, November 2026).
`shapes`, `flops` and `convcli --help` make none.
"""

from __future__ import annotations

from _thread import RLock
from collections.abc import Callable
from dataclasses import MISSING, Field, FrozenInstanceError, dataclass, field, fields
from inspect import get_annotations
from operator import attrgetter
from typing import Any, NoReturn, TypeVar, dataclass_transform, overload

T = TypeVar("T")
RECORD = "__record__"
"""Where a class keeps what its fields are declared with."""
STANDARD = "__dataclass_fields__"
"""Where the standard library looks for them."""
ONE_BY_ONE = RLock()
"""Those that the standard library looks for are found in one thread at a time."""


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
    names = tuple(name for name, each in every.items() if not isinstance(each, Field) or each.init)
    setattr(cls, "__match_args__", names)  # noqa: B010 -- mypy takes it for a constant
    methods: dict[str, Any] = {
        "__init__": _initializer(names, every, finished=any("__post_init__" in vars(base) for base in cls.__mro__)),
        "__repr__": _repr,
    }
    if eq and (compared := [name for name, each in every.items() if not isinstance(each, Field) or each.compare]):
        methods |= _comparison(attrgetter(*compared), frozen=frozen)
    if frozen:
        methods |= {"__setattr__": _refuse, "__delattr__": _refuse, "__reduce__": _reducer(names)}
    for name, method in methods.items():
        if name not in own or (name == "__hash__" and cls.__dict__[name] is None):
            setattr(cls, name, method)
    return cls


def _declared(cls: Any) -> dict[str, Any]:
    """The fields of a class and of those that it derives from: what each is declared with, a `field` or a default."""
    every: dict[str, Any] = {}
    for base in cls.__mro__[:0:-1]:
        every |= vars(base).get(RECORD, {})
    own = vars(cls)
    told = {name: own.get(name, MISSING) for name, text in get_annotations(cls).items() if "ClassVar" not in str(text)}
    for name, each in told.items():
        if isinstance(each, Field):
            if each.default is MISSING:
                delattr(cls, name)
            else:
                setattr(cls, name, each.default)
    setattr(cls, RECORD, every | told)
    setattr(cls, STANDARD, Standard(cls, {name: each for name, each in told.items() if isinstance(each, Field)}))
    return every | told


class Standard:
    """What the standard library looks for in a class of records: found by itself, when somebody asks.

    Hardly any class is ever looked at so, and to find it for each is 2.4 % of the instructions of a small PNG.
    """

    def __init__(self, cls: Any, declared: dict[str, Any]) -> None:
        self.cls, self.declared = cls, declared

    def __get__(self, _record: object, _kind: type | None = None) -> Any:
        with ONE_BY_ONE:
            if vars(self.cls)[STANDARD] is self:
                for name, each in self.declared.items():
                    setattr(self.cls, name, each)
                dataclass(init=False, repr=False, eq=False)(self.cls)
        return vars(self.cls)[STANDARD]


def replace(old: T, /, **changes: Any) -> T:
    """A record with some of its fields changed."""
    state = vars(old)
    kind: Any = type(old)
    made: T = kind(**{name: state[name] for name in kind.__match_args__} | changes)
    return made


def _initializer(names: tuple[str, ...], every: dict[str, Any], *, finished: bool) -> Callable[..., None]:
    """A method that fills the fields, by place and by name, and has the record `finished` by itself."""
    known, most = frozenset(names), len(names)
    defaults, makers = dict[str, Any](), list[tuple[str, Callable[[], Any]]]()
    for name, each in every.items():
        if isinstance(each, Field) and each.default_factory is not MISSING:
            makers.append((name, each.default_factory))
        elif (default := each.default if isinstance(each, Field) else each) is not MISSING:
            defaults[name] = default
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


def _reducer(names: tuple[str, ...]) -> Callable[[Any], tuple[type, tuple[Any, ...]]]:
    """A method that says how to make the same record again: the class and the values of its fields, by place."""

    def reduce(self: Any) -> tuple[type, tuple[Any, ...]]:
        state = vars(self)
        return type(self), tuple([state[name] for name in names])

    return reduce


def _repr(self: Any) -> str:
    shown = ", ".join(f"{each.name}={getattr(self, each.name)!r}" for each in fields(self) if each.repr)
    return f"{type(self).__qualname__}({shown})"


def _refuse(_self: Any, name: str, *_value: Any) -> NoReturn:
    raise FrozenInstanceError(f"cannot assign to field {name!r}")
