# SPDX-License-Identifier: MIT
"""Query strings and paths: whatever comes in is refused by name and harms nothing.

Routes and parameters come from /openapi.json: what is added there is tested here. After each test
the server is the same process, healthy, unchanged, and no sanitiser said a word (conftest.py).
"""
import urllib.parse

import pytest

from harness import tools
from harness.openapi import operations
from harness.refusals import FREE_TEXT, assert_refused, names_of, target

pytestmark = pytest.mark.usefixtures("unharmed")


# Name of the case: the value. None of them is right where a number or a form is asked for.
VALUES = {
    "empty": "",
    "blank": " ",
    "huge": "9" * 40,
    "long": "x" * 4000,
    "negative": "-1",
    "no number": "no such value",
    "fraction": "1.5",
    "null": "null",
    "list": "[1]",
    "object": '{"a":1}',
    "truth": "true",
    "half a number": "0x",
    "number and more": "1x",
    "control": "\x01\x7f\r\n",
    "not ASCII": "é\U0001f980",
    "markup": "<script>alert('\"')</script>",
    "format": "%s%n%p",
    "path": "../../../etc/passwd",
}

# Name of the case: the value as it stands in the request line.
ENCODINGS = {
    "bare percent": "%",
    "percent at the end": "1%",
    "half an escape": "%4",
    "no escape": "%zz",
    "half a digit": "%4z",
    "NUL": "%00",
    "NUL inside": "1%001",
    "not UTF-8": "%ff",
    "broken UTF-8": "%c3%28",
    "surrogate": "%ed%a0%80",
    "overlong": "%c0%af",
    "past Unicode": "%f5%80%80%80",
    "cut UTF-8": "%e2%82",
}


@pytest.fixture(scope="module")
def scene(shared_server):
    """Events whose values are valid ones for every filter, by type."""
    refused = tools.trigger("tcp4", "127.0.0.1:1", command="bad-input")
    path = tools.trigger("unix", "/nonexistent/bad-input", command="bad-input")
    sent = tools.trigger("udp4", "127.0.0.1:3", command="bad-input", send=1)
    return [*shared_server.events("connection", 1, pid=refused.pid),
            *shared_server.events("connection", 1, pid=path.pid),
            *shared_server.events("packet_drop", 1, pid=sent.pid)]


# Routes that every field is a parameter of.
FILTERED = ("/api/events", "/api/events/stream", "/api/events/summary")


def is_filter(operation, name, fields):
    return operation.path in FILTERED and name in fields


def is_legitimate(operation, parameter, fields, case):
    """Whether this value, strange as it is, means something where this parameter stands."""
    name, schema = parameter["name"], parameter["schema"]
    if "enum" in schema or schema["type"] != "string":
        return False
    if not is_filter(operation, name, fields):
        # Of a report: any text, and the empty one is none, as its users' structs have it.
        return name in FREE_TEXT
    field = fields[name]
    if field["type"] == "string":
        # Any text can be a name or a path; "…*…" with nothing in it cannot.
        return case != "empty"
    if field["type"] == "boolean":
        return case == "truth"
    if case == "negative":
        # A signed number; an error by its number, with the sign that it has in the kernel.
        return field["schema"].get("minimum", 0) < 0 or name == "error"
    return False


def query_parameters(document):
    return [(operation, parameter) for operation in operations(document)
            for parameter in operation.parameters("query").values()]


# ---- the query string ----

def test_values(shared_server, document, fields, scene):
    tried = 0
    for operation, parameter in query_parameters(document):
        name = parameter["name"]
        for case, value in VALUES.items():
            query = urllib.parse.urlencode({name: value})
            response = shared_server.api.request(operation.method, target(operation, query))
            described = f"{operation} {name}: {case}"
            tried += 1
            if not is_legitimate(operation, parameter, fields, case):
                assert_refused(response, names_of(name), described)
            elif response.status != 200:
                assert not is_filter(operation, name, fields), f"{described}: {response.text}"
                assert_refused(response, names_of(name), described)
    print(f"{tried} requests")
    assert tried > 500


def test_encodings(shared_server, document, scene):
    for operation, parameter in query_parameters(document):
        name = parameter["name"]
        for case, value in ENCODINGS.items():
            response = shared_server.api.request(operation.method,
                                                 target(operation, f"{name}={value}"))
            assert_refused(response, [name], f"{operation} {name}: {case}")
        # Without a value, or without '='.
        response = shared_server.api.request(operation.method, target(operation, name))
        assert_refused(response, [name], f"{operation} {name}: no '='")


def value_of_type(field):
    """A value of a field that no event of the scene has: of a program that does not run here."""
    if field["values"]:
        return field["values"][0]
    return {"ip": "192.0.2.1", "integer": "1", "boolean": "true", "string": "x"}[field["type"]]


def valid_values(parameter, fields, scene):
    """Values that mean something where this parameter stands."""
    name, schema = parameter["name"], parameter["schema"]
    if "enum" in schema:
        return schema["enum"]
    if schema["type"] == "integer":
        return [str(max(1, schema.get("minimum", 1))), str(schema["maximum"])]
    if schema["type"] == "array":
        return {"by": ["command"], "of": ["pid"]}.get(name, ["connection", "packet_drop"])
    if name in fields:
        found = [event[name] for event in scene if event.get(name) is not None]
        if not found:
            return [value_of_type(fields[name])]
        return [str(found[0]).replace(",", "\\,")]
    return {"since": ["-5m"], "until": ["now"], "after": [scene[0]["id"]],
            "before": [scene[0]["id"]]}.get(name, ["bad-input"])


def test_an_escaped_value_is_the_same_value(shared_server, document, fields, scene):
    """Every byte as %xx, in the name too."""
    def escape(text):
        return "".join(f"%{byte:02x}" for byte in text.encode())

    for operation, parameter in query_parameters(document):
        name = parameter["name"]
        for value in valid_values(parameter, fields, scene):
            # Some routes want one of two parameters besides.
            for besides in ("", "pid=1"):
                if besides.startswith(name + "="):
                    continue
                plain = shared_server.api.request(operation.method, target(
                    operation, "&".join(filter(None, [
                        urllib.parse.urlencode({name: value}), besides]))))
                if plain.status == 200:
                    break
            described = f"{operation} {name}={value}"
            assert plain.status == 200, f"{described}: {plain.text[:300]}"
            packed = shared_server.api.request(operation.method, target(
                operation, "&".join(filter(None, [f"{escape(name)}={escape(value)}", besides]))))
            assert packed.status == 200, f"{described}: {packed.text[:300]}"
            assert packed.headers["Content-Type"] == plain.headers["Content-Type"]
            if "query" in plain.text and operation.path in FILTERED and name != "format":
                unescaped, other = plain.json()["query"], packed.json()["query"]
                for moving in ("since", "until"):
                    unescaped.pop(moving), other.pop(moving)
                assert unescaped == other, described


def test_repeated(shared_server, document, fields, scene):
    for operation, parameter in query_parameters(document):
        name = parameter["name"]
        value = urllib.parse.quote(valid_values(parameter, fields, scene)[0])
        for query in (f"{name}={value}&{name}={value}", f"{name}={value}&x=1&{name}={value}"):
            response = shared_server.api.request(operation.method, target(operation, query))
            assert_refused(response, [name, '"x"'], f"{operation}: {query}")


def test_unknown_parameters(shared_server, document):
    for operation in operations(document):
        if operation.method != "GET" or operation.is_page:
            continue
        for name in ("nosuch", "Limit", "limit ", "pid[]", "__proto__", "a" * 3000):
            response = shared_server.api.request("GET", target(
                operation, urllib.parse.urlencode({name: 1})))
            assert_refused(response, [name[:60]], f"{operation} {name}")
        for query in ("=1", "%00=1", "%ff=1", "%=1", "%z1=1"):
            response = shared_server.api.request("GET", target(operation, query))
            assert_refused(response, ["parameter"], f"{operation} {query}")


def test_too_many_parameters(shared_server, document):
    query = "&".join(f"destination_port_{i}=1" for i in range(400))
    assert_refused(shared_server.api.request("GET", "/api/events?" + query), ["parameter"], "400")
    # All that there are at once is not too many.
    for operation in operations(document):
        assert len(operation.parameters("query")) < 256


def test_expressions_without_sense(shared_server, fields, scene):
    """Shapes that are no expression for any kind of field, and bounds that are crossed."""
    broken = ["!", "!!1", "1,,2", ",1", "1,", "a,!b", "\\"]
    ranges = ["..", "5..1", "1..2..3", "a..b"]
    for name, field in fields.items():
        for expression in broken + (ranges if field["type"] in ("integer", "ip") else []):
            response = shared_server.api.request("GET", "/api/events", params={name: expression})
            assert_refused(response, [name], f"{name}={expression}")
    for name, expression in (("destination_ip", "10.0.0.0/33"), ("destination_ip", "10.0.0.1/8/8"),
                             ("destination_ip", "::/129"), ("destination_ip", "1.2.3"),
                             ("destination_ip", "1.2.3.256"), ("destination_ip", "::1::"),
                             ("destination_port", "65536"), ("destination_port", "-1"),
                             ("destination_port", "1,65536"), ("destination_port", "0..65536"),
                             ("duration_ns", "1 day"), ("duration_ns", "99999999999999999999"),
                             ("pid", "4294967296"), ("packet_size_bytes", "4GiB"),
                             ("timestamp", "18446744073709551616")):
        response = shared_server.api.request("GET", "/api/events", params={name: expression})
        assert_refused(response, [name], f"{name}={expression}")
    many = ",".join(str(2 * i) for i in range(1025))
    assert_refused(shared_server.api.request("GET", "/api/events", params={"pid": many}), ["pid"],
                   "1025 alternatives")
    assert shared_server.api("/api/events", command="*a" * 200)["total_count"] == 0


def test_times_and_places_without_sense(shared_server):
    times = ["2026", "2026-01-01", "2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z",
             "2026-01-01T25:00:00Z", "2026-01-01T00:00:00", "2026-01-01T00:00:00+25:00", "-", "-m",
             "-5", "-5y", "--5m", "+5m", "5m", "yesterday", "1700000000",
             "2026-01-01T00:00:00.Z", "9999999-01-01T00:00:00Z"]
    for name in ("since", "until"):
        for value in times:
            assert_refused(shared_server.api.request("GET", "/api/events", params={name: value}),
                           [name], f"{name}={value}")
    for name in ("after", "before"):
        for value in ("0", "6b011389", "6b011389-000042e6089b7a9", "zzzzzzzz-" + "0" * 15 + "-"
                      + "0" * 10, "6b011389-000042e6089b7a9-0000000002x",
                      "6B011389-000042E6089B7A9-0000000002Z"):
            assert_refused(shared_server.api.request("GET", "/api/events", params={name: value}),
                           [name], f"{name}={value}")


# ---- paths ----

def test_names_in_paths(shared_server, document):
    for operation in operations(document):
        if not operation.parameters("path"):
            continue
        for name in ("nosuch", "x" * 300, "-1", "..", "a%20b", "%c3%a9", "connection%20",
                     "Connection", "%2e%2e%2fconnection", "<b>", "'\""):
            path = operation.path.replace("{name}", urllib.parse.quote(name, safe="%"))
            body = b'{"parameters":{"sample":0}}' if operation.body else None
            response = shared_server.api.request(operation.method, path, body=body)
            assert_refused(response, None, f"{operation.method} {path}", 404)
        for name in ("%", "%4", "%zz", "%00", "connection%00"):
            path = operation.path.replace("{name}", name)
            assert_refused(shared_server.api.request(operation.method, path), ["path"], path)
        for name in ("%ff", "%ed%a0%80"):
            path = operation.path.replace("{name}", name)
            response = shared_server.api.request(operation.method, path)
            assert response.status in (400, 404), path
            response.json()


def test_paths_that_are_not_there(shared_server):
    for path in ("/nosuch", "/api", "/api/", "//", "/api//events", "/api/events/", "/API/events",
                 "/api/events%2f", "/./api/events", "/api/../api/events", "/" + "a/" * 300,
                 "/" + "x" * 8000, "/%2e%2e/%2e%2e/etc/passwd", "/api/programs//enable",
                 "/api/programs/a/b/c/d/e/f/g/h/i/j"):
        assert_refused(shared_server.api.request("GET", path), None, path, 404)
