"""The ways to compute a convolution: each is a module that gives a `METHOD` (`convcli.methods.contract`)."""

METHODS = ("direct", "separable", "gemm", "winograd", "minimal", "fft", "polyphase")
