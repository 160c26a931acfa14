"""A server on loopback with a bucket: as much of Google Cloud Storage, or of Azure Blob Storage, as obstore asks for.

Objects are in memory, with a tag for each content. Conditions are kept as either store documents them: Google's by the
generation of an object, 0 where there is none, Azure's by tags. A store is named by its scheme, `gs` or `az`.
"""

import json
import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree
from xml.sax.saxutils import escape

DAY = "Tue, 01 Dec 2026 00:00:00 GMT"
FAILED = 412
"""What either store answers where a condition does not hold; Azure 409 where a blob is not to be there."""

ACCOUNT = {"disable_oauth": True, "client_email": "", "private_key": "", "private_key_id": ""}
"""Of Google, of nobody: tokens are not asked for."""


class Held(NamedTuple):
    """An object's bytes, and the number of the change that made it."""

    data: bytes
    generation: int

    @property
    def tag(self):
        return f'"{self.generation}"'


class Cloud(BaseHTTPRequestHandler):
    """Requests for objects; those of a kind of store have a class of their own."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        """Nothing."""

    def handle_any(self):
        """Answer a request, one at a time for the whole server."""
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query, keep_blank_values=True).items()}
        key = unquote(url.path).lstrip("/").partition("/")[2]
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with self.server.lock:
            self.server.requests.append((self.command, key, dict(query), dict(self.headers)))
            status, headers, data = self.answer(key, query, body)
        self.send_response(status)
        for name, value in {"Content-Length": len(data), **headers}.items():
            self.send_header(name, str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_any  # noqa: N815 -- as http.server calls them

    def answer(self, key, query, body):
        """Status, headers and body of an answer."""
        objects = self.server.objects
        if not key and self.command in ("GET", "HEAD"):
            return 200, {"Content-Type": "application/xml"}, self.listed(query).encode()
        if self.command == "PUT" and (source := self.headers.get(self.copying)):
            source = unquote(urlsplit(source).path).lstrip("/").partition("/")[2]
            return self.put(key, objects[source].data) if source in objects else (404, {}, b"")
        if self.command in ("GET", "HEAD"):
            return self.got(objects.get(key))
        if self.command == "DELETE":
            return (self.deleted if objects.pop(key, None) else 404), {}, b""
        return self.parts(key, query, body) or self.put(key, body)

    def got(self, found):
        """An object, or a range of it."""
        if found is None:
            return 404, {}, b""
        if self.headers.get("If-Match", found.tag) != found.tag:
            return FAILED, {}, b""
        told = {"ETag": found.tag, "Last-Modified": DAY, "x-goog-generation": found.generation}
        span = self.headers.get("Range")
        if not span or self.command == "HEAD":
            told |= {"Content-Length": len(found.data)}
            return 200, told, found.data
        first, last = (int(number) for number in span.removeprefix("bytes=").split("-"))
        if first >= len(found.data):
            return 416, {}, b""
        part = found.data[first : last + 1]
        return 206, told | {"Content-Range": f"bytes {first}-{first + len(part) - 1}/{len(found.data)}"}, part

    def put(self, key, data):
        """Make an object, if it may be."""
        if self.refuses and key in self.server.objects:
            return self.taken, {}, b""
        there, wanted = self.server.objects.get(key), self.headers.get(self.replacing, "0")
        if wanted != "0" and (there is None or wanted not in (there.tag, str(there.generation))):
            return FAILED, {}, b""
        self.server.changes += 1
        found = self.server.objects[key] = Held(data, self.server.changes)
        told = {"ETag": found.tag, "x-goog-generation": found.generation, "x-ms-copy-status": "success"}
        return self.made, told, b"<a/>"

    def begun(self, query):
        """The objects whose keys begin as asked."""
        first = query.get("prefix", "")
        return [(key, held) for key, held in sorted(self.server.objects.items()) if key.startswith(first)]


class Google(Cloud):
    """The XML API of Google Cloud Storage."""

    copying, made, deleted, taken = "x-goog-copy-source", 200, 204, FAILED
    replacing = "x-goog-if-generation-match"

    @property
    def refuses(self):
        return self.headers.get("x-goog-if-generation-match") == "0"

    def listed(self, query):
        every = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{len(held.data)}</Size><ETag>{escape(held.tag)}</ETag>"
            f"<LastModified>2026-12-01T00:00:00.000Z</LastModified></Contents>"
            for key, held in self.begun(query)
        )
        return f"<ListBucketResult>{every}</ListBucketResult>"

    def parts(self, key, query, body):
        """An upload in parts: begun, a part, completed."""
        if self.command == "POST" and "uploads" in query:
            self.server.changes += 1
            begun = f"<UploadId>{self.server.changes}</UploadId>"
            return 200, {}, f"<InitiateMultipartUploadResult>{begun}</InitiateMultipartUploadResult>".encode()
        if "uploadId" not in query:
            return None
        if self.command == "PUT":
            name = query["uploadId"], int(query["partNumber"])
            self.server.pieces[name] = body
            return 200, {"ETag": f'"{name[1]}"'}, b""
        numbers = [int(each.text) for each in ElementTree.fromstring(body).iter() if each.tag.endswith("PartNumber")]
        status, headers, _ = self.put(key, b"".join(self.server.pieces.pop((query["uploadId"], n)) for n in numbers))
        tag = escape(headers["ETag"])
        return (
            status,
            headers,
            f"<CompleteMultipartUploadResult><ETag>{tag}</ETag></CompleteMultipartUploadResult>".encode(),
        )


class Azure(Cloud):
    """Azure Blob Storage."""

    copying, made, deleted, taken = "x-ms-copy-source", 201, 202, 409
    replacing = "If-Match"

    @property
    def refuses(self):
        return self.headers.get("If-None-Match") == "*"

    def listed(self, query):
        every = "".join(
            f"<Blob><Name>{escape(key)}</Name><Properties><Last-Modified>{DAY}</Last-Modified>"
            f"<Etag>{escape(held.tag)}</Etag><Content-Length>{len(held.data)}</Content-Length><Content-Type>a/b</Content-Type></Properties></Blob>"
            for key, held in self.begun(query)
        )
        return f"<EnumerationResults><Blobs>{every}</Blobs></EnumerationResults>"

    def parts(self, key, query, body):
        """Blocks, and the list of them that makes a blob; or several requests to delete in one."""
        if query.get("comp") == "batch":
            return self.batch(body.decode())
        if query.get("comp") == "block":
            self.server.pieces[key, query["blockid"]] = body
            return 201, {}, b""
        if query.get("comp") == "blocklist":
            blocks = [each.text for each in ElementTree.fromstring(body).iter() if each.tag != "BlockList"]
            return self.put(key, b"".join(self.server.pieces.pop((key, name)) for name in blocks))
        return None

    def batch(self, body):
        """An answer for each of the requests, which have a number each."""
        told = []
        for number, path in re.findall(r"Content-ID: ?(\d+)\r\n.*?DELETE (\S+)", body, re.DOTALL):
            there = self.server.objects.pop(unquote(path).lstrip("/").partition("/")[2], None)
            status = "202 Accepted" if there else "404 The specified blob does not exist."
            kind = f"Content-Type: application/http\r\nContent-ID: {number}"
            code = "" if there else "x-ms-error-code: BlobNotFound\r\n"
            told.append(f"--b\r\n{kind}\r\n\r\nHTTP/1.1 {status}\r\n{code}x-ms-version: 2023-11-03\r\n\r\n\r\n")
        return 202, {"Content-Type": "multipart/mixed; boundary=b"}, "".join([*told, "--b--\r\n"]).encode()


KINDS = {"gs": Google, "az": Azure}


class Running(NamedTuple):
    """A server, its bucket's URL, and the environment of those who use it."""

    server: ThreadingHTTPServer
    url: str
    environment: dict[str, str]


@contextmanager
def cloud_server(scheme):
    """A server that ends with the block."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), KINDS[scheme])
    server.lock, server.objects, server.pieces, server.requests, server.changes = threading.Lock(), {}, {}, [], 0
    server.handle_error = lambda *_: None  # who has seen enough of an object hangs up
    endpoint = f"http://127.0.0.1:{server.server_port}"
    environment = {
        "gs": {
            "GOOGLE_BASE_URL": endpoint,
            "GOOGLE_SERVICE_ACCOUNT_KEY": json.dumps(ACCOUNT | {"gcs_base_url": endpoint}),
        },
        "az": {
            "AZURE_STORAGE_ENDPOINT": endpoint,
            "AZURE_STORAGE_ACCOUNT_NAME": "account",
            "AZURE_SKIP_SIGNATURE": "true",
        },
    }[scheme]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield Running(server, f"{scheme}://bucket", environment)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
