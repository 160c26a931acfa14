"""Records against the dataclasses of the standard library, which they stand for."""

import copy
import pickle
from dataclasses import FrozenInstanceError, asdict, dataclass, field, fields, is_dataclass
from functools import cached_property
from typing import ClassVar, get_type_hints

import numpy as np
import pytest

from convcli.cli import run
from convcli.records import record, replace
from convcli.report import Report
from convcli.runs import one


@record
class Base:
    """A record."""

    a: int
    b: str = "b"
    c: list = field(default_factory=list, compare=False)

    @cached_property
    def twice(self):
        """Kept in the instance, and no field."""
        return 2 * self.a


@record
class Derived(Base):
    """One with more."""

    d: float = 0.5
    hidden: dict = field(default_factory=dict, init=False, repr=False, compare=False)


@record
class Marked:
    """One with what belongs to the class and not to its records."""

    kind: "ClassVar[str]" = "marked"
    a: "int" = 0


@record(frozen=False)
class Loose:
    """One that changes."""

    a: int = 0
    b: int = field(init=False)

    def __post_init__(self):
        self.b = self.a + 1


@record(eq=False)
class Alone:
    """One that equals nothing else."""

    a: int = 0


@dataclass(frozen=True)
class Twin:
    """What `Derived` stands for."""

    a: int
    b: str = "b"
    c: list = field(default_factory=list, compare=False)
    d: float = 0.5
    hidden: dict = field(default_factory=dict, init=False, repr=False, compare=False)


@pytest.mark.parametrize(
    "given", [((1,), {}), ((1, "x"), {"d": 2.0}), ((), {"a": 3, "c": [1]}), ((1, "x", [2], 4), {})]
)
def test_they_are_made_and_shown_as_dataclasses_are(given):
    args, more = given
    mine, theirs = Derived(*args, **more), Twin(*args, **more)
    assert repr(mine) == repr(theirs).replace("Twin", "Derived")
    assert asdict(mine) == asdict(theirs)
    assert [each.name for each in fields(Derived)] == [each.name for each in fields(Twin)]
    assert [each.type for each in fields(Derived)] == [each.type for each in fields(Twin)]
    assert is_dataclass(mine)
    assert mine == Derived(*args, **more)
    assert replace(mine, d=9.0) != mine
    assert replace(mine, d=9.0).a == mine.a


@pytest.mark.parametrize(
    ("args", "more"),
    [
        ((), {}),
        ((1, "b", [], 0.5, {}), {}),
        ((1,), {"a": 2}),
        ((1,), {"e": 2}),
        ((1,), {"hidden": {}}),
        ((1, 2), {"b": 3}),
    ],
)
def test_what_dataclasses_refuse_is_refused(args, more):
    for kind in (Derived, Twin):
        with pytest.raises(TypeError):
            kind(*args, **more)


def test_they_are_frozen_and_equal_by_their_fields():
    one, same, other = Derived(1, c=[1]), Derived(1, c=[2]), Derived(2)
    assert one == same
    assert hash(one) == hash(same)
    assert one != other
    assert one != Base(1)
    assert one.twice == 2
    assert one == same
    for change in (lambda: setattr(one, "a", 2), lambda: setattr(one, "new", 2), lambda: delattr(one, "a")):
        with pytest.raises(FrozenInstanceError):
            change()
    assert Alone() != Alone()
    assert len({Alone(), Alone()}) == 2


def test_what_belongs_to_the_class_is_no_field():
    assert [("a", "int")] == [(each.name, each.type) for each in fields(Marked)]
    assert {"kind": ClassVar[str], "a": int} == get_type_hints(Marked)


def test_factories_make_a_value_for_each():
    assert Derived(1).c is not Derived(1).c
    assert Derived(1).hidden is not Derived(1).hidden


def test_those_that_change_have_no_hash():
    loose = Loose(4)
    assert loose.b == 5
    loose.a = 6
    assert loose != Loose(6)
    loose.b = 7
    assert loose == Loose(6)
    with pytest.raises(TypeError):
        hash(loose)


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each))])
def test_they_travel(again):
    one = Derived(1, c=[3])
    assert one.twice == 2
    assert again(one) == one
    assert again(one).c == [3]


def test_those_that_change_travel_with_what_became_of_them():
    loose = Loose(4)
    loose.b = 7
    assert pickle.loads(pickle.dumps(loose)) == loose


def test_what_a_record_has_cached_of_itself_stays_behind():
    one = Derived(1, c=[3])
    before = pickle.dumps(one, 5)
    assert one.twice == 2
    one.hidden["seen"] = 1
    assert pickle.dumps(one, 5) == before
    assert vars(pickle.loads(before)) == {"a": 1, "b": "b", "c": [3], "d": 0.5, "hidden": {}}


def test_a_record_travels_as_the_name_of_its_class_and_its_values():
    names = len(Derived.__module__) + len(Derived.__qualname__)
    assert len(pickle.dumps(Derived(1), 5)) - names <= len(pickle.dumps((1, "b", [], 0.5), 5)) + 10


@pytest.fixture
def planned(monkeypatch):
    """What works were planned, each with its pickle of that moment."""
    found = []

    def report(*args, **fields):
        found.append((pickle.dumps(fields["work"], 5), fields["work"]))
        return Report(*args, **fields)

    monkeypatch.setattr(one, "Report", report)
    return found


@pytest.mark.parametrize(
    "line",
    [
        "conv2d in.npy -k gaussian:2 -k box:3",
        "conv2d in.npy -k sobel:x -k sobel:y --combine magnitude --dtype float32",
        "conv2d in.npy -k gaussian:2 --method fft --stride 2",
        "conv3d in.npy -k gaussian:1",
        "upsample in.npy -k gaussian:1 --stride 2",
        "upsample in.npy -k bicubic --scale 1.5",
        "separable in.npy -k gaussian:1 -k gaussian:2 --rank 1",
        "dilate in.npy -k box:3 --rate 2",
        "dilate in.npy -k box:3 --rates 1,2 --combine max",
        "dilate in.npy -k box:3 --rates 1,2",
        "dilate in.npy -k box:3 --chain 1,2",
    ],
)
def test_planned_work_travels_in_the_same_bytes_before_and_after_it_was_done(line, planned, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("in.npy", np.random.default_rng(1).random((12, 20, 30), "f4"))
    assert 0 == run([*line.split(), "--axes", "ZYX" if "3d" in line else "TYX", "-o", "out.npy", "-q"])
    (before, work), *_ = planned
    assert before == pickle.dumps(work, 5) == pickle.dumps(pickle.loads(before), 5)
