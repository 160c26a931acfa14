"""3x3 filter banks with fewer multiplications: Winograd's minimal filtering F(4x4,3x3) and F(2x2,3x3).

Patches of m + 2 by m + 2 pixels and the filters are transformed so that sums over channels become one matrix product
for each of their (m + 2)^2 components; m by m outputs come back at once. Source: Lavin and Gray, "Fast algorithms for
convolutional neural networks", 2016, with the transforms of Winograd, "Arithmetic complexity of computations", 1980.
"""

from __future__ import annotations

from dataclasses import field
from itertools import product
from math import ceil, prod
from typing import TYPE_CHECKING, Any

from convcli import native
from convcli.geometry.problem import Cost, Problem
from convcli.methods.contract import Method, Prepared, always
from convcli.methods.cutting import ALONE, Alone, Workspace
from convcli.records import record, replace

if TYPE_CHECKING:
    import numpy as np

    from convcli.machine import Machine

    Array = np.ndarray[Any, Any]

KERNEL = 3
FEWEST = 16
"""Channels below which transforms cost more than the multiplications that they save."""
VALUES = 2**19
"""Transformed values of a tile: more leave the second-level cache."""
PAGE, SPREAD = 2**10, 32
"""Values in a page of memory, and those by which components are apart in theirs: two lines of the cache."""
AT_ONCE = 2**12
"""Filters transformed at a time, in float64: they stay in the cache."""
MOST_WEIGHTS = 2**26
"""Transformed weights of a bank: 256 MiB of float32."""


@record
class Transform:
    """F(m x m, 3x3) along one axis: `inputs` (m+2, m+2), `filters` (m+2, 3), `outputs` (m, m+2); its `error`.

    The error is the largest seen in float32, relative to sum|k| max|x|, with signs chosen to hurt (2026-11).
    """

    outputs_at_once: int
    error: float
    inputs: tuple[tuple[float, ...], ...]
    filters: tuple[tuple[float, ...], ...]
    outputs: tuple[tuple[float, ...], ...]

    @property
    def patch(self) -> int:
        """Pixels of a patch along an axis: m + 2."""
        return self.outputs_at_once + KERNEL - 1


TRANSFORMS = (
    Transform(
        4,
        1.5e-5,
        inputs=(
            (4, 0, -5, 0, 1, 0),
            (0, -4, -4, 1, 1, 0),
            (0, 4, -4, -1, 1, 0),
            (0, -2, -1, 2, 1, 0),
            (0, 2, -1, -2, 1, 0),
            (0, 4, 0, -5, 0, 1),
        ),
        filters=(
            (1 / 4, 0, 0),
            (-1 / 6, -1 / 6, -1 / 6),
            (-1 / 6, 1 / 6, -1 / 6),
            (1 / 24, 1 / 12, 1 / 6),
            (1 / 24, -1 / 12, 1 / 6),
            (0, 0, 1),
        ),
        outputs=((1, 1, 1, 1, 1, 0), (0, 1, -1, 2, -2, 0), (0, 1, 1, 4, 4, 0), (0, 1, -1, 8, -8, 1)),
    ),
    Transform(
        2,
        3e-7,
        inputs=((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, 1, 0, -1)),
        filters=((1, 0, 0), (1 / 2, 1 / 2, 1 / 2), (1 / 2, -1 / 2, 1 / 2), (0, 0, 1)),
        outputs=((1, 1, 1, 0), (0, 1, -1, -1)),
    ),
)
"""Largest first: it saves most multiplications (4 of 9 remain per output with m = 2, 2.25 of 9 with m = 4)."""


def transform_for(problem: Problem) -> Transform:
    """The largest transform that the tolerance and the size of the outputs allow.

    >>> from convcli.geometry.axis import Geometry
    >>> transform_for(Problem((Geometry(56, 3), Geometry(56, 3)))).outputs_at_once
    4
    """
    fine = [t for t in TRANSFORMS if problem.itemsize == 8 or t.error <= problem.tolerance] or [TRANSFORMS[-1]]
    return min(fine, key=lambda t: prod(ceil(n / t.outputs_at_once) * t.patch for n in problem.output))


def rounding(problem: Problem) -> float:
    """The error of the transform chosen."""
    return transform_for(problem).error


def refuse(problem: Problem) -> str | None:
    """Anything but wide 3x3 banks at stride and dilation 1."""
    if problem.local and problem.fan_in > 1:
        return "it mixes pixels, whose rounding would show where few of them are known"
    if problem.kernel != (KERNEL, KERNEL):
        return "only for 3x3 kernels"
    if set(problem.stride + problem.dilation) != {1}:
        return "only for stride 1 and dilation 1"
    if min(problem.fan_in, problem.channels_out // problem.groups) < FEWEST:
        return f"fewer than {FEWEST} channels or filters"
    weights = problem.channels_out * problem.fan_in * transform_for(problem).patch ** 2
    return f"the transformed bank needs {weights} values" if weights > MOST_WEIGHTS else None


def grain(_problem: Problem, _axis: int = 0) -> int:
    """The rows of a patch."""
    return 4


def compiled(problem: Problem) -> bool:
    """Pixels that are floats, and stay so, are read and written as they lie in an image."""
    loops = native.PATCHES and problem.itemsize == 4 and transform_for(problem).outputs_at_once == 4
    return loops and problem.plain


def tile(problem: Problem) -> tuple[int, ...]:
    """Patches whose transformed values fill the cache, in whole rows of patches where they fit."""
    transform = transform_for(problem)
    step, left = transform.outputs_at_once, max(8, VALUES // (transform.patch**2 * problem.channels_in))
    down, across = (ceil(n / step) for n in problem.output)
    columns = min(left, across)
    rows = min(max(1, left // columns), down)
    return min(rows * step, problem.output[0]), min(columns * step, problem.output[1])


def price(problem: Problem, machine: Machine) -> Cost:
    """Products between the transforms, and the transforms of pixels, results and the bank."""
    transform = transform_for(problem)
    patches = problem.planes * prod(ceil(n / transform.outputs_at_once) for n in problem.output)
    components, filters = transform.patch**2, problem.channels_out * problem.fan_in
    products = patches * components * filters
    moved = patches * components * (problem.channels_in + problem.channels_out)
    tiles = problem.planes * prod(ceil(n / t) for n, t in zip(problem.output, tile(problem), strict=True))
    seconds = (
        products * machine.product
        + moved * machine.patch
        + filters * components * machine.patch
        + tiles * 20 * machine.call
    )
    return Cost(macs=products, seconds=seconds)


def prepare(taps: Array, problem: Problem) -> Winograd:
    """The transformed bank: one matrix (O/g, I/g) for each component of a patch and each group."""
    import numpy as np

    transform = transform_for(problem)
    flat, filters = np.asarray(taps, np.float64).reshape(-1, KERNEL**2).T, twice(transform.filters)
    bank = np.empty((transform.patch**2, flat.shape[1]), problem.dtype)
    for first in range(0, bank.shape[1], AT_ONCE):
        bank[:, first : first + AT_ONCE] = filters @ flat[:, first : first + AT_ONCE]
    shape = (transform.patch**2, problem.groups, problem.channels_out // problem.groups, problem.fan_in)
    return Winograd(
        transform,
        bank.reshape(shape),
        twice(transform.inputs).astype(problem.dtype),
        twice(transform.outputs).astype(problem.dtype),
    )


def twice(rows: tuple[tuple[float, ...], ...]) -> Array:
    """A transform along both axes as one matrix: the Kronecker product with itself."""
    import numpy as np

    return np.kron(rows, rows)


def spread(values: int) -> int:
    """Values from one component to the next: pages and a bit, or all would share a place in the cache."""
    return values + (SPREAD - values) % PAGE


@record
class Winograd(Prepared):
    """Applies a transformed bank to a block; a team shares channels, components, and filters."""

    transform: Transform
    bank: Array
    inputs: Array
    outputs: Array
    pixels: Workspace = field(default_factory=Workspace)
    products: Workspace = field(default_factory=Workspace)
    team: Alone = ALONE

    def with_team(self, team: Alone) -> Winograd:
        """The same by a team of threads."""
        return replace(self, team=team)

    def fused(
        self, source: Array, target: Array, *, step: int, scale: float, bias: float, **beyond: Any
    ) -> native.Counts | None:
        """The same on channels as they lie in an image; None where that cannot be, or where results are not finite."""
        import numpy as np

        rows = all(pixels.dtype == "float32" and pixels.strides[-1] == 4 for pixels in (source, target))
        if not (self.compiled and rows and source.flags.aligned and (step, scale, bias) == (1, 1, 0)):
            return None
        self(source, target, **beyond)
        finite: list[bool] = []
        self.team.share(lambda part: finite.append(bool(np.isfinite(target[part].sum()))), len(target))
        return native.Counts(0, 0, 0) if all(finite) else None

    def __call__(self, block: Array, out: Array, **beyond: Any) -> None:
        """Fill `out` (O, *tile) from `block` (I, *window), or from channels and what stands `beyond` them."""
        import numpy as np

        components, groups, filters, channels = self.bank.shape
        rows, columns = (ceil(n / self.transform.outputs_at_once) for n in out.shape[1:])
        patches, dtype = rows * columns, self.bank.dtype
        read, made = groups * channels * patches, groups * filters * patches
        with (
            self.pixels.borrow((components, spread(read)), dtype) as inputs,
            self.products.borrow((components, spread(made)), dtype) as outputs,
        ):
            pixels = inputs[:, :read].reshape(components, groups, channels, patches)
            products = outputs[:, :made].reshape(components, groups, filters, patches)
            before, after = (part.reshape(components, -1, rows, columns) for part in (pixels, products))
            self.team.share(lambda part: self.transform_inputs(block[part], before[:, part], **beyond), len(block))
            self.team.share(lambda part: np.matmul(self.bank[part], pixels[part], out=products[part]), components)
            self.team.share(lambda part: self.transform_outputs(after[:, part], out[part]), len(out))

    @property
    def compiled(self) -> bool:
        """Whether the extension has loops for this transform."""
        return native.PATCHES and self.transform.outputs_at_once == 4 and self.bank.dtype == "float32"

    def transform_inputs(self, block: Array, pixels: Array, **beyond: Any) -> None:
        """Fill `pixels` (components, I, rows, columns) with the components of all patches of a block (I, *window)."""
        rows, columns = pixels.shape[2:]
        if self.compiled:
            native.to_components(block, pixels, **beyond)
        else:
            patches = self.patches(block, rows, columns).reshape(len(self.bank), len(block), -1)
            pixels[...] = self.by_planes(self.inputs, patches).reshape(pixels.shape)

    def by_planes(self, transform: Array, values: Array) -> Array:
        """A transform of values (., planes, .), a product for each plane: whoever computes it, it is the same."""
        products: Array = (transform @ values.swapaxes(0, 1)).swapaxes(0, 1)
        return products

    def patches(self, block: Array, rows: int, columns: int) -> Array:
        """Every patch of a block (I, *window), zeros where it ends early: a view (m+2, m+2, I, rows, columns)."""
        import numpy as np

        step, size = self.transform.outputs_at_once, self.transform.patch
        needed = (block.shape[0], rows * step + size - step, columns * step + size - step)
        if needed != block.shape:
            whole = np.zeros(needed, block.dtype)
            whole[:, : block.shape[1], : block.shape[2]] = block
            block = whole
        channel, down, right = block.strides
        return np.lib.stride_tricks.as_strided(
            block,
            (size, size, block.shape[0], rows, columns),
            (down, right, channel, step * down, step * right),
            writeable=False,
        )

    def transform_outputs(self, components: Array, out: Array) -> None:
        """Turn components (., O, rows, columns) into results, side by side in `out` (O, *tile), cut at its ends."""
        if self.compiled and out.strides[2] == out.itemsize:
            native.from_components(components, out)
            return
        step = self.transform.outputs_at_once
        results = self.by_planes(self.outputs, components.reshape(*components.shape[:2], -1))
        results = results.reshape(step, step, *components.shape[1:])
        for down, right in product(range(step), repeat=2):
            target = out[:, down::step, right::step]
            target[...] = results[down, right, :, : target.shape[1], : target.shape[2]]


METHOD = Method(refuse, price, rounding, tile, prepare, always, compiled, grain=grain, teams=always)
"""BLAS adds up the last patches of a product in another order: where tiles are cut shows."""
