"""Google Cloud Storage and Azure Blob Storage: what a store promises, and whole commands, against a local server."""

import io
import os

import numpy as np
import pytest

import convcli
from clouds import KINDS, cloud_server
from command import convcli as command
from convcli.errors import ConvError
from convcli.formats import sending
from convcli.stores import opening
from convcli.stores.contract import MARK, Seen
from convcli.stores.store import PIECE, store_at

pytest.importorskip("obstore", reason="obstore is not installed")
RNG = np.random.default_rng(31)
PICTURE = RNG.integers(0, 256, (40, 50), np.uint8)
VOLUME = RNG.integers(0, 999, (20, 70, 300), np.uint16)


@pytest.fixture(params=KINDS)
def cloud(request, monkeypatch):
    """A server of either kind, and this process's environment made for it."""
    for name in [name for name in os.environ if name.startswith(("GOOGLE_", "AZURE_"))]:
        monkeypatch.delenv(name)
    with cloud_server(request.param) as running:
        for name, value in {**running.environment, "CONVCLI_RETRIES": "1"}.items():
            monkeypatch.setenv(name, value)
        opening.made.cache_clear()
        yield running
    opening.made.cache_clear()


@pytest.fixture
def store(cloud):
    """A folder of its bucket."""
    return store_at(f"{cloud.url}/in")


def test_what_is_put_is_got_by_its_key_whole_or_in_part(store, cloud):
    data = RNG.bytes(PIECE + 77)
    for key, content in {"a b.png": data, "deep/c/0": b"chunk", "empty": b""}.items():
        store.put(key, content)
        assert (content, len(content), True) == (store.get(key), store.size(key), store.has(key))
        assert (content[:5], len(content)) == (store.first(key, 5)[1], store.first(key, 5)[0].size)
    assert {"in/a b.png", "in/deep/c/0", "in/empty"} == {*cloud.server.objects}
    assert data[PIECE - 9 : PIECE + 9] == store.read("a b.png", PIECE - 9, PIECE + 9)
    assert (None, None, False) == (store.get("none"), store.seen("none"), store.has("none"))
    assert ["a b.png", "deep/c/0", "empty"] == sorted(store.keys())
    assert ["deep/c/0"] == [*store.keys("deep")]
    for key in ("empty", "empty"):
        store.delete(key)
    assert ["a b.png", "deep/c/0"] == sorted(store.keys())


def test_a_part_is_of_the_object_that_was_seen(store):
    store.put("a", b"first")
    seen = store.seen("a")
    assert Seen(5, seen.tag, seen.time) == seen
    assert b"irs" == store.read("a", 1, 4, tag=seen.tag)
    store.put("a", b"other")
    with pytest.raises(ConvError, match="changed while it was read"):
        store.read("a", 1, 4, tag=seen.tag)


def test_only_the_object_that_was_seen_is_replaced(store):
    assert not store.replace("a", b"mine", "none")
    store.put("a", b"one")
    tag = store.seen("a").tag
    assert [True, False] == [store.replace("a", each, tag) for each in (b"two", b"three")]
    assert b"two" == store.get("a")


def test_an_object_is_created_only_where_there_is_none(store):
    assert [True, False] == [store.create("a", each) for each in (b"first", b"again")]
    assert b"first" == store.get("a")
    assert store.honours_create()
    assert ["a"] == [*store.keys()]


def test_a_large_object_is_sent_in_parts_and_on_that_condition_too(store):
    data = RNG.bytes(2 * PIECE + 9)
    assert [True, False] == [store.send_new("a", io.BytesIO(each), len(each)) for each in (data, data[::-1])]
    assert (data, ["a"]) == (store.get("a"), [*store.keys()])
    store.send("a", io.BytesIO(data[::-1]), len(data))
    assert data[::-1] == store.get("a")


def test_a_command_reads_and_writes_pictures_and_replaces_none(cloud, tmp_path, monkeypatch):
    convcli.write(tmp_path / "a.png", PICTURE)
    assert 0 == command("conv2d", "a.png", "-k", "box:3", "-o", "b.png", cwd=tmp_path).returncode
    assert 0 == command("conv2d", "a.png", "-k", "identity", "-o", f"{cloud.url}/x/a.png", cwd=tmp_path).returncode
    words = ("conv2d", f"{cloud.url}/x/a.png", "-k", "box:3", "-o", f"{cloud.url}/x/b.png")
    assert 0 == command(*words).returncode
    expected = convcli.read(tmp_path / "b.png").data
    np.testing.assert_array_equal(expected, convcli.read(f"{cloud.url}/x/b.png").data)
    again = command(*words, "-q")
    assert (1, f"convcli: '{cloud.url}/x/b.png': exists already; --force replaces it [exists]\n") == (
        again.returncode,
        again.stderr.decode(),
    )
    monkeypatch.setattr(sending, "MULTIPART", 100)
    with pytest.raises(ConvError, match="exists already"):
        convcli.write(f"{cloud.url}/x/b.png", PICTURE)
    assert {"x/a.png", "x/b.png"} == {*cloud.server.objects}


def test_a_volume_in_a_store_is_filtered_into_another_one(cloud, tmp_path):
    np.save(tmp_path / "in.npy", VOLUME)
    words = ("-k", "gaussian:1", "-q")
    assert 0 == command("conv3d", "in.npy", "--axes", "ZYX", *words, "-o", "out.npy", cwd=tmp_path).returncode
    source, target = f"{cloud.url}/in.ome.zarr", f"{cloud.url}/out.ome.zarr"
    assert 0 == command("conv3d", "in.npy", "--axes", "ZYX", "-k", "identity", "-o", source, cwd=tmp_path).returncode
    made = command("conv3d", source, *words, "-o", target, cwd=tmp_path)
    assert (0, b"") == (made.returncode, made.stderr)
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), convcli.read(target).data)
    assert not store_at(target).has(MARK)
    assert 1 == command("conv3d", source, *words, "-o", target, cwd=tmp_path).returncode
