"""Servers on loopback that tests start, in processes of their own, and end.

`s3` is moto's S3 server behind faults that a test switches on: answers of 500, answers that get lost, conditions that
are ignored, silence. It counts what it sends and receives.

`dask` is a scheduler of dask.distributed with two worker processes, started as users start theirs.
"""

import json
import os
import subprocess
import sys
import time
import urllib.request
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

SERVER = r'''
import json, random, sys, threading, time
from werkzeug.serving import make_server, WSGIRequestHandler
from moto.server import DomainDispatcherApplication, create_backend_app

class Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"
    def log(self, *_): pass

class Faults:
    """A WSGI application in front of another. POST /-/set changes `now`, GET /-/log tells and forgets the requests."""
    def __init__(self, inner):
        self.inner, self.lock, self.chance = inner, threading.Lock(), random.Random(4)
        self.now, self.requests = {}, []
    def __call__(self, environ, start):
        path = environ["PATH_INFO"]
        if path.startswith("/-/"):
            return self.control(path, environ, start)
        with self.lock:
            failing = self.chance.random() < self.now.get("fail", 0)
            losing = environ["REQUEST_METHOD"] == "PUT" and self.now.get("lose", 0) > 0
            self.now["lose"] = self.now.get("lose", 0) - losing
        if self.now.get("silent"):
            time.sleep(self.now["silent"])
        if self.now.get("unconditional"):
            environ.pop("HTTP_IF_NONE_MATCH", None)
        if self.now.get("lacking") in environ:
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            return self.answered(environ, start, "501 Not Implemented", b"")
        if self.now.get("deny"):
            return self.answered(environ, start, "403 Forbidden", b"<Error><Code>AccessDenied</Code></Error>")
        if failing:
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            return self.answered(environ, start, "500 Internal Server Error", b"")
        told = []
        body = b"".join(self.inner(environ, lambda status, headers, info=None: told.append((status, headers))))
        if losing:
            return self.answered(environ, start, "500 Internal Server Error", b"")
        return self.answered(environ, start, told[0][0], body, told[0][1])
    def answered(self, environ, start, status, body, headers=()):
        sent = 0 if environ["REQUEST_METHOD"] == "HEAD" else len(body)
        with self.lock:
            self.requests.append([environ["REQUEST_METHOD"], environ["PATH_INFO"], environ.get("HTTP_RANGE", ""),
                                  int(status[:3]), sent, int(environ.get("CONTENT_LENGTH") or 0)])
        headers = list(headers) or [("Content-Length", str(len(body)))]
        start(status, headers)
        return [body]
    def control(self, path, environ, start):
        if path == "/-/set":
            self.now = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
        with self.lock:
            body = json.dumps(self.requests).encode()
            self.requests = []
        start("200 OK", [("Content-Length", str(len(body)))])
        return [body]

server = make_server("127.0.0.1", 0, Faults(DomainDispatcherApplication(create_backend_app)),
                     threaded=True, request_handler=Quiet)
print(server.server_port, flush=True)
threading.Thread(target=lambda: (sys.stdin.read(), server.shutdown()), daemon=True).start()
server.serve_forever()
'''


class S3:
    """A running server: its address, the environment of its users, and its faults."""

    def __init__(self, port):
        self.endpoint = f"http://127.0.0.1:{port}"
        self.buckets = 0
        self.environment = {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_CONFIG_FILE": os.devnull,
        }

    def bucket(self):
        """The URL of a new bucket."""
        self.buckets += 1
        name = f"bucket{self.buckets}"
        self._ask(f"/{name}", method="PUT")
        return f"s3://{name}"

    def publish(self, url):
        """Let everybody read an object; its https address, or what stands for it here."""
        import boto3

        bucket, _, key = url.removeprefix("s3://").partition("/")
        names = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing", "region_name": "us-east-1"}
        client = boto3.client("s3", endpoint_url=self.endpoint, **names)
        client.put_object_acl(Bucket=bucket, Key=key, ACL="public-read")
        return f"{self.endpoint}/{bucket}/{key}"

    def faults(self, **now):
        """What goes wrong from now on: `fail`, a share of requests that is answered with 500; `lose`, so many answers
        to a PUT; `unconditional`, conditions are ignored; `lacking`, 501 for requests with that header; `deny`, 403 for
        all; `silent`, seconds before each answer."""
        self._ask("/-/set", json.dumps(now).encode(), method="POST")

    def requests(self):
        """[method, path, range, status, bytes sent, bytes received] of each since the last call."""
        return json.loads(self._ask("/-/log"))

    def _ask(self, path, body=None, method="GET"):
        request = urllib.request.Request(self.endpoint + path, data=body, method=method)
        with urllib.request.urlopen(request) as answer:
            return answer.read()


@contextmanager
def s3_server():
    """A server that ends with the block, and with this process at the latest."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([sys.executable, "-W", "ignore", "-c", SERVER], **pipes) as process:
        try:
            yield S3(int(process.stdout.readline()))
        finally:
            process.kill()


@pytest.fixture(scope="session")
def s3_running():
    """One server for all tests."""
    for name in ("obstore", "moto.server", "werkzeug"):
        pytest.importorskip(name, exc_type=ImportError)
    with s3_server() as server:
        yield server


@pytest.fixture
def s3(s3_running, monkeypatch):
    """The server, without faults, and this process's environment made for it."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in s3_running.environment.items():
        monkeypatch.setenv(name, value)
    s3_running.faults()
    yield s3_running
    s3_running.faults()


PATIENCE = 60
"""Seconds until a server answers."""


class Dask(NamedTuple):
    """A scheduler, started as a user starts it, and worker processes of one thread each."""

    address: str
    file: str
    scheduler: subprocess.Popen
    workers: list


@contextmanager
def program(*words, **environment):
    """A Python program that runs meanwhile; it finds the modules of the tests, whose functions travel by name."""
    known = {**os.environ, "PYTHONPATH": str(Path(__file__).parent), **environment}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": known}
    process = subprocess.Popen([sys.executable, *map(str, words)], **quiet)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_until(true, what):
    """What comes of asking until the answer is no longer nothing."""
    until = time.monotonic() + PATIENCE
    while not (answer := true()):
        assert time.monotonic() < until, f"{what} within {PATIENCE} s"
        time.sleep(0.02)
    return answer


@contextmanager
def dask_cluster(folder, workers=2, **environment):
    """A scheduler on loopback with so many workers; `environment` is for their processes."""
    file = folder / "scheduler.json"
    with ExitStack() as stack:
        words = ("--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--dashboard-address", "127.0.0.1:0")
        scheduler = stack.enter_context(
            program("-m", "distributed.cli.dask_scheduler", *words, "--scheduler-file", file, **environment)
        )
        wait_until(lambda: file.exists() and file.read_text().endswith("}"), "the scheduler writes its file")
        address = json.loads(file.read_text())["address"]
        started = [stack.enter_context(dask_worker(address, folder, **environment)) for _ in range(workers)]
        if workers:
            wait_until(lambda: worker_count(address) >= workers, "the workers are there")
        yield Dask(address, str(file), scheduler, started)


def dask_worker(address, folder, **environment):
    """A worker process of one thread, without one that would start it anew."""
    words = ("--no-nanny", "--nthreads", "1", "--no-dashboard", "--dashboard-address", "127.0.0.1:0")
    place = ("--local-directory", folder, "--host", "127.0.0.1")
    return program("-m", "distributed.cli.dask_worker", address, *words, *place, **environment)


def worker_count(address):
    """How many workers a scheduler knows."""
    from distributed import Client

    with Client(address, set_as_default=False) as client:
        return len(client.nthreads())


@pytest.fixture(scope="session")
def dask(tmp_path_factory):
    """A scheduler and two workers for all tests; none of them may end one of these."""
    pytest.importorskip("distributed")
    with dask_cluster(tmp_path_factory.mktemp("dask")) as cluster:
        yield cluster
