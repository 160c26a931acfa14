"""Reports as others read them: held against the schema that the package publishes."""

import json
from functools import cache
from pathlib import Path

import convcli.report

PATH = Path(convcli.report.__file__).with_name("report.schema.json")
TYPES = {
    "object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "null": type(None),
    "boolean": bool,
}  # fmt: skip
KNOWN = {
    *("$schema", "$defs", "$ref", "title", "description", "type", "required", "properties", "items", "const", "enum"),
}
"""The words of JSON Schema that are understood here; `jsonschema` would bring compiled parts."""


@cache
def schema():
    """The published schema."""
    return json.loads(PATH.read_text())


def is_of(value, kind):
    """Whether a value is of a kind; true and false are no numbers."""
    return isinstance(value, TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))


def faults(value, rule, place="report"):
    """What of a value is not as a rule of the schema has it."""
    assert KNOWN >= rule.keys(), rule
    if "$ref" in rule:
        rule = schema()["$defs"][rule["$ref"].rpartition("/")[2]]
    if "const" in rule and value != rule["const"]:
        yield f"{place} is {value!r}, not {rule['const']!r}"
    if "enum" in rule and value not in rule["enum"]:
        yield f"{place} is {value!r}, none of {rule['enum']}"
    kinds = rule.get("type", list(TYPES))
    kinds = [kinds] if isinstance(kinds, str) else kinds
    fits = [
        kind for kind in kinds if isinstance(value, TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))
    ]
    if not fits:
        yield f"{place} is {value!r}, not {' or '.join(kinds)}"
    if isinstance(value, dict):
        yield from (f"{place} has no {key!r}" for key in rule.get("required", ()) if key not in value)
        for key, inner in rule.get("properties", {}).items():
            if key in value:
                yield from faults(value[key], inner, f"{place}.{key}")
    if isinstance(value, list) and "items" in rule:
        for number, item in enumerate(value):
            yield from faults(item, rule["items"], f"{place}[{number}]")


def checked(as_dict):
    """A report's facts, read back from JSON and held against the schema whenever a test makes some."""

    def facts(report):
        made = as_dict(report)
        assert [] == list(faults(json.loads(json.dumps(made)), schema()))
        return made

    return facts
