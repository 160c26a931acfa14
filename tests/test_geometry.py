"""An axis is its sizes: what follows from them is counted here, position by position, and never outlives a change."""

import pickle

from hypothesis import given
from hypothesis import strategies as st

from convcli.geometry.axis import Geometry

SIZES = st.tuples(
    st.integers(1, 40), st.integers(1, 7), st.integers(1, 4), st.integers(1, 4), st.integers(0, 9), st.integers(0, 9)
)
AXES = st.builds(lambda sizes: Geometry(*sizes), SIZES)


def used(axis):
    """The axis after it has been asked for everything that it computes once."""
    assert axis.extent >= axis.kernel
    assert axis.output >= 0
    return axis


@given(axis=AXES)
def test_outputs_are_the_places_where_the_whole_kernel_lies_on_the_padded_axis(axis):
    places = range(-axis.begin, axis.size + axis.end, axis.stride)
    taps = [[place + tap * axis.dilation for tap in range(axis.kernel)] for place in places]
    fitting = [read for read in taps if read[-1] < axis.size + axis.end]
    assert fitting == [list(axis.reads(number)) for number in range(axis.output)]
    assert {axis.extent} == {read[-1] - read[0] + 1 for read in taps}


@given(axis=AXES, other=AXES)
def test_a_changed_axis_is_as_good_as_a_new_one(axis, other):
    changed = used(axis)._replace(**other._asdict())
    assert (other.extent, other.output, other.dropped) == (changed.extent, changed.output, changed.dropped)
    assert other == changed


@given(sizes=SIZES)
def test_an_axis_that_was_used_travels_as_light_as_a_new_one(sizes):
    light = pickle.dumps(Geometry(*sizes))
    assert light == pickle.dumps(used(Geometry(*sizes)))
    assert Geometry(*sizes).output == pickle.loads(light).output
