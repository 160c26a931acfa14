"""The optional extension; everything else about the package is in pyproject.toml."""

import sys

from setuptools import Extension, setup

FLAGS = ["-std=gnu11", "-O3", "-ffp-contract=fast", "-Wno-psabi"]
"""For GCC and Clang. Another compiler stops at an #error in the source, and the package goes on without the extension.

psabi: how wide vectors are passed differs between processors; here they never leave a file.
"""

setup(
    ext_modules=[
        Extension(
            "convcli.native._direct",
            ["convcli/native/direct.c"],
            depends=[f"convcli/native/{name}.h" for name in ("axis", "kernels", "recipe")],
            define_macros=[("Py_LIMITED_API", "0x030B0000")],
            extra_compile_args=[] if sys.platform == "win32" else FLAGS,
            py_limited_api=True,
            optional=True,
        ),
        Extension(
            "convcli.native._patches",
            ["convcli/native/patches.c"],
            define_macros=[("Py_LIMITED_API", "0x030B0000")],
            extra_compile_args=[] if sys.platform == "win32" else FLAGS,
            py_limited_api=True,
            optional=True,
        ),
        Extension(
            "convcli.native._wide",
            ["convcli/native/wide.c"],
            depends=[f"convcli/native/{name}.h" for name in ("axis", "wide")],
            define_macros=[("Py_LIMITED_API", "0x030B0000")],
            extra_compile_args=[] if sys.platform == "win32" else FLAGS,
            py_limited_api=True,
            optional=True,
        ),
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
