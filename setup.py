"""The optional extension; everything else about the package is in pyproject.toml."""

import sys

from setuptools import Extension, setup

# GCC and Clang; another compiler stops at an #error in the source, and the package is built without the extension.
FLAGS = (
    []
    if sys.platform == "win32"
    else ["-std=gnu11", "-O3", "-ffp-contract=fast", "-Wno-psabi", "-Wno-maybe-uninitialized"]
)

setup(
    ext_modules=[
        Extension(
            "convcli.native._direct",
            ["convcli/native/direct.c"],
            depends=["convcli/native/kernels.h"],
            define_macros=[("Py_LIMITED_API", "0x030B0000")],
            extra_compile_args=FLAGS,
            py_limited_api=True,
            optional=True,
        )
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
