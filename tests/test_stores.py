"""Stores of objects: files in a folder and objects behind a URL hold to one contract."""

import pickle
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from convcli.errors import ConvError, UsageError
from convcli.stores import opening
from convcli.stores.address import Address, checked_object, local_name
from convcli.stores.folder import LocalStore
from convcli.stores.store import ObjectStore, object_at, store_at

MIB = 1 << 20


@pytest.fixture(params=["local", "remote"])
def store(request, tmp_path):
    """An empty store of each kind."""
    if request.param == "local":
        return LocalStore(str(tmp_path / "not" / "there yet"))
    return ObjectStore(request.getfixturevalue("s3").bucket() + "/some/prefix")


def test_what_is_put_is_there_until_it_is_deleted(store):
    assert (None, None, None, False) == (store.get("a/b"), store.size("a/b"), store.seen("a/b"), store.has("a/b"))
    store.put("a/b", b"first")
    store.put("a/b", b"second")
    assert (b"second", 6, True) == (store.get("a/b"), store.size("a/b"), store.has("a/b"))
    store.delete("a/b")
    store.delete("a/b")
    assert store.get("a/b") is None


def test_only_what_is_not_there_is_created(store):
    assert store.create("claim", b"mine")
    assert not store.create("claim", b"theirs")
    assert not store.create("claim", b"mine")
    assert b"mine" == store.get("claim")


def test_only_what_was_seen_is_replaced(store):
    assert not store.replace("claim", b"mine", "none")
    store.put("claim", b"one")
    tag = store.seen("claim").tag
    assert not store.replace("claim", b"mine", tag[:-1] + "x")
    assert store.replace("claim", b"two", tag)
    assert not store.replace("claim", b"three", tag)
    assert b"two" == store.get("claim")


def test_of_several_who_replace_the_same_object_one_does(store):
    """Each has seen it before any of them has replaced it."""
    for turn in range(4):
        store.put("claim", b"%d" % turn)
        tag = store.seen("claim").tag
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda name, tag=tag: store.replace("claim", name, tag), [b"a", b"b", b"c", b"d"]))
        assert [b"abcd"[found.index(True)]] == [*store.get("claim")]
        assert 1 == sum(found)


def test_a_store_without_the_condition_replaces_what_there_is(s3, monkeypatch):
    monkeypatch.setenv("CONVCLI_RETRIES", "0")
    store = ObjectStore(s3.bucket())
    store.put("claim", b"one")
    s3.faults(lacking="HTTP_IF_MATCH")
    assert store.replace("claim", b"two", store.seen("claim").tag)
    assert b"two" == store.get("claim")


def test_a_store_that_honours_conditions_is_known_and_the_trial_leaves_nothing(store):
    assert store.honours_create()
    assert [] == list(store.keys())


def test_keys_are_those_below_a_folder_and_of_no_other(store):
    for key in ("in/a", "in/deep/b", "inner/c", "d"):
        store.put(key, b"")
    assert ["in/a", "in/deep/b"] == sorted(store.keys("in"))
    assert ["d", "in/a", "in/deep/b", "inner/c"] == sorted(store.keys())
    assert [] == list(store.keys("none"))


def test_a_range_brings_its_bytes_as_far_as_there_are_some(store):
    store.put("a", bytes(range(10)))
    assert (b"\2\3", b"\x08\x09", b"") == (store.read("a", 2, 4), store.read("a", 8, 20), store.read("a", 3, 3))


def test_a_range_of_what_was_replaced_is_refused(store):
    store.put("a", b"before")
    tag = store.seen("a").tag
    assert b"ef" == store.read("a", 1, 3, tag=tag)
    time.sleep(0.02)
    store.put("a", b"behind")
    with pytest.raises(ConvError, match="changed while it was read") as caught:
        store.read("a", 1, 3, tag=tag)
    assert "changed" == caught.value.code


def test_an_empty_object_is_an_object(store):
    store.put("a", b"")
    assert (b"", 0) == (store.get("a"), store.size("a"))


@pytest.mark.parametrize("key", ["a b", "a%20b", "a#b?c", "ä/ö", "a[1]{x}", "~", "a\\b", "a+b&c"])
def test_a_key_is_taken_as_it_is(store, key):
    store.put(key, key.encode())
    assert (key.encode(), [key]) == (store.get(key), list(store.keys()))


@pytest.mark.parametrize("key", ["a//b", "../a", "a/./b", "a\nb"])
def test_a_key_that_stores_do_not_agree_on_is_refused(store, key):
    with pytest.raises(UsageError):
        store.put(key, b"")


def test_a_store_travels_as_its_address(store):
    store.put("a", b"1")
    again = pickle.loads(pickle.dumps(store))
    assert (store, b"1") == (again, again.get("a"))
    assert len(pickle.dumps(store)) < 200


@pytest.mark.parametrize("size", [8 * MIB - 1, 8 * MIB, 8 * MIB + 1, 65 * MIB])
def test_large_objects_come_back_as_they_went(s3, size):
    store, data = ObjectStore(s3.bucket()), bytes(range(251)) * (size // 251 + 1)
    store.put("large", data[:size])
    assert data[:size] == store.get("large")


def test_one_failing_request_in_four_changes_nothing(s3):
    store = ObjectStore(s3.bucket())
    s3.faults(fail=0.25)
    for number in range(40):
        assert store.create(f"{number}", b"%d" % number)
        assert not store.create(f"{number}", b"other")
    assert [b"%d" % number for number in range(40)] == [store.get(f"{number}") for number in range(40)]
    assert 500 in {status for _, _, _, status, _, _ in s3.requests()}


def test_what_was_created_and_whose_answer_was_lost_is_ours(s3):
    store = ObjectStore(s3.bucket())
    s3.faults(lose=1)
    assert store.create("claim", b"mine")
    store.put("other", b"theirs")
    s3.faults(lose=1)
    assert not store.create("other", b"mine")


def test_a_store_that_ignores_conditions_is_found_out(s3):
    s3.faults(unconditional=True)
    assert not ObjectStore(s3.bucket()).honours_create()


@pytest.fixture
def impatient(monkeypatch):
    """Few repetitions, and stores that are opened anew."""
    monkeypatch.setenv("CONVCLI_RETRIES", "2")
    monkeypatch.setenv("CONVCLI_TIMEOUT", "1")
    opening.made.cache_clear()
    yield
    opening.made.cache_clear()


OPERATIONS = {
    "get": lambda store: store.get("a"),
    "seen": lambda store: store.seen("a"),
    "read": lambda store: store.read("a", 0, 1),
    "put": lambda store: store.put("a", b""),
    "create": lambda store: store.create("a", b""),
    "delete": lambda store: store.delete("a"),
    "keys": lambda store: list(store.keys()),
}


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(
    ("fault", "code", "words"),
    [
        ({"fail": 1}, "unreachable", "answers 500 Internal Server Error.*tried 3 times"),
        ({"deny": True}, "permission", "access is denied"),
        ({"silent": 3}, "unreachable", "does not answer in time"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_store_that_fails_is_told_of_in_one_line(s3, impatient, operation, fault, code, words):
    store = ObjectStore(s3.bucket())
    s3.faults(**fault)
    begun = time.monotonic()
    with pytest.raises(ConvError, match=words) as caught:
        OPERATIONS[operation](store)
    assert code == caught.value.code
    assert caught.value.where.startswith(store.url)
    assert "\n" not in str(caught.value)
    assert time.monotonic() - begun < 15


@pytest.mark.parametrize("operation", ["get", "read", "put", "create", "keys"])
def test_a_bucket_that_is_not_there_is_named(s3, operation):
    with pytest.raises(ConvError, match="there is no bucket 'nowhere'") as caught:
        OPERATIONS[operation](ObjectStore("s3://nowhere"))
    assert "not-found" == caught.value.code


@pytest.mark.parametrize(
    ("endpoint", "words"),
    [
        ("http://127.0.0.1:1", "its endpoint refuses connections, tried 3 times"),
        ("http://nowhere.invalid", "no machine has the name of its endpoint, tried 3 times"),
    ],
)
def test_an_endpoint_where_nothing_is_is_told_of(s3, impatient, monkeypatch, endpoint, words):
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    with pytest.raises(ConvError, match=words) as caught:
        ObjectStore("s3://bucket").get("a")
    assert "unreachable" == caught.value.code


def test_an_endpoint_that_is_no_url_is_refused(s3, impatient, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "nonsense")
    with pytest.raises(UsageError, match="'AWS_ENDPOINT_URL': is 'nonsense', and must begin with https://"):
        ObjectStore("s3://bucket").get("a")


def test_missing_credentials_are_told_of(s3, impatient, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(ConvError, match="no credentials were found; set AWS_ACCESS_KEY_ID") as caught:
        ObjectStore("s3://bucket").get("a")
    assert "permission" == caught.value.code


def test_credentials_come_from_a_profile_where_the_environment_has_none(s3, impatient, monkeypatch, tmp_path):
    url = s3.bucket()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    (tmp_path / "keys").write_text("[lab]\naws_access_key_id = k%\naws_secret_access_key = s\n[default]\n")
    (tmp_path / "config").write_text("[profile lab]\nregion = eu-central-1\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "keys"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_PROFILE", "lab")
    assert {"access_key_id": "k%", "secret_access_key": "s", "region": "eu-central-1"} == opening.aws_profile()
    ObjectStore(url).put("a", b"1")
    monkeypatch.setenv("AWS_REGION", "us-west-2")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "other")
    assert {} == opening.aws_profile()
    (tmp_path / "keys").write_text("nonsense")
    with pytest.raises(UsageError, match="is not a file of profiles"):
        opening.aws_profile()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("s3://", "names no bucket; write s3://BUCKET/KEY"),
        ("s3:///a.png", "names no bucket"),
        ("foo://bucket/a", "not an address of a known kind of store"),
        ("s3://bucket/a/../b", "has an empty part"),
        ("s3://bucket/a//b", "has an empty part"),
        ("s3://bucket", "names no object"),
        ("s3://bucket/", "names no object"),
        ("s3://bucket/in/", "is a folder"),
    ],
)
def test_a_url_that_names_no_object_is_refused(name, words):
    with pytest.raises(ConvError, match=words):
        checked_object(name)


def test_a_url_of_a_file_is_its_path():
    assert "/a b/ü.png" == local_name("file:///a%20b/%C3%BC.png") == local_name("FILE://localhost/a b/ü.png")
    assert LocalStore("/a b") == store_at("file:///a%20b")
    with pytest.raises(UsageError, match=r"three slashes: file:///data/a\.png"):
        local_name("file://data/a.png")


def test_an_object_is_in_the_store_of_its_bucket():
    assert (ObjectStore("s3://bucket"), "in/a.png") == object_at("S3://bucket/in/a.png")
    assert Address("gs", "bucket", "in") == Address.of("gs://bucket/in/a.png").parent
