"""Kernels of a million taps: what a plan needs to know of them is found in a moment, in files of any kind."""

import json

import numpy as np
import pytest

from command import InProcess
from convcli.kernels.files import read_kernel
from convcli.methods.terms import MOST, SPARE, WHOLE, factor, most_terms, rank

LIMIT = 2e-7
RNG = np.random.default_rng(7)
BELL = np.exp(-np.square(np.linspace(-3, 3, 501)))


def low(terms, *shape):
    """A sum of outer products of random vectors."""
    vectors = [[RNG.standard_normal(n) for n in shape] for _ in range(terms)]
    return sum(np.multiply.outer(np.multiply.outer(*v[:2]), v[2]) if len(v) > 2 else np.outer(*v) for v in vectors)


KERNELS = {
    "one term": (np.outer(BELL, BELL), 1),
    "one term and its rounding": (np.outer(BELL, BELL).astype(np.float32).astype(float), 1),
    "three terms": (low(3, 501, 400), 3),
    "as many as are looked for": (low(MOST, 301, 290), MOST),
    "one more": (low(MOST + 1, 301, 290), None),
    "none": (RNG.random((501, 301)), None),
    "few rows": (RNG.random((5, 3001)), 5),
    "a disk": (np.hypot(*np.mgrid[-200:201, -200:201]) <= 190.5, None),
    "a volume of two terms, each plane of both": (low(2, 61, 71, 81), 4),
    "a volume of none": (RNG.random((61, 61, 61)), None),
}


@pytest.fixture
def decomposed(monkeypatch):
    """The shapes of all matrices whose singular values are computed."""
    shapes, real = [], np.linalg.svd
    monkeypatch.setattr(np.linalg, "svd", lambda matrix, **more: (shapes.append(matrix.shape), real(matrix, **more))[1])
    return shapes


@pytest.mark.parametrize("name", KERNELS)
def test_the_rank_of_a_large_kernel_is_found_without_its_singular_values(name, decomposed):
    taps, expected = KERNELS[name]
    assert expected == rank(taps.astype(float), LIMIT)
    for shape in decomposed:
        assert min(shape) <= MOST + 1 + SPARE or np.prod(shape) <= 4 * WHOLE**2


@pytest.mark.parametrize("name", [name for name, (_, terms) in KERNELS.items() if terms])
def test_the_terms_of_a_large_kernel_add_up_to_it(name):
    taps, _ = KERNELS[name]
    terms = factor(taps.astype(float), LIMIT, most_terms(taps.shape))
    letters = "zyx"[: taps.ndim]
    total = sum(np.einsum(f"{','.join(letters)}->{letters}", *term) for term in terms)
    assert np.abs(taps - total).sum() <= LIMIT * np.abs(taps).sum()


@pytest.mark.parametrize("ends", [1, 2, 3, 5])
def test_no_more_terms_are_given_than_are_asked_for(ends):
    assert ends == len(factor(RNG.random((9, 8, 7)), 0.0, ends))


def test_the_plan_of_a_random_kernel_needs_no_large_decomposition(tmp_path, capsys, decomposed):
    np.save(tmp_path / "k.npy", RNG.random((1201, 1201)))
    np.save(tmp_path / "a.npy", np.zeros((24, 32), np.float32))
    run = InProcess(capsys)
    words = ("conv2d", tmp_path / "a.npy", "-k", tmp_path / "k.npy", "-o", tmp_path / "o.npy", "--explain", "--json")
    assert (0, []) == run(*words, "-q")
    reasons = {each["method"]: each["refused"] for each in json.loads(run.output)["candidates"]}
    assert reasons["separable"] == "not known to be the sum of a few 1-D passes"
    assert max(map(np.prod, decomposed)) <= 4 * WHOLE**2


WRITERS = {
    "spaces.txt": lambda taps: "\n".join(" ".join(map(repr, row)) for row in taps),
    "commas.csv": lambda taps: "\n".join(" , ".join(map(repr, row)) for row in taps),
    "tabs.tsv": lambda taps: "\n".join("\t".join(map(repr, row)) for row in taps),
    "semicolons.txt": lambda taps: "\n".join("; ".join(map(repr, row)) for row in taps),
    "vips.mat": lambda taps: f"{len(taps[0])} {len(taps)}\n" + "\n".join(" ".join(map(repr, row)) for row in taps),
    "lists.json": json.dumps,
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_large_kernel_of_text_is_read_as_it_was_written(tmp_path, name):
    taps = RNG.standard_normal((70, 90))
    taps[3, :6] = -0.0, 1e-300, 3e38, -7, 2.5e-7, 12345678
    (tmp_path / name).write_text(WRITERS[name](taps.tolist()))
    np.testing.assert_array_equal(taps, read_kernel(str(tmp_path / name), 2).array())


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("1 1_0 2", "row 2, value 2: '1_0' is not a number"),
        ("1,,2", "row 2, value 2 is empty"),
        ("1 2 +-3", "row 2, value 3: '+-3' is not a number"),
        ("1 . 3", "row 2, value 2: '.' is not a number"),
        ("1 2 1e39", "row 2, value 3: '1e39' is larger than a float32 number can be"),
        ("1 2 1e999", "row 2, value 3: '1e999' is larger than a float32 number can be"),
        ("e E e", "row 2, value 1: 'e' is not a number"),
    ],
)
def test_what_is_no_number_is_found_among_many(tmp_path, row, message):
    (tmp_path / "k.txt").write_text(f"1 2 3\n{row}\n")
    with pytest.raises(Exception, match="row 2") as error:
        read_kernel(str(tmp_path / "k.txt"), 2)
    assert message == error.value.message
