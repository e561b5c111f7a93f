"""A stand-in for Google Cloud Storage, in this process: the part of its JSON API that the store speaks.

It keeps the rules that are documented ("Perform resumable uploads", "Request preconditions", "Data validation"):
preconditions hold when an upload ends, pieces are multiples of 256 KiB, a wrong crc32c or MD5 is refused, tokens are
given for JWTs signed by a known key. fake-gcs-server is of no use here: it ends an upload when it is asked for its
state, and knows no preconditions for uploads and removals.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import google_crc32c
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import crypt, jwt

BUCKET = "deliveries"
GRAIN = 256 << 10
ROLES = {
    "user": {"POST", "GET", "DELETE", "PATCH"},
    "creator": {"POST"},
    "viewer": {"GET"},
}
Answer = tuple[int, dict[str, str], bytes]


class Refused(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, message: str) -> None:
        self.status, self.message = status, message
        super().__init__(message)


@dataclass
class Thing:
    """An object: bytes and what is said of them."""

    data: bytes
    about: dict[str, Any]
    generation: int
    metageneration: int = 1

    def resource(self, name: str) -> dict[str, Any]:
        """As the API shows it."""
        numbers = {"generation": str(self.generation), "metageneration": str(self.metageneration)}
        return self.about | numbers | {"name": name, "bucket": BUCKET, "size": str(len(self.data))}


@dataclass
class Upload:
    """A resumable upload."""

    name: str
    about: dict[str, Any]
    asked: dict[str, str]
    data: bytearray = field(default_factory=bytearray)
    ended: bool = False


@dataclass
class GcsServer:
    """The bucket, its uploads, and who may do what. `fault` may answer before or break the line after a request."""

    url: str = ""
    things: dict[str, Thing] = field(default_factory=dict)
    uploads: dict[str, Upload] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    keys: dict[str, bytes] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    fault: Callable[[str], str | int | None] | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)
    clock: int = 1_700_000_000_000_000

    def account(self, role: str = "user", *, known: bool = True) -> str:
        """The JSON key of a new service account; a key that is not `known` was deleted."""
        private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        public = private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        email = f"{role}-{uuid.uuid4().hex[:8]}@test.iam.gserviceaccount.com"
        if known:
            self.keys[email] = public
        about = {"type": "service_account", "project_id": "test", "private_key_id": "1", "private_key": pem.decode()}
        return json.dumps(about | {"client_email": email, "token_uri": f"{self.url}/token"})

    def put(self, name: str, data: bytes, about: dict[str, Any] | None = None) -> Thing:
        """Write an object as it is."""
        self.clock += 1
        self.things[name] = Thing(data, about or {}, self.clock)
        return self.things[name]

    def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
        """What the service says."""
        path = urlsplit(target).path
        asked = {key: values[0] for key, values in parse_qs(urlsplit(target).query).items()}
        with self.lock:
            try:
                if path == "/token":
                    return self._token(body)
                if path == "/account":
                    return 200, {}, self.account(asked["role"]).encode()
                if path.startswith("/partner/"):
                    return self._partner(method, unquote(path.removeprefix("/partner/")), body)
                if "upload_id" in asked:
                    return self._upload(method, asked["upload_id"], headers.get("content-range", ""), body)
                self._may(method, headers)
                return self._api(method, path, asked, body)
            except Refused as refused:
                return _json({"error": {"code": refused.status, "message": refused.message}}, refused.status)

    def _partner(self, method: str, name: str, body: bytes) -> Answer:
        """What the bucket's owner does there; without a name, a listing."""
        if method == "GET":
            return 200, {}, self.things[name].data if name else json.dumps(sorted(self.things)).encode()
        if method == "PUT":
            self.put(name, body)
        else:
            del self.things[name]
        return 204, {}, b""

    def _token(self, body: bytes) -> Answer:
        assertion = parse_qs(body.decode())["assertion"][0]
        email = jwt.decode(assertion, verify=False)["iss"]
        if email not in self.keys:
            return _json({"error": "invalid_grant", "error_description": "Invalid JWT Signature."}, 400)
        verifier = crypt.RSAVerifier.from_string(self.keys[email])
        jwt.decode(assertion, certs={"1": verifier}, verify=False)
        token = uuid.uuid4().hex
        self.tokens[token] = email.partition("-")[0]
        return _json({"access_token": token, "expires_in": 3600, "token_type": "Bearer"})

    def _may(self, method: str, headers: dict[str, str]) -> None:
        role = self.tokens.get(headers.get("authorization", "").removeprefix("Bearer "))
        if role is None:
            raise Refused(401, "Invalid Credentials")
        if method not in ROLES[role]:
            raise Refused(403, f"{role} does not have the permission for {method}")

    def _api(self, method: str, path: str, asked: dict[str, str], body: bytes) -> Answer:
        match = re.fullmatch(r"(/upload)?/storage/v1/b/([^/]+)/o(?:/(.+))?", path)
        if match is None or match[2] != BUCKET:
            raise Refused(404, "The specified bucket does not exist.")
        if match[1]:
            return self._begin(asked, json.loads(body))
        name = unquote(match[3] or "")
        if not name:
            found = [each.resource(key) for key, each in sorted(self.things.items())]
            return _json({"kind": "storage#objects", "items": found})
        return self._object(method, name, asked)

    def _object(self, method: str, name: str, asked: dict[str, str]) -> Answer:
        thing = self.things.get(name)
        if thing is None:
            raise Refused(404, f"No such object: {BUCKET}/{name}")
        self._precondition(name, asked)
        if method == "DELETE":
            del self.things[name]
            return 204, {}, b""
        if asked.get("alt") == "media":
            return 200, {"Content-Type": "application/octet-stream"}, thing.data
        return _json(thing.resource(name))

    def _precondition(self, name: str, asked: dict[str, str]) -> None:
        thing = self.things.get(name)
        now = {
            "ifGenerationMatch": thing.generation if thing else 0,
            "ifMetagenerationMatch": thing.metageneration if thing else 0,
        }
        for key, value in now.items():
            if key in asked and int(asked[key]) != value:
                raise Refused(412, "At least one of the pre-conditions you specified did not hold.")

    def _begin(self, asked: dict[str, str], about: dict[str, Any]) -> Answer:
        number = uuid.uuid4().hex
        self.uploads[number] = Upload(asked["name"], about, asked)
        place = f"{self.url}/upload/storage/v1/b/{BUCKET}/o?uploadType=resumable&upload_id={number}"
        return 200, {"Location": place}, b""

    def _upload(self, method: str, number: str, span: str, body: bytes) -> Answer:
        upload = self.uploads.get(number)
        if upload is None:
            raise Refused(404, "No such upload")
        if method == "DELETE":
            del self.uploads[number]
            raise Refused(499, "")
        if upload.ended:
            thing = self.things.get(upload.name)
            return _json(thing.resource(upload.name) if thing else {})
        match = re.fullmatch(r"bytes (?:\*|(\d+)-(\d+))/(\*|\d+)", span)
        if match is None:
            raise Refused(400, f"Invalid Content-Range: {span}")
        if match[1]:
            self._piece(upload, int(match[1]), int(match[2]), match[3], body)
        if match[3] != "*" and len(upload.data) == int(match[3]):
            return self._end(upload)
        kept = {"Range": f"bytes=0-{len(upload.data) - 1}"} if upload.data else {}
        return 308, kept, b""

    @staticmethod
    def _piece(upload: Upload, first: int, last: int, total: str, body: bytes) -> None:
        if last - first + 1 != len(body) or first != len(upload.data):
            raise Refused(400, "The bytes are not those that the Content-Range names, or do not follow the others")
        if (total == "*" or last + 1 < int(total)) and len(body) % GRAIN:
            raise Refused(400, "The number of bytes is required to be a multiple of 262144")
        upload.data += body

    def _end(self, upload: Upload) -> Answer:
        data = bytes(upload.data)
        sums = {
            "crc32c": base64.b64encode(google_crc32c.Checksum(data).digest()).decode(),
            "md5Hash": base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode(),
        }
        for key, value in sums.items():
            if upload.about.get(key, value) != value:
                raise Refused(400, f"Provided {key} {upload.about[key]!r} doesn't match calculated {key} {value!r}.")
        self._precondition(upload.name, upload.asked)
        upload.ended = True
        upload.data.clear()
        return _json(self.put(upload.name, data, upload.about | sums).resource(upload.name))


def _json(data: Any, status: int = 200) -> Answer:
    return status, {"Content-Type": "application/json"}, json.dumps(data).encode()


class Handler(BaseHTTPRequestHandler):
    """Hands requests to the server's table, and breaks what is to be broken."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    gcs: GcsServer

    def handle_one(self) -> None:
        """Any request."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        line = f"{self.command} {self.path} {self.headers.get('Content-Range', '')}"
        self.gcs.requests.append(line)
        fault = self.gcs.fault(line) if self.gcs.fault else None
        if fault == "lost":
            self.close_connection = True
            return
        headers = {key.lower(): value for key, value in self.headers.items()}
        if isinstance(fault, int):
            answer = _json({"error": {"code": fault, "message": "as the test wants it"}}, fault)
        else:
            answer = self.gcs.answer(self.command, self.path, headers, body)
        if fault == "answer lost":
            self.close_connection = True
            return
        self._reply(*answer, cut=len(answer[2]) // 2 if fault == "cut" else None)

    def _reply(self, status: int, headers: dict[str, str], body: bytes, cut: int | None = None) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:cut])
        self.close_connection = self.close_connection or cut is not None

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = handle_one  # noqa: N815

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class Quiet(ThreadingHTTPServer):
    """A server that does not print the lines that a test breaks."""

    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """A client that went away is no news."""


@contextmanager
def gcs_process() -> Iterator[GcsServer]:
    """Serve an empty bucket from a process of its own. Of what is yielded, only the address says something."""
    command = [sys.executable, "-m", "tests.servers.gcs"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as process:
        assert process.stdout
        try:
            yield GcsServer(process.stdout.readline().strip())
        finally:
            process.kill()


@contextmanager
def running_gcs() -> Iterator[GcsServer]:
    """Serve an empty bucket on a free port of this process."""
    gcs = GcsServer()
    handler = type("Bound", (Handler,), {"gcs": gcs})
    with Quiet(("127.0.0.1", 0), handler) as server:
        gcs.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield gcs
        finally:
            server.shutdown()
            thread.join()


if __name__ == "__main__":
    with running_gcs() as served:
        print(served.url, flush=True)  # noqa: T201  (how the parent learns the port)
        threading.Event().wait()
