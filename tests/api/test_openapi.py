# SPDX-License-Identifier: MIT
"""/openapi.json is a sound OpenAPI 3.1 document, and it is true: real answers of every route fit
the shapes that it declares."""
import json
import re

import jsonschema
import pytest

from harness import tools
from harness.kernel import parse_rfc3339_ns
from harness.openapi import METHODS, operations, references, resolve

PROGRAM = "connection"
STATUS_CODE = re.compile(r"[1-5]\d\d")
PLACES = {"query", "path", "header", "cookie"}

# Bodies that are right, by path; every POST that only asks is here.
QUESTIONS = {
    "/api/connection-summary": [{"pid": 1, "duration": 60}, {"command": "x", "duration": 1},
                                {"process_name": "x", "duration_seconds": 3600}],
    "/api/packet-drop-summary": [{"duration": 60}, {"pid": 0, "duration": 60},
                                 {"command": "openapi", "duration": 600}],
    "/api/list-connections": [{}, {"limit": 1}, {"pid": 1, "limit": 1000}],
    "/api/list-packet-drops": [{}, {"limit": 1}, {"pid": 0}],
}
# Questions by GET, besides the plain one; {} where a route wants more than nothing.
QUERIES = {
    "/api/events": [{}, {"limit": 1}, {"limit": 1, "order": "asc"}, {"type": "packet_drop"},
                    {"type": "connection", "since": "-10m", "until": "now", "command": "openapi"},
                    {"pid": 4294967295}],
    "/api/events/summary": [{}, {"by": "command,destination,type", "of": "duration_ns,pid"},
                            {"by": "drop_reason", "buckets": 0, "int64": "string"},
                            {"command": "nobody-at-all", "of": "duration_ns"}],
    "/api/connection-summary": [{"pid": 1}, {"command": "openapi", "duration": 60}],
    "/api/packet-drop-summary": [{}, {"pid": 0}, {"command": "openapi"}],
    "/api/list-connections": [{}, {"limit": 1}, {"pid": 4294967295}],
    "/api/list-packet-drops": [{}, {"limit": 1}],
}

formats = jsonschema.FormatChecker(formats=())


@formats.checks("date-time", raises=(AssertionError, ValueError))
def is_time(value):
    return not isinstance(value, str) or parse_rfc3339_ns(value) > 0


@pytest.fixture(scope="module", autouse=True)
def some_events(shared_server):
    """Of every shape that an event here can have: with and without address, path, ports."""
    made = [tools.trigger(kind, address, command="openapi", **options) for kind, address, options
            in (("tcp4", "127.0.0.1:1", {}), ("tcp6", "[::1]:1", {}), ("unix", "@openapi", {}),
                ("udp4", "127.0.0.1:1", {"send": 1}), ("udp6", "[::1]:1", {"send": 1}),
                ("netlink", "0", {}), ("tcp4", "127.0.0.1:1", {"bad_pointer": True}),
                ("tcp4", "127.0.0.1:1", {"fd": "closed"}))]
    for one in made:
        shared_server.events("connection", 1, pid=one.pid)


def validate(document, schema, value, what):
    """Against a schema of the document: references lead into it."""
    whole = {"$ref": "#/schema", "schema": schema, "components": document["components"]}
    validator = jsonschema.Draft202012Validator(whole, format_checker=formats)
    error = jsonschema.exceptions.best_match(validator.iter_errors(value))
    assert error is None, f"{what}: {error.message} at {list(error.absolute_path)}"


# ---- the document by itself ----

def test_the_head(document, shared_server):
    assert re.fullmatch(r"3\.1\.\d+", document["openapi"])
    assert set(document) <= {"openapi", "info", "jsonSchemaDialect", "servers", "paths", "webhooks",
                             "components", "security", "tags", "externalDocs"}
    info = document["info"]
    assert info["title"] == "ebpf-server"
    assert info["version"] == shared_server.api("/health")["version"]
    assert info["license"]["identifier"] == "MIT"
    assert len(info["description"]) > 100


def test_every_reference_leads_somewhere(document):
    found = set(references(document))
    assert found
    for reference in found:
        resolve(document, {"$ref": reference})
    # Security schemes are named by `security`, not by references.
    named = {f"#/components/{section}/{name}" for section, items in document["components"].items()
             for name in items if section != "securitySchemes"}
    assert named <= found, f"never used: {sorted(named - found)}"


def test_every_schema_is_a_schema(document):
    """JSON Schema 2020-12, the dialect of OpenAPI 3.1."""
    def schemas(value):
        if isinstance(value, dict):
            if isinstance(value.get("schema"), dict):
                yield value["schema"]
            for item in value.values():
                yield from schemas(item)
        elif isinstance(value, list):
            for item in value:
                yield from schemas(item)

    components = document["components"]
    everything = [*schemas(document["paths"]), *schemas(components.get("responses", {})),
                  *components["schemas"].values()]
    assert len(everything) > 50
    for schema in everything:
        jsonschema.Draft202012Validator.check_schema(schema)
    for name in document["components"]["schemas"]:
        assert re.fullmatch(r"[a-zA-Z0-9._-]+", name), name


def test_operations(document):
    found = operations(document)
    assert found
    identifiers = [operation.item["operationId"] for operation in found]
    assert len(set(identifiers)) == len(identifiers)
    for path, item in document["paths"].items():
        assert path.startswith("/") and "?" not in path
        assert set(item) <= {*METHODS, "summary", "description", "parameters", "servers", "$ref"}
    for operation in found:
        assert set(operation.item) <= {"tags", "summary", "description", "operationId",
                                       "parameters", "requestBody", "responses", "deprecated",
                                       "security"}, str(operation)
        assert operation.item["summary"] and operation.item["tags"], str(operation)
        assert (operation.method in ("POST", "PUT", "PATCH")) or \
            "requestBody" not in operation.item, str(operation)


def test_parameters(document):
    for operation in operations(document):
        listed = operation.item.get("parameters", [])
        keys = [(parameter["name"], parameter["in"]) for parameter in listed]
        assert len(set(keys)) == len(keys), f"{operation} names a parameter twice"
        in_path = set(re.findall(r"\{(\w+)\}", operation.path))
        assert set(operation.parameters("path")) == in_path, str(operation)
        for parameter in listed:
            what = f"{operation} {parameter['name']}"
            assert parameter["in"] in PLACES, what
            assert parameter["description"], what
            assert ("schema" in parameter) != ("content" in parameter), what
            if parameter["in"] == "path":
                assert parameter["required"] is True, what


def test_responses(document):
    for operation in operations(document):
        responses = operation.item["responses"]
        assert "200" in responses, str(operation)
        assert {"400", "403", "404", "405", "500"} <= set(responses), str(operation)
        for status in responses:
            what = f"{operation} {status}"
            assert STATUS_CODE.fullmatch(status), what
            response = operation.response(status)
            assert response["description"], what
            assert "content" in response or status.startswith("3"), what
            for media_type, content in response.get("content", {}).items():
                assert re.fullmatch(r"[a-z]+/[a-z0-9.+-]+(; ?[a-z]+=[a-z0-9.-]+)*",
                                    media_type), what
                assert "schema" in content, what


def test_security(document):
    """Each operation says which role it wants, by known schemes; without credentials, that it wants
    none; and 401 where it wants one."""
    schemes = document["components"]["securitySchemes"]
    assert {scheme["scheme"] for scheme in schemes.values()} == {"bearer", "basic"}
    wanted = set()
    for operation in operations(document):
        requirements = operation.item["security"]
        assert (requirements == []) or {} in requirements, str(operation)
        for requirement in requirements:
            for name, roles in requirement.items():
                assert name in schemes and len(roles) == 1, str(operation)
                wanted.add(roles[0])
        assert not requirements or "401" in operation.item["responses"], str(operation)
    assert {"read", "admin"} <= wanted <= {"read", "write", "admin"}


def test_the_service_lists_the_same_endpoints(document, shared_server):
    endpoints = {(item["method"], item["path"]) for item in shared_server.api("/")["endpoints"]}
    assert endpoints == {(operation.method, operation.path)
                         for operation in operations(document)}


def test_the_filters_are_the_fields(document, shared_server):
    [events] = [operation for operation in operations(document)
                if (operation.method, operation.path) == ("GET", "/api/events")]
    fields = {field["name"] for stream in shared_server.api("/api/schema")["streams"]
              for field in stream["fields"]}
    assert fields <= set(events.parameters("query"))
    own = {"type", "since", "until", "limit", "after", "before", "order", "format", "int64"}
    assert set(events.parameters("query")) == fields | own


def test_event_schemas_are_those_of_the_schema_route(document, shared_server):
    for stream in shared_server.api("/api/schema")["streams"]:
        component = document["components"]["schemas"][stream["name"]]
        assert list(component["properties"])[3:] == [field["name"] for field in stream["fields"]]
        for field in stream["fields"]:
            assert component["properties"][field["name"]] == field["schema"], field["name"]
        assert set(component["required"]) == set(component["properties"])


# ---- the document and the server ----

def check_answer(document, operation, response, what):
    declared = operation.response(response.status)
    assert declared, f"{what}: status {response.status} is not declared"
    content = {media_type.replace(" ", ""): item
               for media_type, item in declared["content"].items()}
    media_type = response.headers["Content-Type"].replace(" ", "")
    assert media_type in content, f"{what}: {media_type} is not declared"
    value = response.json() if media_type == "application/json" else \
        response.body.decode(errors="replace")
    validate(document, content[media_type]["schema"], value, what)


def has_pages(server):
    """A build without node has none (make WEB=no)."""
    return server.api.request("GET", "/ui/").status == 200


def paths_of(server, operation):
    """With what there is for {name}: a program, or the files that a page asks for."""
    if not operation.is_page or "{name}" not in operation.path:
        return [operation.path.replace("{name}", PROGRAM)]
    page = server.api.request("GET", operation.path.replace("{name}", "")).text
    files = re.findall(r'(?:href|src)="([\w-]+\.\w+)"', page)
    assert len(files) >= 3, page
    return [operation.path.replace("{name}", file) for file in files]


def test_answers_to_get(document, shared_server):
    asked = 0
    for operation in operations(document):
        if operation.method != "GET" or (operation.is_page and not has_pages(shared_server)):
            continue
        for path in paths_of(shared_server, operation):
            for params in QUERIES.get(operation.path, [{}]):
                response = shared_server.api.request("GET", path, params=params)
                assert response.status == 200, f"{path} {params}: {response.text[:300]}"
                check_answer(document, operation, response, f"{path} {params}")
                asked += 1
    assert asked > 15


def test_answers_to_questions_by_post(document, shared_server):
    posts = [operation for operation in operations(document)
             if operation.method == "POST" and operation.path in QUESTIONS]
    assert len(posts) == len(QUESTIONS)
    for operation in posts:
        for body in QUESTIONS[operation.path]:
            validate(document, operation.body, body, f"{operation}: the question")
            response = shared_server.api.post(operation.path, body)
            assert response.status == 200, f"{operation} {body}: {response.text[:300]}"
            check_answer(document, operation, response, f"{operation} {body}")


def test_answers_to_changes(document, start_server):
    """Every route that changes something, on a server of its own."""
    server = start_server()
    changes = [operation for operation in operations(document)
               if operation.method in ("POST", "PUT", "PATCH")
               and operation.path not in QUESTIONS]
    assert len(changes) >= 3
    for operation in sorted(changes, key=lambda operation: operation.path):
        body = None
        if operation.body:
            content = operation.item["requestBody"]["content"]["application/json"]
            body = json.dumps(content["example"]).encode()
        if body:
            validate(document, operation.body, json.loads(body), f"{operation}: the question")
        response = server.api.request(operation.method, operation.path.replace("{name}", PROGRAM),
                                      body=body)
        assert response.status == 200, f"{operation}: {response.text[:300]}"
        check_answer(document, operation, response, str(operation))


def test_refusals(document, shared_server):
    """A bad parameter, a bad body, a program that is not there: the declared shape of an error."""
    for operation in operations(document):
        path = operation.path.replace("{name}", PROGRAM)
        refused = [shared_server.api.request(operation.method, path + "?nosuch=1")
                   ] if not operation.is_page else []
        refused += [shared_server.api.request(operation.method, path, headers={"Host": "other"})]
        if operation.method != "GET":
            refused += [shared_server.api.request(operation.method, path, body=body,
                                                  headers={"Content-Type": content_type})
                        for body, content_type in ((b"{", "application/json"),
                                                   (b"{}", "text/plain"),
                                                   (b" " * 70000, "application/json"))]
        if "{name}" in operation.path:
            refused.append(shared_server.api.request(
                operation.method, operation.path.replace("{name}", "nosuch"),
                body=b'{"parameters":{"sample":1}}' if operation.body else None))
        for response in refused:
            assert response.status >= 400, f"{operation}: {response.text[:300]}"
            check_answer(document, operation, response, f"{operation} {response.status}")


def test_the_other_forms_of_events(document, shared_server):
    [events] = [operation for operation in operations(document)
                if (operation.method, operation.path) == ("GET", "/api/events")]
    for form in ("ndjson", "csv"):
        response = shared_server.api.request("GET", "/api/events", params={"format": form,
                                                                           "limit": 3})
        check_answer(document, events, response, form)
        declared = set(events.response(200)["headers"])
        assert {name for name in response.headers if name in declared} == declared
        if form == "ndjson":
            for line in response.text.splitlines():
                validate(document, {"$ref": "#/components/schemas/Event"}, json.loads(line), form)


def test_events_are_checked_in_earnest(document, shared_server):
    """An event that is not as declared is told from one that is."""
    [event] = shared_server.api("/api/events", type="connection", limit=1)["events"]
    schema = {"$ref": "#/components/schemas/Event"}
    validate(document, schema, event, "an event")
    for change in ({"pid": "1"}, {"type": "nosuch"}, {"id": "1"}, {"time": "today"},
                   {"protocol": "NO_SUCH"}, {"destination_port": 65536}):
        with pytest.raises(AssertionError):
            validate(document, schema, event | change, "a broken event")
    del event["pid"]
    with pytest.raises(AssertionError):
        validate(document, schema, event, "a lacking event")
