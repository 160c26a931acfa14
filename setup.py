"""The optional extension; everything else about the package is in pyproject.toml."""

import sys

from setuptools import Extension, setup

FLAGS = ["-std=gnu11", "-O3", "-ffp-contract=fast", "-fno-wrapv", "-Wno-psabi"]
"""For GCC and Clang. Another compiler stops at an #error in the source, and the package goes on without the extension.

no-wrapv: Python asks for integers that wrap; nothing here does, and loops over such take up to an eighth more time.
psabi: how wide vectors are passed differs between processors; here they never leave a file.
"""

PARTS = {
    "_direct": ("axis", "window", "call", "instructions", "floats", "kernels", "recipe"),
    "_wide": ("axis", "window", "call", "instructions", "wide"),
    "_layers": ("axis", "window", "call", "instructions", "floats", "layers"),
    "_minimal": ("axis", "window", "call", "instructions", "floats", "minimal"),
    "_patches": ("axis", "versions"),
    "_fourier": ("promise", "transforms", "versions"),
    "_copies": ("axis", "versions"),
    "_deflate": ("versions",),
    "_entropy": (),
    "_rows": ("versions",),
}
"""Modules of compiled code, each with its headers; its source is named alike."""

setup(
    ext_modules=[
        Extension(
            f"convcli.native.{name}",
            [f"convcli/native/{name[1:]}.c"],
            depends=[f"convcli/native/{header}.h" for header in headers],
            define_macros=[("Py_LIMITED_API", "0x030B0000")],
            extra_compile_args=[] if sys.platform == "win32" else FLAGS,
            libraries=[] if sys.platform == "win32" else ["m"],
            py_limited_api=True,
            optional=True,
        )
        for name, headers in PARTS.items()
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
