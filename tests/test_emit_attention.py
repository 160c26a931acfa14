"""Networks with attention as text: what `--emit` writes of them reads back to what PyTorch counts, by every exporter.

Graphs and truth are made by tests/make_attention.py.
"""

from __future__ import annotations

import json
import zipfile
from math import prod

import pytest

from convcli.cli import run
from onnx_files import GRAPHS, node, small

TRUTH = json.loads((GRAPHS / "attention.json").read_text())
with zipfile.ZipFile(GRAPHS / "attention.zip") as archive:
    MODELS = {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture
def emitted(tmp_path, capsys):
    """Writes a model in words: the exit code, the text and what is said against it."""

    def answer(data: bytes, *words: str) -> tuple[int, str, str]:
        path = tmp_path / "model"
        path.write_bytes(data)
        code = run(["flops", str(path), "--emit", *words])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return answer


@pytest.fixture
def total(tmp_path, capsys):
    """The totals of a text."""

    def answer(text: str):
        (tmp_path / "design.txt").write_text(text)
        assert 0 == run(["flops", "--file", str(tmp_path / "design.txt"), "--json"])
        return json.loads(capsys.readouterr().out)["total"]

    return answer


@pytest.mark.parametrize("name", MODELS)
def test_a_network_with_attention_is_written_in_words_that_read_back_to_its_numbers(emitted, total, name):
    truth = TRUTH[name.partition("-")[0]]
    code, text, err = emitted(MODELS[name])
    assert (0, "") == (code, err)
    found = total(text)
    images = prod(truth["outputs"][0]) // prod(found["output"])
    assert (truth["macs"], truth["products"]) == (images * found["macs"], images * found["macs_products"])
    assert truth["params"] == found["params"]
    assert images == (1 if name.startswith("encoder") else truth["inputs"][0][0])


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("vit", "2*block1"),
        ("vit", "tokens pad1:0"),
        ("vit", "attend2:"),
        ("swin", "attend3w4x4:"),
        ("swin", "2*block2"),
        ("encoder", "input 32@10x3"),
        ("encoder", "attend4w10x1:"),
        ("transformer", "32@7 as:"),
    ],
)
def test_every_exporter_says_the_same_in_the_same_words(emitted, name, words):
    some = [data for key, data in MODELS.items() if key.startswith(f"{name}-")]
    assert len(some) >= 2
    assert all(words in emitted(data)[1] for data in some)


@pytest.mark.parametrize(
    ("nodes", "why"),
    [
        ([node("Transpose", "x", "t", perm=[0, 1, 3, 2]), node("MatMul", "x t", "y", "m")], "of two activations"),
        ([node("MatMul", "x x", "a"), node("MatMul", "a a", "y", "m")], "a product of two activations"),
        ([node("MatMul", "x x", "a"), node("Add", "a x", "y", "m")], "it changes the scores of an attention"),
    ],
    ids=["scores", "squared", "mixed"],
)
def test_other_products_have_no_word(emitted, nodes, why):
    code, text, err = emitted(small(nodes, [], (1, 3, 8, 8)))
    assert (1, "") == (code, text)
    assert "node 'm' (" in err and why in err
