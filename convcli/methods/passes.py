"""Passes of 1-D kernels over blocks of pixels: taps that slide along an axis, or all of it at once as a matrix.

Where every output of an axis reads all of its pixels, because the kernel is longer than the image, most taps fall on
the same few pixels again and again. What they weigh is added up first: such a pass is the product with a matrix of
outputs x pixels, and costs no more than that, however long the kernel is.

Without compiled code BLAS is the fastest there is, and needs no copy of the pixels: a block of T outputs reads
s (T - 1) + K inputs, so a banded matrix that repeats the taps, in each row s further on, gives all T at once. The zeros
in the band are multiplied too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field
from functools import partial
from typing import TYPE_CHECKING, Any

from convcli import native
from convcli.geometry.axis import Geometry
from convcli.methods.contract import Reads
from convcli.methods.cutting import ALONE, Alone
from convcli.native.passes import correlate
from convcli.records import record

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

LEAST_LINES = 8
"""Lines along an axis from which it pays to add up their taps first."""
BLOCK, ACROSS = 32, 384
"""Rows and columns of a product by BLAS, multiples of what it computes at a time (8, 16, 24 or 48): at edges it adds in
another order."""
KEPT = 4
"""Matrices of an axis that are kept: one for each cut of its outputs into tiles, which come again in every plane."""
MOST_WEIGHTS = 2**24
"""Weights of an axis that are kept: 64 MiB of float32."""
TOGETHER = 256
"""Outputs of a matrix in one call: more filters at once only need more memory."""


def folds(axis: Geometry, lines: int) -> bool:
    """Whether a pass over so many lines is the product with a matrix: every output reads every pixel.

    >>> folds(Geometry(8, 33, begin=16, end=16), 99), folds(Geometry(20, 33, begin=16, end=16), 99)
    (True, False)
    """
    last, _ = axis.window(axis.output - 1, axis.output)
    covered = last <= 0 and axis.window(0, 1)[1] >= axis.size
    return covered and axis.kernel > axis.size and lines >= LEAST_LINES and axis.output * axis.size <= MOST_WEIGHTS


def weights(taps: Array, axis: Geometry, reads: Array | None, outputs: int, pixels: int) -> Array:
    """What each output (outputs, pixels) makes of each pixel; `reads` says which stands where in the outputs' window.

    >>> import numpy as np
    >>> weights(np.array([1., 2., 4.]), Geometry(2, 3, begin=1, end=1), np.array([0, 0, 1, 1]), 2, 2).tolist()
    [[3.0, 4.0], [1.0, 6.0]]
    """
    import numpy as np

    places = np.arange(pixels) if reads is None else reads.astype(np.intp)
    places[places < 0] = pixels  # zeros, which weigh nothing
    matrix = np.empty((outputs, pixels))
    for output, row in enumerate(matrix):
        under = places[output * axis.stride :][: axis.extent : axis.dilation]
        row[:] = np.bincount(under, taps, pixels + 1)[:pixels]
    return matrix


@record
class Pass:
    """A pass over blocks (terms, slices, rows, columns) along one axis, `place` of the last three."""

    axis: Geometry
    place: int
    taps: Array

    def layout(self) -> tuple[int, ...]:
        """The order in which the axes of its source had best lie in memory."""
        return 0, 1, 2, 3

    def makes(self, source: Array, target: Array) -> tuple[int, ...]:
        """The shape of what it makes for a target that lies some passes further: of each term, its axis done."""
        sizes = [*source.shape[1:]]
        sizes[self.place] = target.shape[1 + self.place]
        return (len(self.taps), *sizes)

    def run(self, source: Array, target: Array, reads: Reads, step: int, **more: Any) -> native.Counts:
        """Fill `target` (terms, ...), or the sum over terms (1, ...), from `source` of as many terms, or of one.

        Columns hold `step` samples for each pixel.
        """
        raise NotImplementedError


@record
class Strips(Pass):
    """Taps of rows and of columns (terms, K) in one pass over every slice, by strips that stay in the cache."""

    rows: Geometry
    down: Array

    def run(
        self, source: Array, target: Array, reads: Reads, step: int, team: Alone = ALONE, **more: Any
    ) -> native.Counts:
        """Fill `target` (1, ...), the sum over all terms, from `source` (1, ...)."""
        counts = native.Counts(0, 0, 0)
        for plane, results in zip(source[0], target[0], strict=True):
            more |= {"stride": (self.rows.stride, self.axis.stride)}
            more |= {"dilation": (self.rows.dilation, self.axis.dilation), "reads": reads[1:], "step": step}
            more |= {"team": native.team_of(team.size)}
            passes = partial(native.separable, plane, self.down, self.taps, results, **more)
            counts = counts.plus(native.total(team.together(passes)))
        return counts


@record
class AtOnce(Pass):
    """The taps of slices, rows and columns in one pass in float64: `before` are those of the slices and of the rows."""

    before: tuple[Array, Array]

    def run(
        self, source: Array, target: Array, reads: Reads, step: int, team: Alone = ALONE, **more: Any
    ) -> native.Counts:
        """Fill `target` (1, ...) from `source` (1, ...)."""
        looked = [read if taps.size > 1 else None for read, taps in zip(reads, (*self.before, self.taps), strict=True)]
        more |= {"reads": looked, "step": step, "team": native.team_of(team.size)}
        return native.total(team.together(partial(correlate, source[0], (*self.before, self.taps), target[0], **more)))


@record
class Sliding(Pass):
    """Taps (terms, K) that slide along the axis."""

    def run(self, source: Array, target: Array, reads: Reads, step: int, **more: Any) -> native.Counts:
        place = self.place or 1  # slices become rows
        if self.place == 0:
            source, target = slices_as_rows(source, target)
        each = (1, len(source)) if len(target) == 1 else (len(self.taps), 1)
        taps = self.taps.reshape(*each, 1, *((-1, 1) if place == 1 else (1, -1)))
        stride, dilation = [1, 1, 1], [1, 1, 1]
        looked: list[Array | None] = [None, None, None]
        stride[place], dilation[place], looked[place] = self.axis.stride, self.axis.dilation, reads[self.place]
        more |= {
            "stride": tuple(stride),
            "dilation": tuple(dilation),
            "reads": looked,
            "step": step if place == 2 else 1,
        }
        return _correlate(source, taps, target, more)


@record
class Matrix(Pass):
    """The same taps where all outputs read all pixels: a filter for each output, a channel for each pixel."""

    kept: dict[bytes, Array] = field(default_factory=dict)

    def layout(self) -> tuple[int, ...]:
        """Its axis comes first, behind the terms, so that pixels of all terms are one sum; columns are never last."""
        return ((0, 1, 2, 3), (0, 2, 1, 3), (0, 3, 1, 2))[self.place]

    def run(self, source: Array, target: Array, reads: Reads, step: int, **more: Any) -> native.Counts:
        pixels, results = (_axis_first(array, self.place, step) for array in (source, target))
        matrix = self.weights(reads[self.place], results.shape[1], pixels.shape[1])
        pixels, beyond = pixels[:, : self.axis.size], pixels[:, self.axis.size :]
        matrix, constant = matrix[..., : self.axis.size], matrix[..., self.axis.size :]
        if len(target) == 1:
            flat = matrix.transpose(1, 0, 2).reshape(matrix.shape[1], -1)
            parts = [(pixels.reshape(-1, *pixels.shape[2:]), flat, results[0])]
        else:
            parts = [(pixels[term % len(pixels)], matrix[term], results[term]) for term in range(len(self.taps))]
        counts = native.total([_product(*part, **more) for part in parts])
        if beyond.any():  # floats, neither scaled nor rounded: a constant of zero leaves them as they are
            for term in range(len(self.taps)):
                weighed = constant[term][..., None, None, None] * beyond[term % len(beyond)]
                results[term % len(results)] += weighed.sum(axis=1)
        return counts

    def weights(self, reads: Array | None, outputs: int, pixels: int) -> Array:
        """What each output makes of each pixel: (terms, outputs, pixels)."""
        import numpy as np

        key = b"" if reads is None else reads.tobytes()
        if key not in self.kept:
            if len(self.kept) >= KEPT:
                self.kept.clear()
            matrix = [weights(taps.astype(np.float64), self.axis, reads, outputs, pixels) for taps in self.taps]
            self.kept[key] = np.array(matrix, self.taps.dtype)
        return self.kept[key]


@record
class Product(Matrix):
    """The same in float64, by BLAS: the compiled loops would widen all pixels anew for each output.

    All products have one size, so that no result depends on where a tile was cut.
    """

    def layout(self) -> tuple[int, ...]:
        """As they come."""
        return 0, 1, 2, 3

    def run(self, source: Array, target: Array, reads: Reads, step: int, **more: Any) -> native.Counts:
        """Fill `target` (terms, ...), or the sum over terms (1, ...), from `source` of as many terms, or of one."""
        import numpy as np

        outputs = target.shape[1 + self.place] // (step if self.place == 2 else 1)
        pixels = source.shape[1 + self.place] // (step if self.place == 2 else 1)
        matrix = self.weights(reads[self.place], outputs, pixels)
        sums: Array = np.zeros(target.shape)
        for term, weighed in enumerate(matrix):
            self._add(source[term % len(source)], weighed, sums[term % len(sums)], step)
        one, made = np.ones((1, 1, 1, 1, 1)), zip(sums, target, strict=True)
        return native.total([_correlate(each[None], one, results[None], more) for each, results in made])

    def _add(self, source: Array, matrix: Array, sums: Array, step: int) -> None:
        """Add the product with one term's matrix to (slices, rows, columns)."""
        if self.place == 0:
            _add_product(matrix, source.reshape(len(source), -1), sums.reshape(len(sums), -1))
        elif self.place == 1:
            for pixels, made in zip(source, sums, strict=True):
                _add_product(matrix, pixels, made)
        else:
            lines, results = (array.reshape(-1, array.shape[-1]) for array in (source, sums))
            for sample in range(step):
                _add_product(lines[:, sample::step], matrix.T, results[:, sample::step])


def _add_product(left: Array, right: Array, sums: Array) -> None:
    """Add the product of two matrices, in blocks of `BLOCK` rows and `ACROSS` columns."""
    for first in range(0, right.shape[1], ACROSS):
        columns = slice(first, first + ACROSS)
        some = _filled(right[:, columns], (len(right), ACROSS))
        for row in range(0, len(left), BLOCK):
            rows = slice(row, row + BLOCK)
            made = _filled(left[rows], (BLOCK, left.shape[1])) @ some
            sums[rows, columns] += made[: len(left) - row, : right.shape[1] - first]


def _filled(part: Array, shape: tuple[int, int]) -> Array:
    """A matrix of such a shape, zeros behind what is there."""
    import numpy as np

    whole = np.zeros(shape)
    whole[: len(part), : part.shape[1]] = part
    return whole


def _product(pixels: Array, matrix: Array, results: Array, **more: Any) -> native.Counts:
    """Fill `results` (outputs, ...) with the product of a matrix and `pixels`, some outputs at a time."""
    import numpy as np

    counts = native.Counts(0, 0, 0)
    for first in range(0, len(matrix), TOGETHER):
        some = slice(first, first + TOGETHER)
        counts = counts.plus(
            _correlate(pixels, np.ascontiguousarray(matrix[some])[:, :, None, None, None], results[some], more)
        )
    return counts


def _correlate(source: Array, taps: Array, target: Array, more: dict[str, Any]) -> native.Counts:
    """The sums of products in the precision of the taps."""
    return (native.correlate if taps.dtype == "float32" else native.correlate_wide)(source, taps, target, **more)


def slices_as_rows(source: Array, target: Array) -> tuple[Array, Array]:
    """(terms, slices, rows, columns) as (terms, 1, slices, rows columns) where memory allows, else with rows first."""
    if _is_flat(source) and _is_flat(target):
        source, target = (array.reshape(*array.shape[:2], 1, -1) for array in (source, target))
    return source.swapaxes(1, 2), target.swapaxes(1, 2)


def _is_flat(array: Array) -> bool:
    """Whether rows follow each other in memory."""
    return array.strides[3] == array.itemsize and array.strides[2] == array.itemsize * array.shape[3]


def _axis_first(array: Array, place: int, step: int) -> Array:
    """(terms, slices, rows, columns) as (terms, axis, slices, rows, columns) of what is left."""
    if place < 2:
        return array.swapaxes(1, place + 1)[:, :, None]
    pixels = array.reshape(*array.shape[:3], -1, step)
    return pixels.transpose(0, 3, 4, 1, 2)


@record
class Bands:
    """A 1-D kernel along axis `place`, as a band of some outputs, or as the matrix of all where it `folds`."""

    axis: Geometry
    place: int
    taps: Array
    matrix: Array
    folds: bool

    def along(self, pixels: Array, read: Array | None) -> Array:
        """`pixels` with their axis replaced by its outputs; `read` says which stands where in the window."""
        import numpy as np

        place = self.place
        if self.folds:
            window = pixels.shape[place] if read is None else len(read)
            outputs = (window - self.axis.extent) // self.axis.stride + 1
            matrix = weights(self.taps, self.axis, read, outputs, pixels.shape[place]).astype(pixels.dtype)
            return np.ascontiguousarray(np.moveaxis(np.tensordot(matrix, pixels, (1, place)), 0, place))
        if read is not None:
            pixels = np.take(pixels, read, axis=place)
        outputs = (pixels.shape[place] - self.axis.extent) // self.axis.stride + 1
        result = np.empty((*pixels.shape[:place], outputs, *pixels.shape[place + 1 :]), pixels.dtype)
        last = place == pixels.ndim - 1
        for part, dilation in phases(outputs, self.axis.stride, self.axis.dilation):
            cut = (*(slice(None),) * place, part)
            source, target = pixels[cut], result[cut]
            if last and source.strides[-1] != source.itemsize:
                source = np.ascontiguousarray(source)
            self._fill(source, target, place, dilation, last)
        return result

    def _fill(self, source: Array, target: Array, place: int, dilation: int, last: bool) -> None:
        import numpy as np

        for start, stop in strips(target.shape[place], self.matrix.shape[0]):
            count = stop - start
            span = self.axis.stride * (count - 1) + dilation * (self.axis.kernel - 1) + 1
            first = start * self.axis.stride
            inputs = source[(*(slice(None),) * place, slice(first, first + span))]
            outputs = (*(slice(None),) * place, slice(start, stop))
            matrix = self.matrix[:count, :span]
            if last:
                target[outputs] = inputs @ matrix.T
            else:
                shape = (*source.shape[:place], span, -1)
                target[outputs] = np.matmul(matrix, inputs.reshape(shape)).reshape(target[outputs].shape)


def band(taps: Array, rows: int, stride: int = 1, dilation: int = 1) -> Array:
    """The matrix (rows, span) whose row t holds the taps at s t + d i; leading axes of `taps` are kept.

    >>> import numpy as np
    >>> band(np.array([1., 2.]), 2)
    array([[1., 2., 0.],
           [0., 1., 2.]])
    """
    import numpy as np

    reach = dilation * (taps.shape[-1] - 1) + 1
    matrix = np.zeros((*taps.shape[:-1], rows, stride * (rows - 1) + reach), taps.dtype)
    for row in range(rows):
        matrix[..., row, stride * row : stride * row + reach : dilation] = taps
    return matrix


def band_rows(taps: int) -> int:
    """Outputs per product: enough for BLAS, few enough that the band is not mostly zeros.

    >>> [band_rows(k) for k in (3, 15, 41, 101)]
    [8, 16, 32, 64]
    """
    return next(rows for rows in (8, 16, 32, 64) if rows == 64 or taps < 1.5 * rows)


def strips(outputs: int, rows: int) -> Iterator[tuple[int, int]]:
    """[start, stop) of the blocks that cover `outputs`."""
    for start in range(0, outputs, rows):
        yield start, min(start + rows, outputs)


def phases(outputs: int, stride: int, dilation: int) -> Iterator[tuple[slice, int]]:
    """Split a dilated axis into dense ones: for each, the slice of inputs and outputs, and the dilation that is left.

    With stride 1 every d-th pixel, from phase p on, is an image of its own on which the taps are neighbours: a view.
    """
    if stride > 1 or dilation == 1:
        yield slice(None), dilation
        return
    for phase in range(min(dilation, outputs)):
        yield slice(phase, None, dilation), 1
