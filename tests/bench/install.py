"""What an installation costs: seconds, and megabytes by package, in a fresh environment.

python -m tests.bench.install [WHEEL or folder]; by default the checkout it stands in.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]


def size(path: Path) -> float:
    """Megabytes of a file, or of all in a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(each.lstat().st_size for each in files if each.is_file()) / 1e6


def main(what: str) -> None:
    """Install it, and print a line for what took the time and for each large package."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        python = Path(folder, "Scripts" if sys.platform == "win32" else "bin", "python")
        packages = Path(sysconfig.get_path("purelib", vars={"base": folder, "platbase": folder}))
        before = {each.name for each in packages.iterdir()}
        began = time.perf_counter()
        subprocess.run([python, "-m", "pip", "install", "-q", what], check=True)
        seconds = time.perf_counter() - began
        sizes = {each.name: size(each) for each in packages.iterdir() if each.name not in before}
    parts = sorted(sizes.items(), key=lambda pair: -pair[1])
    largest = ", ".join(f"{name} {megabytes:.0f}" for name, megabytes in parts[:6])
    print(f"{seconds:.0f} s, {sum(sizes.values()):.0f} MB ({largest}; convcli {sizes['convcli']:.1f})")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else str(ROOT))
