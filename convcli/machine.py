"""How fast a machine is at the few things that methods are made of."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Machine:
    """Seconds per unit of work for one thread in float32; float64 takes `double` times as long.

    The defaults were measured on a 2-core AMD EPYC 7003 (AVX2), NumPy 2.4 with OpenBLAS, 2026-11.
    """

    name: str = "AMD EPYC 7003 at 2.4 GHz, 2026-11"
    call: float = 3e-6  # a NumPy call on a small array
    start: float = 40e-6  # a tile: its window, its place, its method called
    tap: float = 1 / 30e9  # a multiply-add of a compiled kernel in two dimensions
    pass_tap: float = 1 / 17e9  # a multiply-add of a compiled 1-D pass
    store: float = 0.3e-9  # an output of a compiled kernel, rounded and stored, or a value between two passes
    gap: float = 3e-9  # an output of a compiled kernel whose columns do not follow each other in memory
    band: float = 1 / 25e9  # a multiply-add inside a banded product
    product: float = 1 / 42e9  # a multiply-add inside a large matrix product
    add: float = 1 / 2.5e9  # an addition to an array in cache
    copy: float = 1 / 2.2e9  # a value moved into a column matrix
    patch: float = 1.2e-9  # a transformed value of a Winograd patch, gathered, transformed or placed
    transform: float = 0.35e-9  # an FFT, per value and per level (log2 of the length)
    spectrum: float = 1.2e-9  # a complex multiply-add of spectra
    window: float = 0.7e-9  # a pixel read into a block of floats, or a result rounded into an image
    double: float = 2.0
    import_fft: float = 0.08  # what importing scipy.fft takes, once per process
