"""The table of subcommands, in the order of `convcli --help`.

Each name maps to a module of this package with a function of the same name, imported only when it is asked for.
"""

COMMANDS = ("conv2d", "shapes", "flops", "kernels")
