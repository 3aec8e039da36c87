# SPDX-License-Identifier: MIT
"""HTTP to the server, with nothing between the test and the bytes."""
import base64
import contextlib
import dataclasses
import http.client
import json
import time
import urllib.parse

from .sockets import inside

TIMEOUT = 20.0
EVENT_STREAM = "text/event-stream"


@dataclasses.dataclass
class Response:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def text(self):
        return self.body.decode()

    def json(self):
        """The body as JSON; a key that stands twice in an object is an error."""
        return json.loads(self.body, object_pairs_hook=_unique_keys)


@dataclasses.dataclass
class ServerSentEvent:
    id: str = ""
    event: str = "message"
    data: str = ""

    def json(self):
        return json.loads(self.data)


def _unique_keys(pairs):
    result = dict(pairs)
    assert len(result) == len(pairs), f"an object names a key twice: {[key for key, _ in pairs]}"
    return result


def query_string(params):
    """{"a": 1, "b": ["x", "y"], "c": True, "d": None} → "a=1&b=x&b=y&c=true"."""
    pairs = []
    for name, value in params.items():
        for item in value if isinstance(value, (list, tuple)) else [value]:
            if item is not None:
                pairs.append((name, str(item).lower() if isinstance(item, bool) else item))
    return urllib.parse.urlencode(pairs)


class Client:
    """client(path, **params) is the JSON of a GET that must succeed; the rest is for others."""

    def __init__(self, host, port, tls=None, authorization=None, namespace=None):
        """`tls`: an ssl.SSLContext; None: plain HTTP. `namespace` is the harness.network.Namespace
        that the server listens in."""
        self.host, self.port, self.tls, self.authorization = host, port, tls, authorization
        self.namespace = namespace

    @property
    def url(self):
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}"

    def as_bearer(self, token):
        """The same client with a token."""
        return Client(self.host, self.port, self.tls, f"Bearer {token}", self.namespace)

    def as_basic(self, name, secret):
        """The same client with name and secret."""
        return Client(self.host, self.port, self.tls,
                      "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode(),
                      self.namespace)

    def _connect(self):
        if self.tls:
            connection = http.client.HTTPSConnection(self.host, self.port, timeout=TIMEOUT,
                                                     context=self.tls)
        else:
            connection = http.client.HTTPConnection(self.host, self.port, timeout=TIMEOUT)
        with inside(self.namespace):
            connection.connect()
        return connection

    def _headers(self, headers):
        own = {"Authorization": self.authorization} if self.authorization else {}
        return own | (headers or {})

    def __call__(self, path, **params):
        response = self.request("GET", path, params=params)
        assert response.status == 200, f"GET {path} {params}: {response.status} {response.text}"
        return response.json()

    def post(self, path, value):
        """POST of a JSON value; the Response, whatever its status."""
        return self.request("POST", path, body=json.dumps(value).encode(),
                            headers={"Content-Type": "application/json"})

    def request(self, method, path, params=None, body=None, headers=None):
        """Any request; `path` goes out as it is, a query string is added for `params`. Of a stream,
        which has no end, the body is left out."""
        target = path + ("?" + query_string(params) if params else "")
        connection = self._connect()
        with contextlib.closing(connection):
            connection.request(method, target, body=body, headers=self._headers(headers))
            response = connection.getresponse()
            endless = response.headers.get_content_type() == EVENT_STREAM
            return Response(response.status, response.headers, b"" if endless else response.read())

    @contextlib.contextmanager
    def stream(self, path, headers=None, **params):
        """Server-sent events: a context whose value iterates over ServerSentEvent."""
        target = path + ("?" + query_string(params) if params else "")
        connection = self._connect()
        with contextlib.closing(connection):
            connection.request("GET", target, headers=self._headers(headers))
            response = connection.getresponse()
            assert response.status == 200, f"{target}: {response.status} {response.read()!r}"
            assert response.headers.get_content_type() == EVENT_STREAM
            # It holds the socket, too.
            with contextlib.closing(response):
                yield _server_sent_events(response)


def _server_sent_events(response):
    event, data, last = ServerSentEvent(), [], time.monotonic()
    while line := response.readline():
        line = line.decode().rstrip("\r\n")
        if not line:
            if data:
                event.data = "\n".join(data)
                yield event
                last = time.monotonic()
            event, data = ServerSentEvent(id=event.id), []
            continue
        # Comments keep the connection alive, and would a test that waits for nothing.
        assert time.monotonic() - last < TIMEOUT, f"nothing but comments for {TIMEOUT} s"
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            data.append(value)
        elif name == "id":
            event.id = value
        elif name == "event":
            event.event = value
