"""The optional extension, and what must be installed, which depends on the system; all else is in pyproject.toml."""

import os
import shutil
import sys
from pathlib import Path
from sysconfig import get_config_var

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CCompilerError, CompileError

FLAGS = ["-std=gnu11", "-O3", "-g0", "-ffp-contract=fast", "-fno-wrapv", "-Wno-psabi"]
"""For GCC and Clang; the package goes on without the extension where there is neither.

g0: without notes for debuggers, which name the folder that the build happened in.
no-wrapv: Python asks for integers that wrap; nothing here does, and loops over such take up to an eighth more time.
psabi: how wide vectors are passed differs between processors; here they never leave a file.
"""

MORE = {"_sums": ["-ffp-contract=off"]}
"""Besides: products are rounded before they are rounded to integers, as NumPy does where a part of an image is cut."""

PARTS = {
    "_direct": ("axis", "window", "call", "instructions", "floats", "kernels", "recipe"),
    "_wide": ("axis", "lines", "window", "call", "instructions", "narrow", "wide"),
    "_sums": ("axis", "lines", "window", "call", "instructions", "narrow", "sums"),
    "_passes": ("axis", "lines", "window", "call", "instructions", "narrow", "passes"),
    "_layers": ("axis", "lines", "window", "call", "instructions", "floats", "layers"),
    "_banks": ("axis", "lines", "window", "call", "instructions", "floats", "banks"),
    "_minimal": ("axis", "lines", "window", "call", "instructions", "floats", "minimal"),
    "_patches": ("axis", "versions"),
    "_fourier": ("coarse", "promise", "transforms", "versions"),
    "_copies": ("axis", "versions"),
    "_deflate": ("versions",),
    "_entropy": (),
    "_rows": ("versions",),
}
"""Modules of compiled code, each with its headers; its source is named alike."""

FOLDER = "convcli/native"
STABLE = not get_config_var("Py_GIL_DISABLED")
"""Whether one build serves all versions of Python from 3.11 on; there is none such for those without a lock."""
NOTE = "unbuilt.txt"
"""What says, beside the modules, why some were not built, for `convcli --version`."""

REQUIREMENTS = [
    # All works with 0.29 too, but its parsers are built on pydantic: four packages more, and 2.2 times as long until a
    # line without -k is refused (0.29.2 against 0.28.0). Before 0.19 they import rich: 1.8 times as long (0.16.1).
    # Paired starts, November 2026; lines that lack nothing never load typer.
    "typer>=0.19.2,<0.29",
    "numpy>=2.0",  # arrays and BLAS
    # Transforms in float32 (scipy.fft), and nnls in `tune`. It stays: with those of NumPy 2.4 instead, filters of
    # volumes by transforms take 1.7 to 2.1 times the processor time (128^3 by 15^3, 64x256x256 by 9x25x25), planes
    # without compiled loops 1.2 times; planes in float64, or with compiled loops, the same (scipy 1.17, December 2026).
    "scipy>=1.13",
    "imageio>=2.34",  # the formats without a codec of their own here: WebP, BMP, PNM, GIF
    "pillow>=12",  # imageio's reader for those formats, and EXIF orientation; 11 reads palettes and inks otherwise
    "tifffile>=2024.8.10",  # TIFF, BigTIFF, ImageJ, OME
    "rich>=13",  # the report
    "threadpoolctl>=3.5",  # one BLAS thread in each worker
]
CODECS = "imagecodecs>=2024.6.1"
"""PNG and JPEG at full depth and speed; compressed TIFF, JPEG 2000, AVIF, JPEG XL and others.

It has no wheels for musl (Alpine Linux), nor for Python 3.13 without a lock, and building it takes some forty
libraries. No marker names these systems, but whatever is built here is for one system: there it is not required, and
`convcli --version` says that it is missing.
"""


def requirements():
    """What must be installed on the system that is built for."""
    lacking = "musl" in str(get_config_var("HOST_GNU_TYPE")) or (not STABLE and sys.version_info < (3, 14))
    return REQUIREMENTS if lacking else [*REQUIREMENTS, CODECS]


def flags(name):
    """Those of a module."""
    return FLAGS + MORE.get(name, [])


class BuildLoops(build_ext):
    """Builds what can be built. Where it cannot, nothing of an earlier build is left, and a note says why.

    Whoever builds in place works on the sources: what a compiler refuses is an error there, elsewhere a warning.
    """

    def run(self):
        self.in_place, self.refused = bool(self.inplace), []
        super().run()
        if self.in_place and self.refused:
            raise CompileError(f"{self.reason()}; CONVCLI_NATIVE=0 installs convcli without compiled loops")

    def build_extensions(self):
        self.take_clang()
        if self.reason():
            for ext in self.extensions:
                self.leave_out(ext)
        else:
            super().build_extensions()
        for folder in self.folders():
            (folder / NOTE).unlink(missing_ok=True)
            if self.reason():
                folder.mkdir(parents=True, exist_ok=True)
                (folder / NOTE).write_text(f"{self.reason()}\n", encoding="utf-8")
        if self.reason():
            self.warn(f"convcli's compiled loops are not all built: {self.reason()}")

    def take_clang(self):
        """On Windows, where it is there: Microsoft's own compiler has no vectors that a source can name."""
        self.clang = shutil.which("clang-cl") if self.compiler.compiler_type == "msvc" else None
        if self.clang:
            self.compiler.initialize()
            self.compiler.cc = self.clang
            for ext in self.extensions:
                ext.extra_compile_args = [f"/clang:{flag}" for flag in flags(ext.name.rpartition(".")[2])]

    def build_extension(self, ext):
        try:
            super().build_extension(ext)
        except CCompilerError:
            self.refused.append(Path(ext.sources[0]).name)
            self.leave_out(ext)

    def reason(self):
        """Why not everything is built; empty where it is, as far as is known yet."""
        if os.environ.get("CONVCLI_NATIVE") == "0":
            return "CONVCLI_NATIVE=0 was set at installation"
        if self.compiler.compiler_type == "msvc" and not self.clang:
            return "Clang is needed (clang-cl), and MSVC alone was there at installation"
        compiler = self.clang or self.compiler.compiler_so[0]
        if shutil.which(compiler) is None:
            return f"no C compiler was there at installation ({compiler})"
        return f"{compiler} failed on {', '.join(self.refused)}" if self.refused else ""

    def folders(self):
        """Where modules come to lie: in the build, and among the sources."""
        return [Path(self.build_lib, FOLDER), *([Path(FOLDER)] if self.in_place else [])]

    def leave_out(self, ext):
        """Remove what an earlier build has made of it."""
        for folder in self.folders():
            for path in folder.glob(f"{ext.name.rpartition('.')[2]}.*"):
                path.unlink()


setup(
    install_requires=requirements(),
    cmdclass={"build_ext": BuildLoops},
    ext_modules=[
        Extension(
            f"convcli.native.{name}",
            [f"convcli/native/{name[1:]}.c"],
            depends=[f"convcli/native/{header}.h" for header in ("module", "processor", *headers)],
            define_macros=[("Py_LIMITED_API", "0x030B0000")] if STABLE else [],
            extra_compile_args=[] if sys.platform == "win32" else flags(name),
            libraries=[] if sys.platform == "win32" else ["m"],
            py_limited_api=STABLE,
            optional=True,
        )
        for name, headers in PARTS.items()
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}} if STABLE else {},
)
