#!/usr/bin/env bash
# Builds the native extension with the address and undefined-behaviour sanitizers, in a copy, and runs its tests there:
#     tests/native_sanitizer.sh [python]
set -euo pipefail
cd "$(dirname "$0")/.."
python=$(command -v "${1:-python}")
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
cp -r convcli tests setup.py pyproject.toml README.md "$copy"
cd "$copy"
find convcli -name '*.so' -delete
flags="-O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined"
CFLAGS="$flags" LDFLAGS="$flags" "$python" setup.py -q build_ext --inplace
ls convcli/native/_{direct,wide,sums,passes,banks,minimal,layers,patches,fourier,copies,rows,deflate,entropy}*.so  # without them tests would be skipped

# The interpreter is not instrumented: the runtime is loaded first, and what Python keeps until its end is no leak.
# -s: a report goes to the terminal, not into a pipe that dies with the process.
LD_PRELOAD="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libubsan.so)" ASAN_OPTIONS=detect_leaks=0 \
    "$python" -m pytest -q -s tests/test_native.py tests/test_sums.py tests/test_passes.py tests/test_fourier.py tests/test_winograd.py tests/test_minimal.py tests/test_banks.py tests/test_teams.py tests/test_copies.py tests/test_png_native.py \
    tests/test_native_random.py tests/test_jpeg_entropy.py tests/test_jpeg_streams.py
