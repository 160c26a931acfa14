"""Dataclasses of options: `@expand` turns a command's dataclass parameters into one command-line option per field.

It stands alone, so that the light commands need not build the options of the filters.
"""

import inspect
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from functools import wraps
from typing import Any, get_type_hints


def expand(command: Callable[..., Any]) -> Callable[..., Any]:
    """A command whose dataclass parameters are options of their own on the command line.

    >>> list(inspect.signature(expand(lambda run: run)).parameters)
    ['run']
    """
    hints = get_type_hints(command, include_extras=True)
    groups = {name: hint for name, hint in hints.items() if is_dataclass(hint) and isinstance(hint, type)}

    @wraps(command)
    def flat(**values: Any) -> Any:
        gathered = {name: kind(**{f.name: values.pop(f.name) for f in fields(kind)}) for name, kind in groups.items()}
        return command(**values, **gathered)

    parameters = [p for name, p in inspect.signature(command, eval_str=True).parameters.items() if name not in groups]
    parameters += [_parameter(kind, name) for kind in groups.values() for name in kind.__dataclass_fields__]
    flat.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in parameters]
    )
    flat.__annotations__ = {}
    return flat


def _parameter(kind: type, name: str) -> inspect.Parameter:
    """The parameter of one field."""
    entry = next(f for f in fields(kind) if f.name == name)
    default = inspect.Parameter.empty if entry.default is MISSING else entry.default
    annotation = get_type_hints(kind, include_extras=True)[name]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
