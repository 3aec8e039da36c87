# SPDX-License-Identifier: MIT
"""Bodies and headers: every member of every body of /openapi.json, what is no JSON object, what is
too large, of another type, or sent for another page. The server is none the worse (conftest.py).
"""
import contextlib
import json

import pytest

from harness.openapi import operations
from harness.refusals import FREE_TEXT, PROGRAM, assert_refused, names_of, target

pytestmark = pytest.mark.usefixtures("unharmed")

INVALID_BODY = "Invalid JSON request body"
BODY_LIMIT = 65536


def body_operations(document):
    found = [operation for operation in operations(document)
             if operation.method in ("POST", "PUT", "PATCH")]
    assert len(found) >= 6
    return found


def send(server, operation, body, content_type="application/json", **headers):
    if content_type:
        headers["Content-Type"] = content_type
    return server.api.request(operation.method, target(operation), body=body, headers=headers)


# Name of the case: bytes that are no JSON object.
BODIES = {
    "cut object": b'{"pid":1',
    "cut name": b'{"pi',
    "cut text": b'{"command":"ab',
    "cut escape": b'{"command":"\\u00',
    "lone brace": b"{",
    "closing brace": b"}",
    "two objects": b'{"pid":1}{"pid":2}',
    "rubbish behind": b'{"pid":1}x',
    "no JSON": b"pid=1&duration=60",
    "single quotes": b"{'pid':1}",
    "no quotes": b"{pid:1}",
    "comma at the end": b'{"pid":1,}',
    "comment": b'{"pid":1/* one */}',
    "NaN": b'{"pid":NaN}',
    "leading zero": b'{"pid":01}',
    "plus": b'{"pid":+1}',
    "huge integer": b'{"pid":' + b"9" * 400 + b"}",
    "huge exponent": b'{"pid":1e99999}',
    "array": b"[]",
    "array of objects": b'[{"pid":1}]',
    "number": b"1",
    "text": b'"pid"',
    "null": b"null",
    "truth": b"true",
    "twice the same name": b'{"pid":1,"pid":1}',
    "twice by escapes": b'{"pid":1,"p\\u0069d":1}',
    "deep arrays": b'{"pid":' + b"[" * 30000 + b"]" * 30000 + b"}",
    "deep objects": b'{"a":' * 12000 + b"1" + b"}" * 5000,
    "open arrays": b"[" * 65000,
    "not UTF-8": b'{"command":"\xff"}',
    "surrogate": b'{"command":"\\ud800"}',
    "NUL byte": b'{"command":"a\x00b"}',
    "NUL escape": b'{"command":"a\\u0000b"}',
    "NUL in a name": b'{"pi\\u0000d":1}',
    "control in a text": b'{"command":"a\nb"}',
    "byte order mark": b'\xef\xbb\xbf{"pid":1}',
    "UTF-16": '{"pid":1}'.encode("utf-16"),
    "binary": bytes(range(256)),
    "zeros": bytes(1000),
}


@pytest.mark.parametrize("case", BODIES)
def test_bodies_that_are_no_object(shared_server, document, case):
    for operation in body_operations(document):
        response = send(shared_server, operation, BODIES[case])
        assert_refused(response, None, f"{operation}: {case}")


def test_members(shared_server, document):
    """Wrong types, values out of bounds, unknown names: every member of every body."""
    wrong = {"integer": ["1", "", "x", 1.5, -1.5, True, False, [], [1], {}, {"a": 1},
                         2 ** 63 - 1, -2 ** 63],
             "string": [1, 0, -1, 1.5, True, False, [], ["a"], {}, {"a": 1}],
             "boolean": [1, 0, "true", "", 1.5, None, [], [True], {}, {"a": True}],
             "array": [1, "", "x", 1.5, True, None, {}, {"0": 1}, [None], [1.5], [True], [[]],
                       [{}], [-1], [2 ** 63 - 1], ["x"]]}
    tried = 0
    for operation in body_operations(document):
        for name, schema in (operation.body or {}).get("properties", {}).items():
            if schema["type"] == "object":
                continue
            bounds = [schema["minimum"] - 1, schema["maximum"] + 1] \
                if schema["type"] == "integer" else []
            for value in wrong[schema["type"]] + bounds:
                # What the route needs besides is given, so that this member alone is wrong.
                body = {"pid": 1, "duration": 60} if "duration" in operation.body["properties"] \
                    else {}
                for other in names_of(name) | ({"pid"} if name in FREE_TEXT else set()):
                    body.pop(other, None)
                body[name] = value
                response = send(shared_server, operation, json.dumps(body).encode())
                assert_refused(response, {INVALID_BODY} | names_of(name),
                               f"{operation} {name}: {json.dumps(value)}")
                tried += 1
        for name in ("nosuch", "", "Pid", "pid ", "__proto__", "a" * 3000, "é"):
            response = send(shared_server, operation, json.dumps({name: 1}).encode())
            assert_refused(response, None, f"{operation} {name}")
    assert tried > 100


def test_parameter_changes(shared_server, document):
    """PATCH of a program: nothing of it is in force when any of it is wrong."""
    patches = [operation for operation in body_operations(document)
               if operation.method == "PATCH"]
    assert patches
    good = {"sample": 7}
    for operation in patches:
        for parameters, names in (
                ({"sample": "many"}, ["sample"]), ({"sample": -1}, ["sample"]),
                ({"sample": 2 ** 32}, ["sample"]), ({"sample": 1.5}, ["sample"]),
                ({"sample": True}, ["sample"]), ({"sample": []}, ["sample"]),
                ({"sample": {}}, ["sample"]), ({"sample": ""}, ["sample"]),
                ({"only_command": 1}, ["only_command"]),
                ({"only_command": "x" * 16}, ["only_command"]),
                ({"only_uid": "x"}, ["only_uid"]), ({"only_uid": 2 ** 63 - 1}, []),
                ({"nosuch": 1}, ["nosuch"]), (good | {"nosuch": 1}, ["nosuch"]),
                (good | {"only_pid": "x"}, ["only_pid"]), ({}, ["parameter"])):
            if not names:
                continue
            response = send(shared_server, operation,
                            json.dumps({"parameters": parameters}).encode())
            assert_refused(response, names, f"{operation}: {parameters}")
        for body in ({}, {"parameters": None}, {"parameters": []}, {"parameters": "sample"},
                     {"parameters": 1}, good, {"parameters": good, "more": 1},
                     {"parameters": {"parameters": good}}):
            response = send(shared_server, operation, json.dumps(body).encode())
            assert_refused(response, None, f"{operation}: {body}")
        assert_refused(send(shared_server, operation, b""), None, "no body")


def test_large_bodies(shared_server, document):
    for operation in body_operations(document):
        def padded(size):
            return b'{"nosuch":1' + b" " * (size - 12) + b"}"

        assert_refused(send(shared_server, operation, padded(BODY_LIMIT)), None,
                       f"{operation}: at the limit")
        for size in (BODY_LIMIT + 1, 4 * BODY_LIMIT, 3 << 20):
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                response = send(shared_server, operation, padded(size))
                assert_refused(response, ["65536"], f"{operation}: {size} bytes", 413)
        # In chunks nothing says beforehand how much it will be.
        response = send(shared_server, operation, iter([padded(BODY_LIMIT)[:-1], b" " * 99, b"}"]))
        assert_refused(response, ["65536"], f"{operation}: in chunks", 413)


@pytest.mark.parametrize("content_type", [
    "text/plain", "application/x-www-form", "multipart/form-data; boundary=x",
    "application/xml", "application/jsonp", "json", "application", "", "/", "a" * 2000,
    "application/json-seq", "text/html; charset=application/json"])
def test_content_types_that_are_not_json(shared_server, document, content_type):
    for operation in body_operations(document):
        response = shared_server.api.request(operation.method, target(operation), body=b'{"a":1}',
                                             headers={"Content-Type": content_type})
        assert_refused(response, ["Content-Type"], f"{operation}: {content_type}", 415)


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "APPLICATION/JSON",
                                          "application/problem+json", None])
def test_content_types_that_are(shared_server, content_type):
    headers = {"Content-Type": content_type} if content_type else {}
    response = shared_server.api.request("POST", "/api/list-connections", body=b'{"limit":1}',
                                         headers=headers)
    assert response.status == 200


def test_parameters_in_two_places(shared_server):
    response = shared_server.api.request("POST", "/api/list-connections?limit=1",
                                         body=b'{"pid":1}')
    assert_refused(response, ["query string", "body"], "both")
    response = shared_server.api.request("GET", "/api/events", body=b'{"limit":1}')
    assert_refused(response, ["body"], "a body with GET")


# ---- whom a browser speaks for ----

def test_hosts_and_origins_of_others(shared_server):
    for host in ("example.org", "example.org:8080", "127.0.0.1.example.org", "localhost.evil",
                 "[2001:db8::1]", "10.0.0.1", "x" * 1000, "[", "0"):
        response = shared_server.api.request("GET", "/api/events", headers={"Host": host})
        assert_refused(response, None, host, 403)
    for origin in ("http://example.org", "null", "http://127.0.0.1:1", "http://"):
        response = shared_server.api.request("POST", f"/api/programs/{PROGRAM}/disable",
                                             headers={"Origin": origin})
        assert_refused(response, None, origin, 403)
