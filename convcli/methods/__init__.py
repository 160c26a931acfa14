"""The ways to compute a convolution.

Each method is a module with
`refuse(problem)`, a reason why it cannot or None;
`price(problem, machine)`, the cost by one thread in the problem's precision;
`rounding(problem)`, its error in float32 relative to sum|k| max|x|;
`compiled(problem)`, whether it reads samples as they lie in an image (where it ever does);
`startup(problem, machine)`, seconds that its first use in a process costs (where there are any);
`tile(problem)`, the outputs per spatial axis it likes to compute at a time;
`grain(problem, axis)`, where smaller tiles cost no more work: along an axis they may be cut after so many outputs;
`TEAM`, where threads had better share a tile if there are few: what is prepared has a field `team` (`team.Alone`);
`fixed(problem)`, whether no memory and no threads may cut tiles, since a result's bits depend on its place in one;
`prepare(taps, problem)`, which returns a callable `(block, out)`: `block` is (I, *window), `out` is (O, *tile). Its
`fused` does the same on samples as they lie in an image (where it can), its `blas` is False if it calls none.
Prices and refusals need no NumPy.
"""

METHODS = ("direct", "separable", "gemm", "winograd", "minimal", "fft", "polyphase")
