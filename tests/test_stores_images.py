"""Images, kernels and lists in object stores: read by what is needed of them, written whole or not at all."""

import io
import json
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import scipy.ndimage

import convcli
from command import convcli as command
from command import start
from convcli.errors import ConvError
from convcli.formats import sending, windows
from convcli.stores import opening
from convcli.stores.store import PIECE, ObjectStore
from convcli.stores.stream import BLOCK, RemoteFile

GET, HEAD, PUT = "GET", "HEAD", "PUT"
RNG = np.random.default_rng(16)
PICTURE = RNG.integers(0, 256, (40, 50), dtype=np.uint8)
VOLUME = RNG.integers(0, 60000, (6, 70, 90), dtype=np.uint16)
PLANE = RNG.integers(0, 50, (1500, 2000), dtype=np.uint16)
IMAGES = {
    **{f"p.{ending}": PICTURE for ending in ("png", "tif", "npy", "npz", "bmp", "pgm", "webp")},
    **{f"v.{ending}": VOLUME for ending in ("tif", "npy")},
    "large.npy": PLANE,
}


@pytest.fixture
def bucket(s3, monkeypatch):
    """The URL of an empty bucket, whose store this process opens anew."""
    monkeypatch.setenv("CONVCLI_RETRIES", "6")
    opening.made.cache_clear()
    return s3.bucket()


@pytest.fixture
def store(bucket):
    """The bucket."""
    return ObjectStore(bucket)


@pytest.fixture
def run(tmp_path):
    """Runs a line in a process of its own in the test's folder: its exit code, and its lines on standard error."""

    def go(*words):
        done = command(*words, cwd=tmp_path)
        return done.returncode, done.stderr.decode().splitlines()

    return go


def put(store, key, image, tmp_path, **more):
    """Write an image and put it into a store."""
    path = tmp_path / Path(key).name
    convcli.write(path, image, axes="ZYX"[-image.ndim :], force=True, **more)
    store.put(key, path.read_bytes())


def picture(store, key):
    """The pixels of an object."""
    return convcli.read(store.get(key)).data


def paths(requests, *methods):
    """The paths of requests by some methods, below the bucket."""
    return [path.split("/", 2)[-1] for method, path, *_ in requests if method in methods]


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_is_read_and_written_by_its_url(store, bucket, name, tmp_path):
    axes = "ZYX"[-IMAGES[name].ndim :]
    convcli.write(f"{bucket}/deep/{name}", IMAGES[name], axes=axes)
    image = convcli.read(f"{bucket}/deep/{name}", axes=axes if "np" in name else None)
    if name != "p.webp":
        assert np.array_equal(IMAGES[name], image.data)
    convcli.write(tmp_path / name, IMAGES[name], axes=axes)
    if name != "v.tif":  # each has an identity of its own
        assert (tmp_path / name).read_bytes() == store.get(f"deep/{name}")


def test_a_small_image_takes_one_request_to_read_and_two_to_write(s3, store, bucket, tmp_path, run):
    put(store, "in.png", PICTURE, tmp_path)
    s3.requests()
    assert (0, []) == run("conv2d", f"{bucket}/in.png", "-k", "box:3", "-o", f"{bucket}/out.png", "-qq")
    asked = s3.requests()
    assert [[GET, "in.png"], [HEAD, "out.png"], [PUT, "out.png"]] == [
        [method, path.split("/", 2)[-1]] for method, path, *_ in asked if path.count("/") > 1
    ]
    expected = np.rint(scipy.ndimage.uniform_filter(PICTURE.astype(float), 3, mode="nearest"))
    assert np.abs(expected - picture(store, "out.png")).max() <= 1


def tiled(path):
    """A large TIFF of packed tiles."""
    import tifffile

    tifffile.imwrite(path, PLANE, tile=(128, 128), compression="zlib")


@pytest.mark.parametrize(("name", "parts"), [("w.npy", 1), ("w.tif", 1.7)])
def test_a_window_of_a_large_image_brings_that_window(s3, store, bucket, tmp_path, name, parts):
    path = tmp_path / name
    tiled(path) if name == "w.tif" else convcli.write(path, PLANE)
    store.put(name, path.read_bytes())
    whole = path.stat().st_size
    s3.requests()
    with windows(f"{bucket}/{name}") as (_, source):
        s3.requests()
        out = np.empty((300, 2000), np.uint16)
        source.read(((600, 900), (0, 2000)), out)
    assert np.array_equal(PLANE[600:900], out)
    sent = sum(sent for *_, sent, _ in s3.requests())
    assert whole / 5 * 0.8 < sent < whole / 5 * parts * 1.05


def test_a_large_image_is_filtered_by_windows_and_read_once(s3, store, bucket, tmp_path, run):
    put(store, "large.npy", PLANE, tmp_path)
    s3.requests()
    words = ("conv2d", f"{bucket}/large.npy", "-k", "gaussian:2", "-o", f"{bucket}/out.npy", "-qq")
    assert (0, []) == run(*words, "--memory", "4MiB")
    received = sum(sent for *_, sent, _ in s3.requests())
    assert 1.0 <= received / PLANE.nbytes < 1.3
    assert (0, []) == run("conv2d", tmp_path / "large.npy", *words[2:4], "-o", "here.npy", "-qq")
    assert (tmp_path / "here.npy").read_bytes() == store.get("out.npy")


def test_an_object_that_exists_stays_unless_forced(store, bucket, tmp_path, run):
    put(store, "in.png", PICTURE, tmp_path)
    store.put("out.png", b"dear")
    words = ("conv2d", f"{bucket}/in.png", "-k", "box:3", "-o", f"{bucket}/out.png", "-qq")
    assert (1, [f"convcli: '{bucket}/out.png': exists already; --force replaces it [exists]"]) == run(*words)
    assert b"dear" == store.get("out.png")
    assert (0, []) == run(*words, "--force")
    assert PICTURE.shape == picture(store, "out.png").shape


def test_an_object_made_meanwhile_stays(s3, store, bucket, tmp_path):
    """The look beforehand finds nothing; the condition does."""
    put(store, "in.png", PICTURE, tmp_path)
    s3.faults(silent=1)
    with start("conv2d", f"{bucket}/in.png", "-k", "box:3", "-o", f"{bucket}/out.png", "-qq") as process:
        while [HEAD, "out.png"] not in [[method, path.split("/", 2)[-1]] for method, path, *_ in s3.requests()]:
            time.sleep(0.02)
        time.sleep(0.2)  # until its PUT waits at the server, or later: theirs is before it either way
        s3.faults()
        store.put("out.png", b"theirs")
        errors = process.stderr.read().decode()
    assert (1, f"convcli: '{bucket}/out.png': exists already; --force replaces it [exists]\n") == (
        process.returncode,
        errors,
    )
    assert b"theirs" == store.get("out.png")


def test_an_input_is_replaced_in_place_only(store, bucket, tmp_path, run):
    put(store, "a.png", PICTURE, tmp_path)
    before = store.get("a.png")
    words = ("conv2d", f"{bucket}/a.png", "-k", "sharpen", "-qq")
    code, errors = run(*words, "-o", f"{bucket}//a.png".replace("//", "/").replace("s3:/", "s3://"), "--force")
    assert (1, [f"convcli: '{bucket}/a.png': is the input itself; --in-place replaces it [exists]"]) == (code, errors)
    assert before == store.get("a.png")
    assert (0, []) == run(*words, "--in-place")
    assert before != store.get("a.png")


def test_an_object_replaced_while_it_is_read_is_no_input(store, bucket, tmp_path):
    put(store, "a.npy", PLANE, tmp_path)
    with windows(f"{bucket}/a.npy") as (_, source):
        out = np.empty((10, 2000), np.uint16)
        source.read(((0, 10), (0, 2000)), out)
        put(store, "a.npy", PLANE[::-1], tmp_path)
        with pytest.raises(ConvError, match="changed while it was read") as caught:
            source.read(((900, 910), (0, 2000)), out)
    assert "changed" == caught.value.code


@pytest.mark.parametrize("kernel", ["k.csv", "k.npy", "k.json"])
def test_a_kernel_comes_from_a_url(store, bucket, tmp_path, run, kernel):
    put(store, "in.png", PICTURE, tmp_path)
    assert (0, []) == run("kernels", "sharpen", "-o", f"{bucket}/{kernel}")
    assert (0, []) == run("conv2d", f"{bucket}/in.png", "-k", f"{bucket}/{kernel}", "-o", f"{bucket}/o.png", "-qq")
    assert (0, []) == run("conv2d", f"{bucket}/in.png", "-k", "sharpen", "-o", f"{bucket}/p.png", "-qq")
    assert store.get("o.png") == store.get("p.png")
    assert np.array_equal(convcli.convolve(PICTURE, "sharpen"), convcli.convolve(PICTURE, f"{bucket}/{kernel}"))


def test_files_are_named_by_urls_too(tmp_path, run):
    convcli.write(tmp_path / "a b.png", PICTURE)
    (tmp_path / "k.csv").write_text("1 2 1\n")
    url = f"file://{tmp_path}"
    code, errors = run("conv2d", f"{url}/a%20b.png", "-k", f"{url}/k.csv", "-o", f"{url}/o.png", "-qq", "--in-place")
    assert (2, True) == (code, "exclude each other" in errors[0])
    assert 0 == run("conv2d", f"{url}/a%20b.png", "-k", f"{url}/k.csv", "-o", f"{url}/o.png", "-qq")[0]
    assert np.array_equal(convcli.read(tmp_path / "o.png").data, convcli.read(f"{url}/o.png").data)


@pytest.fixture
def batch(store, bucket, tmp_path):
    """Six pictures, and a list of them."""
    names = [f"in/{number}.png" for number in range(6)]
    for number, name in enumerate(names):
        put(store, name, np.roll(PICTURE, number), tmp_path)
    store.put("list.txt", "".join(f"{bucket}/{name}\n" for name in names).encode())
    return names


def test_a_batch_reads_a_list_and_writes_by_a_template(store, bucket, batch, tmp_path, run):
    words = ("conv2d", "--files-from", f"{bucket}/list.txt", "-k", "sharpen")
    template = f"{bucket}/out/{{stem}}-{{index}}.png"
    code, errors = run(*words, "-o", template, "--jobs", "2", "--report", f"{bucket}/report.jsonl")
    assert 0 == code, errors
    assert [f"out/{number}-{number}.png" for number in range(6)] == sorted(store.keys("out"))
    for number, name in enumerate(batch):
        expected = convcli.convolve(picture(store, name), "sharpen")
        assert np.array_equal(expected, picture(store, f"out/{number}-{number}.png"))
    told = [json.loads(line) for line in store.get("report.jsonl").splitlines()]
    assert [f"{bucket}/{name}" for name in batch] == [line["input"] for line in told if "input" in line]


def test_a_batch_goes_on_where_it_stopped(s3, store, bucket, batch, tmp_path, run):
    words = ("conv2d", "--files-from", f"{bucket}/list.txt", "-k", "box:3", "-o", f"{bucket}/out/", "--jobs", "2")
    journal = ("--journal", tmp_path / "journal")
    assert 0 == run(*words, *journal)[0]
    before = {key: store.seen(key) for key in store.keys("out")}
    store.delete("out/2.png")
    put(store, "in/4.png", PICTURE[::-1], tmp_path)
    s3.requests()
    code, errors = run(*words, *journal, "--resume", "--force")
    assert (0, True) == (code, "skipped  4" in errors), errors
    assert {"out/2.png", "out/4.png"} == set(paths(s3.requests(), PUT))
    assert before["out/2.png"].tag == store.seen("out/2.png").tag
    assert np.array_equal(convcli.convolve(PICTURE[::-1], "box:3"), picture(store, "out/4.png"))


def test_what_lies_below_a_url_is_found(store, bucket, tmp_path, run):
    for key in ("in/a.png", "in/deep/b.png", "in/note.txt", "in/.hidden/c.png", "other/d.png"):
        put(store, key, PICTURE, tmp_path) if key.endswith("png") else store.put(key, b"text")
    assert (
        0 == run("conv2d", f"{bucket}/in/", "--recursive", "-k", "box:3", "-o", f"{bucket}/in/out/", "--jobs", "2")[0]
    )
    assert ["in/out/a.png", "in/out/deep/b.png"] == sorted(store.keys("in/out"))
    assert 1 == run("conv2d", f"{bucket}/in/", "--recursive", "-k", "box:3", "-o", f"{bucket}/in/out/")[0]
    assert 2 == len(list(store.keys("in/out")))


def test_one_failing_request_in_four_changes_no_result(s3, store, bucket, batch, run):
    s3.faults(fail=0.25)
    words = ("conv2d", "--files-from", f"{bucket}/list.txt", "-k", "sharpen", "-o", f"{bucket}/out/", "--jobs", "2")
    code, errors = run(*words)
    s3.faults()
    assert 0 == code, errors
    for number, name in enumerate(batch):
        assert np.array_equal(convcli.convolve(picture(store, name), "sharpen"), picture(store, f"out/{number}.png"))


def test_a_store_that_fails_always_is_one_line_and_no_output(s3, store, bucket, tmp_path, run, monkeypatch):
    monkeypatch.setenv("CONVCLI_RETRIES", "2")
    put(store, "in.png", PICTURE, tmp_path)
    s3.faults(fail=1)
    code, errors = run("conv2d", f"{bucket}/in.png", "-k", "box:3", "-o", f"{bucket}/o.png")
    expected = f"convcli: '{bucket}/in.png': the store answers 500 Internal Server Error, tried 3 times [unreachable]"
    assert (1, [expected]) == (code, errors)
    code, errors = run("conv2d", tmp_path / "in.png", "-k", "box:3", "-o", f"{bucket}/o.png", "-qq")
    assert (1, 1) == (code, len(errors))
    s3.faults()
    assert not store.has("o.png")


MISTAKES = {
    "no key": ("{}/none.png", "{}/o.png", "'{}/none.png': there is no such object [not-found]", 1),
    "no bucket": (
        "s3://nowhere/a.png",
        "{}/o.png",
        "'s3://nowhere/a.png': there is no bucket 'nowhere' [not-found]",
        1,
    ),
    "no output bucket": ("{}/in.png", "s3://nowhere/o.png", "'s3://nowhere/o.png': there is no bucket 'nowhere' [", 1),
    "a folder": ("{}/in", "{}/o.png", "'{}/in': is a folder, not a file [is-directory]", 1),
    "a bucket": ("{}", "{}/o.png", "'{}': is a folder, not a file [is-directory]", 1),
    "an empty object": ("{}/empty.png", "{}/o.png", "'{}/empty.png': is empty (0 bytes) [empty]", 1),
    "no image": ("{}/text.png", "{}/o.png", "'{}/text.png': is not an image in a known format", 1),
    "a cut image": ("{}/cut.png", "{}/o.png", "'{}/cut.png': the PNG is damaged", 1),
    "output is a bucket": ("{}/in.png", "{}", "'{}': names no object", 2),
    "no ending": ("{}/in.png", "{}/o", "'{}/o': the name has no ending that tells the format", 2),
    "a stray scheme": (
        "{}/in.png",
        "ftp://host/o.png",
        "'ftp://host/o.png': is not an address of a known",
        2,
    ),
    "only read": ("{}/in.png", "https://host/o.png", "'https://host/o.png': is only read", 2),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line(store, bucket, tmp_path, run, mistake):
    put(store, "in.png", PICTURE, tmp_path)
    put(store, "in/a.png", PICTURE, tmp_path)
    store.put("empty.png", b"")
    store.put("text.png", b"words")
    store.put("cut.png", store.get("in.png")[:-300])
    source, target, words, code = MISTAKES[mistake]
    got, errors = run("conv2d", source.format(bucket), "-k", "box:3", "-o", target.format(bucket))
    assert (code, 1) == (got, len(errors)), errors
    assert errors[0].startswith("convcli: " + words.format(bucket))
    assert not store.has("o.png")


def test_who_may_not_look_is_told_so(s3, store, bucket, tmp_path, run):
    put(store, "in.png", PICTURE, tmp_path)
    s3.faults(deny=True)
    code, errors = run("conv2d", f"{bucket}/in.png", "-k", "box:3", "-o", "o.png")
    assert (1, 1) == (code, len(errors))
    assert "access is denied (AccessDenied)" in errors[0]
    assert errors[0].endswith("[permission]")


def test_an_https_address_is_read(s3, store, bucket, tmp_path, run):
    put(store, "in.tif", VOLUME, tmp_path)
    address = s3.publish(f"{bucket}/in.tif").removesuffix("/in.tif")
    assert np.array_equal(VOLUME, convcli.read(f"{address}/in.tif").data)
    code, errors = run("conv2d", f"{address}/none.tif", "-k", "box:3", "-o", "o.tif")
    assert (1, [f"convcli: '{address}/none.tif': there is no such object [not-found]"]) == (code, errors)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_run_that_waits_for_a_store(s3, store, bucket, tmp_path, number):
    put(store, "in.png", PICTURE, tmp_path)
    s3.requests()
    s3.faults(silent=6)
    with start("conv2d", f"{bucket}/in.png", "-k", "box:3", "-o", f"{bucket}/out.png", "-qq") as process:
        time.sleep(2.5)
        begun = time.monotonic()
        process.send_signal(number)
        errors = process.stderr.read().decode()
    assert (128 + number, 1) == (process.returncode, errors.count("\n")), errors
    assert time.monotonic() - begun < 8
    s3.faults()
    assert not store.has("out.png")


def test_a_process_forked_from_one_that_used_a_store_is_told_so(store):
    store.put("a", b"1")
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            store.get("a")
        except ConvError as error:
            os.write(writer, str(error).encode())
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        assert b"forked from one that uses a store; start processes by 'spawn'" in stream.read()


def test_local_work_and_help_do_not_load_what_speaks_to_stores(tmp_path):
    import subprocess
    import sys

    from test_house import LOADED

    convcli.write(tmp_path / "a.png", PICTURE)
    for words in (["--help"], ["conv2d", str(tmp_path / "a.png"), "-k", "box:3", "-qq", "-o", str(tmp_path / "b.png")]):
        done = subprocess.run([sys.executable, "-c", LOADED, *words], capture_output=True, text=True, check=True)
        assert not {"obstore", "convcli.stores.store", "convcli.stores.opening"} & set(done.stderr.split())


def test_without_obstore_it_is_said_what_to_install(bucket, tmp_path):
    (tmp_path / "obstore").mkdir()
    (tmp_path / "obstore" / "__init__.py").write_text("raise ImportError('not here')\n")
    done = command("conv2d", f"{bucket}/a.png", "-k", "box:3", "-o", "o.png", env={"PYTHONPATH": str(tmp_path)})
    assert 1 == done.returncode
    assert 'needs obstore, which is not installed: pip install "convcli[zarr]"' in done.stderr.decode()
    assert 1 == done.stderr.count(b"\n")


def test_a_remote_file_is_read_like_any_other():
    data = RNG.bytes(10 * BLOCK + 77)
    asked = []

    def bring(start, stop):
        asked.append((start, stop))
        return data[start:stop]

    for _ in range(30):
        file, place = RemoteFile(bring, len(data), data[: RNG.integers(0, 2 * BLOCK)]), 0
        for _ in range(20):
            count = int(RNG.choice([1, 100, BLOCK, 3 * BLOCK + 5]))
            if RNG.integers(2):
                place = file.seek(int(RNG.integers(0, len(data) + 10)))
            if RNG.integers(4) == 0 and place < len(data):
                file.fetch([(place, min(place + count, len(data)))])
            found = file.read(count)
            assert data[place : place + count] == found
            place += len(found)
    assert all(0 <= start < stop <= len(data) for start, stop in asked)


def test_a_large_output_is_sent_in_parts_and_replaces_nothing(s3, store, bucket, monkeypatch):
    monkeypatch.setattr(sending, "MULTIPART", 1 << 20)
    large = np.tile(PLANE, (4, 1))  # 24 MB, three parts
    s3.requests()
    convcli.write(f"{bucket}/large.npy", large)
    assert 3 == sum(received > 1 << 20 for *_, received in s3.requests())
    assert np.array_equal(large, convcli.read(f"{bucket}/large.npy").data)
    with pytest.raises(ConvError, match="exists already; --force replaces it"):
        convcli.write(f"{bucket}/large.npy", large[::-1])
    assert np.array_equal(large, convcli.read(f"{bucket}/large.npy").data)


def test_a_large_output_replaces_nothing_that_appears_while_it_is_sent(s3, store, bucket, monkeypatch):
    monkeypatch.setattr(sending, "MULTIPART", 1 << 20)
    send = ObjectStore.send

    def while_another_writes(self, key, stream, size):
        send(self, key, stream, size)
        store.put("large.npy", b"theirs")

    monkeypatch.setattr(ObjectStore, "send", while_another_writes)
    with pytest.raises(ConvError, match="exists already; --force replaces it"):
        convcli.write(f"{bucket}/large.npy", np.tile(PLANE, (4, 1)))
    assert (b"theirs", ["large.npy"]) == (store.get("large.npy"), [*store.keys()])


def test_no_draft_stays_of_a_large_output_that_cannot_be_sent(s3, store, bucket, monkeypatch):
    monkeypatch.setattr(sending, "MULTIPART", 1 << 20)

    def refused(*_, **__):
        raise PermissionError("status code: 403")

    monkeypatch.setattr("obstore.store.S3Store.copy", refused)
    with pytest.raises(ConvError, match="access is denied"):
        convcli.write(f"{bucket}/large.npy", np.tile(PLANE, (4, 1)))
    assert not [*store.keys()]


@pytest.mark.parametrize("repeated", [False, True])
def test_what_a_repeated_request_finds_there_is_its_own_if_it_has_the_same_bytes(s3, store, monkeypatch, repeated):
    monkeypatch.setattr("convcli.stores.store.was_repeated", lambda _: repeated)
    data = RNG.bytes(PIECE + 5)
    assert store.send_new("a", io.BytesIO(data), len(data))
    for other, alike in ((data, True), (data[:-1] + b"!", False), (data[:-1], False)):
        assert (repeated and alike) == store.send_new("a", io.BytesIO(other), len(other))
    assert (data, ["a"]) == (store.get("a"), [*store.keys()])


@pytest.mark.parametrize("url", ["gs://bucket/a.png", "az://bucket/a.png"])
def test_other_clouds_say_what_credentials_they_want(url, s3, run, monkeypatch):
    monkeypatch.setenv("CONVCLI_RETRIES", "0")
    monkeypatch.setenv("CONVCLI_TIMEOUT", "2")
    for name in [name for name in os.environ if name.startswith(("GOOGLE_", "AZURE_"))]:
        monkeypatch.delenv(name)
    code, errors = run("conv2d", url, "-k", "box:3", "-o", "o.png")
    assert (1, 1) == (code, len(errors)), errors
    assert errors[0].startswith(f"convcli: '{url}': ")
    assert errors[0].endswith(("[permission]", "[unreachable]"))
