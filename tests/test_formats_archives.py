"""NumPy archives, however their members are packed: damage ends in one line, and what is honest is read."""

import io
import zipfile

import numpy as np
import pytest

from convcli.errors import ConvError
from convcli.formats import probe, read
from convcli.kernels import files

PACKINGS = {
    name: getattr(zipfile, name)
    for name in ("ZIP_STORED", "ZIP_DEFLATED", "ZIP_BZIP2", "ZIP_LZMA", "ZIP_ZSTANDARD")  # the last from 3.14 on
    if hasattr(zipfile, name)
}
NOISE = np.random.default_rng(0).integers(0, 255, (12, 12), dtype=np.uint8)


def packed(array, packing):
    """An archive of one array."""
    inner, outer = io.BytesIO(), io.BytesIO()
    np.save(inner, array)
    with zipfile.ZipFile(outer, "w", packing) as archive:
        archive.writestr("a.npy", inner.getvalue())
    return outer.getvalue()


@pytest.mark.parametrize("packing", PACKINGS.values(), ids=PACKINGS)
def test_a_damaged_member_is_refused_in_one_line(packing, tmp_path):
    sound = packed(NOISE / 255, packing)
    assert np.array_equal(NOISE / 255, read(sound).data)
    start, end = sound.index(b"a.npy") + 5, sound.index(b"PK\1\2")
    for place in range(start, end, 7):
        for damage in (b"\xff", b"\0", bytes(9), b""):
            content = sound[:place] + damage + sound[place + max(len(damage), 1) :]
            if content == sound:
                continue
            path = tmp_path / "k.npz"
            path.write_bytes(content)
            for reading in (read, lambda path: files.read_kernel(str(path), 2)):
                try:
                    reading(path)  # some bytes of LZMA's header say nothing of the content
                except ConvError as error:
                    assert "\n" not in error.message


@pytest.mark.parametrize("packing", PACKINGS.values(), ids=PACKINGS)
def test_what_compresses_well_is_no_bomb(packing):
    zeros = np.zeros((5000, 5000), np.uint8)
    assert (5000, 5000) == probe(packed(zeros, packing)).shape


def test_the_length_of_a_header_is_looked_at_before_it_is_read():
    lying = b"\x93NUMPY\2\0" + (2**31).to_bytes(4, "little") + bytes(2**20)
    with pytest.raises(ConvError, match=r"its header is said to have 2,147,483,648 bytes"):
        read(lying)
